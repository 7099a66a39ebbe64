//! The examples do what they say: each is started as its reader would, and talked to.
#![cfg(all(feature = "mount", feature = "sqlite"))]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{WebSocketStream, client_async};

const DEADLINE: Duration = Duration::from_secs(20);
const JSON: &str = "json.webpubsub.azure.v1";

/// An example that runs, in a folder of its own, until it is dropped.
struct Example {
    process: Child,
    authority: String,
    _folder: TempDir,
}

impl Example {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(program(name))
            .args(arguments)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; `cargo build --examples` builds it"));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("ws://").and_then(|url| url.strip_suffix("/ws"));
        let authority = url.unwrap_or_else(|| panic!("{name} says {line:?}")).to_owned();
        Example { process, authority, _folder: folder }
    }

    async fn connect(&self, number: usize, subprotocol: Option<&str>) -> Client {
        let mut request = format!("ws://{}/ws", self.authority).into_client_request().unwrap();
        if number > 0 {
            let credential = BASE64_STANDARD.encode(format!("user-{number}:password-{number}"));
            request.headers_mut().insert("authorization", format!("Basic {credential}").parse().unwrap());
        }
        if let Some(subprotocol) = subprotocol {
            request.headers_mut().insert("sec-websocket-protocol", subprotocol.parse().unwrap());
        }
        let stream = TcpStream::connect(&self.authority).await.unwrap();
        Client(timeout(DEADLINE, client_async(request, stream)).await.unwrap().unwrap().0)
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.authority).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.authority);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    /// Ctrl-C.
    #[cfg(unix)]
    fn interrupt(&self) {
        assert!(Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // One that has ended by itself is only waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `cargo test` puts examples beside the folder that this test is in.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        timeout(DEADLINE, self.0.next()).await.expect("nothing came").expect("the end").unwrap()
    }

    async fn expect_text(&mut self, text: &str) {
        assert_eq!(self.next().await, Message::text(text));
    }

    async fn next_json(&mut self) -> Value {
        serde_json::from_str(self.next().await.to_text().unwrap()).unwrap()
    }

    /// Sends an event and gives everything up to its ack.
    async fn event(&mut self, event: &str, data: Value, ack_id: u64) -> Vec<Value> {
        let frame = json!({"type": "event", "event": event, "dataType": "json", "data": data, "ackId": ack_id});
        self.send(Message::text(frame.to_string())).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.next_json().await;
            let is_ack = frame["ackId"] == ack_id;
            frames.push(frame);
            if is_ack {
                return frames;
            }
        }
    }
}

#[tokio::test]
async fn departments_tells_who_comes_and_goes_and_broadcasts_four_times() {
    let example = Example::start("departments", &["0"]);
    let mut mark = example.connect(1, None).await;
    mark.expect_text("Mark has logged in.").await;
    let mut second = example.connect(1, None).await;
    second.expect_text("Mark has logged in.").await;
    mark.expect_text("Mark has logged in.").await;
    let mut anna = example.connect(2, None).await;
    anna.expect_text("Anna has logged in.").await;

    anna.send(Message::text("go")).await;
    mark.expect_text("Hello All Members.").await;
    anna.expect_text("Hello All Members.").await;
    anna.expect_text("Hello Sales Members.").await;
    let missing = anna.next().await;
    assert!(missing.to_text().unwrap().starts_with("NotFound"), "{missing:?}");

    let mut ines = example.connect(3, None).await;
    ines.expect_text("Ines has logged in.").await;
    ines.send(Message::text("go")).await;
    ines.expect_text("Hello All Members.").await;
    ines.expect_text("Hello Accounting Members.").await;

    second.expect_text("Hello All Members.").await;
    second.0.close(None).await.unwrap();
    mark.expect_text("Hello All Members.").await;
    mark.expect_text("Mark has disconnected.").await;
}

#[tokio::test]
async fn custom_message_publishes_the_result_when_everybody_has_voted_or_left() {
    let example = Example::start("custom_message", &["0"]);
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = example.connect(1, Some(JSON)).await;
        assert_eq!(client.next_json().await["event"], "connected");
        clients.push(client);
    }
    let [mut asker, mut voter, mut silent] = clients.try_into().unwrap_or_else(|_| panic!("three clients"));
    let nobody = asker.event("ask", json!({"group": "empty", "question": "?"}), 1).await;
    assert_eq!(nobody[0]["success"], false, "{nobody:?}");

    let asked = asker.event("ask", json!({"group": "Sales", "question": "Tea?"}), 2).await;
    let [question, ack] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((&question["data"], &ack["success"]), (&json!({"question": "Tea?"}), &json!(true)));
    for client in [&mut voter, &mut silent] {
        assert_eq!(client.next_json().await["data"]["question"], "Tea?");
    }
    let vote = |answer: &str| json!({"group": "Sales", "answer": answer});
    assert_eq!(voter.event("vote", vote("yes"), 1).await[0]["success"], true);
    assert_eq!(voter.event("vote", vote("no"), 2).await[0]["success"], false, "nobody votes twice");
    assert_eq!(asker.event("vote", vote("yes"), 3).await[0]["success"], true);
    silent.0.close(None).await.unwrap();
    for client in [&mut voter, &mut asker] {
        assert_eq!(client.next_json().await["data"]["result"], json!({"yes": 2}));
    }
}

#[tokio::test]
async fn echo_gives_back_text_binary_and_fragments() {
    for arguments in [&["0"][..], &["mount", "0"]] {
        let example = Example::start("echo", arguments);
        everything_comes_back(&example).await;
    }
}

async fn everything_comes_back(example: &Example) {
    let mut raw = example.connect(0, None).await;
    for message in [Message::text("Hellö"), Message::text(""), Message::binary(vec![0, 255]), Message::binary(vec![])]
    {
        raw.send(message.clone()).await;
        assert_eq!(raw.next().await, message);
    }
    let part = |text: &str, code, last| Message::Frame(Frame::message(text.to_owned(), OpCode::Data(code), last));
    raw.send(part("frag", Data::Text, false)).await;
    raw.send(part("men", Data::Continue, false)).await;
    raw.send(part("ted", Data::Continue, true)).await;
    raw.expect_text("fragmented").await;

    let mut json_client = example.connect(0, Some(JSON)).await;
    assert_eq!(json_client.next_json().await["event"], "connected");
    let frames = json_client.event("anything", json!({"n": [1]}), 1).await;
    assert_eq!((&frames[0]["from"], &frames[0]["data"]), (&json!("server"), &json!({"n": [1]})));
    assert_eq!(frames[1]["success"], true);
}

#[tokio::test]
async fn embed_serves_the_application_and_the_websocket_either_way() {
    for arguments in [&["0"][..], &["mount", "0"]] {
        let mut example = Example::start("embed", arguments);
        let hello = example.get("/hello").await;
        assert!(hello.ends_with("Hello from the application.\n"), "{hello}");
        assert!(hello.to_lowercase().contains("x-application: embed"), "{hello}");
        assert!(example.get("/health").await.ends_with("ok\n"));
        let mut mark = example.connect(1, Some(JSON)).await;
        assert_eq!(mark.next_json().await["event"], "connected");
        #[cfg(unix)]
        {
            example.interrupt();
            assert_eq!(mark.next_json().await["event"], "disconnected");
            assert!(matches!(mark.next().await, Message::Close(Some(close)) if u16::from(close.code) == 1001));
            drop(mark);
            assert!(example.process.wait().unwrap().success());
        }
    }
}
