//! Holds the conversations of `docs/protocol.md` with a real server, and compares its tables with the code.
//!
//! A conversation is a block ```` ```conversation ````; each runs against a server of its own with the repository's
//! `config.yaml`. Its lines, where one that is indented goes on with the line before:
//!
//! - `mark connects as user-1 [raw|reliable] [to /ws?query]`
//! - `mark → {…}` sends a message, `mark ← {…}` is the next that comes; `<mark>` stands for a connection id that is
//!   learned where it first appears, and so does `<token>` for what lets it come back
//! - `mark returns as <mark> with <token>` loses the socket and comes back by another
//! - `mark closes 1000` sends a close frame, `mark × 1000 [reason]` is the one that comes
//!
//! At the end nobody may have received anything else.

#![cfg(feature = "sqlite")]

use std::collections::HashMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use folkmoot::config::Config;
use folkmoot::{Disconnect, DisconnectKind, ErrorCode, Server};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const RELIABLE: &str = "json.reliable.webpubsub.azure.v1";
const PATIENCE: Duration = Duration::from_secs(10);

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md")).unwrap()
}

/// One line of a conversation, with its number in the page.
#[derive(Debug, PartialEq)]
struct Line {
    number: usize,
    text: String,
}

/// The conversations of a page.
fn conversations(page: &str) -> Vec<Vec<Line>> {
    let mut found: Vec<Vec<Line>> = Vec::new();
    let mut inside = false;
    for (number, text) in (1..).zip(page.lines()) {
        match text {
            "```conversation" => {
                inside = true;
                found.push(Vec::new());
            }
            "```" => inside = false,
            _ if inside => {
                let lines = found.last_mut().expect("inside a conversation");
                match lines.last_mut().filter(|_| text.starts_with(' ')) {
                    Some(line) => line.text.push_str(text.trim_start()),
                    None => lines.push(Line { number, text: text.to_owned() }),
                }
            }
            _ => {}
        }
    }
    found
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(address: SocketAddr, login: &str, subprotocol: Option<&'static str>, path: &str) -> Socket {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    let password = login.replace("user", "password");
    let basic = BASE64_STANDARD.encode(format!("{login}:{password}"));
    request.headers_mut().insert("authorization", format!("Basic {basic}").parse().unwrap());
    if let Some(subprotocol) = subprotocol {
        request.headers_mut().insert("sec-websocket-protocol", subprotocol.parse().unwrap());
    }
    connect_async(request).await.unwrap().0
}

async fn next(socket: &mut Socket) -> Message {
    timeout(PATIENCE, socket.next()).await.expect("nothing came in time").expect("the connection ended").unwrap()
}

/// Whether the frame that came is the one of the page.
fn is_same(expected: &Value, came: &Value, ids: &mut HashMap<String, String>) -> bool {
    match (expected, came) {
        (Value::String(expected), Value::String(came)) if expected.starts_with('<') && expected.ends_with('>') => {
            (came.len() == 32 || expected == "<token>")
                && ids.entry(expected.clone()).or_insert_with(|| came.clone()) == came
        }
        (Value::Array(expected), Value::Array(came)) => {
            expected.len() == came.len() && expected.iter().zip(came).all(|(one, other)| is_same(one, other, ids))
        }
        (Value::Object(expected), Value::Object(came)) => {
            expected.len() == came.len()
                && expected.iter().all(|(name, one)| came.get(name).is_some_and(|other| is_same(one, other, ids)))
        }
        _ => expected == came,
    }
}

struct Conversation {
    address: SocketAddr,
    people: HashMap<String, Socket>,
    ids: HashMap<String, String>,
}

impl Conversation {
    async fn hold(&mut self, line: &str) {
        let (name, rest) = line.split_once(' ').expect("a line begins with a name");
        let (verb, rest) = rest.split_once(' ').expect("a verb follows the name");
        if verb == "connects" {
            let mut words = rest.split(' ').skip_while(|word| *word == "as");
            let login = words.next().expect("a login");
            let words: Vec<_> = words.collect();
            let path = words.iter().position(|word| *word == "to").map_or("/ws", |to| words[to + 1]);
            let subprotocol = match &words[..] {
                ["raw", ..] => None,
                ["reliable", ..] => Some(RELIABLE),
                _ => Some("json.webpubsub.azure.v1"),
            };
            let socket = connect(self.address, login, subprotocol, path).await;
            assert!(self.people.insert(name.to_owned(), socket).is_none(), "{name} is here already");
            return;
        }
        if verb == "returns" {
            let (id, token) = rest.strip_prefix("as ").unwrap().split_once(" with ").expect("an id and a token");
            let path = format!("/ws?awps_connection_id={}&awps_reconnection_token={}", self.ids[id], self.ids[token]);
            // Whether or not the server has noticed that the socket before is gone.
            drop(self.people.remove(name));
            self.people.insert(name.to_owned(), connect(self.address, "nobody", Some(RELIABLE), &path).await);
            return;
        }
        let socket = self.people.get_mut(name).expect("who speaks is connected");
        match verb {
            "→" => socket.send(Message::text(rest)).await.unwrap(),
            "←" => {
                let came = next(socket).await.into_text().unwrap();
                match serde_json::from_str(rest) {
                    Ok(expected) => {
                        let frame = serde_json::from_str(&came).unwrap();
                        assert!(is_same(&expected, &frame, &mut self.ids), "came: {came}");
                    }
                    Err(_) => assert_eq!(came.as_str(), rest),
                }
            }
            "closes" => {
                let close = CloseFrame { code: rest.parse::<u16>().unwrap().into(), reason: "".into() };
                socket.send(Message::Close(Some(close))).await.unwrap();
            }
            "×" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                let Message::Close(Some(close)) = next(socket).await else { panic!("no close frame came") };
                assert_eq!((u16::from(close.code).to_string().as_str(), close.reason.as_str()), (code, reason));
                self.people.remove(name);
            }
            _ => panic!("'{verb}' is no verb"),
        }
    }

    /// The answer to a ping is the next thing that everybody gets.
    async fn expect_silence(&mut self) {
        for (name, socket) in &mut self.people {
            socket.send(Message::Ping(Bytes::from_static(b"the end"))).await.unwrap();
            let came = next(socket).await;
            assert!(matches!(came, Message::Pong(_)), "{name} also received {came}");
        }
    }
}

/// Tells which line of the page it was when one of them panics.
struct Whereabouts<'a>(&'a Line);

impl Drop for Whereabouts<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("docs/protocol.md:{}: {}", self.0.number, self.0.text);
        }
    }
}

#[test]
fn the_conversations_of_the_page_are_held() {
    let folder = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.yaml");
    let sets = [
        "server.port=0".to_owned(),
        "shutdown.timeout=1s".to_owned(),
        format!("data_dir={}", folder.path().join("data").display()),
    ];
    let config = Config::load(Some(&file), [], &sets).unwrap().config;
    let conversations = conversations(&page());
    assert!(conversations.len() >= 8, "the page has lost its conversations");
    actix_rt::System::new().block_on(async {
        for lines in conversations {
            let running = Server::new(config.clone()).start().await.unwrap();
            let (people, ids) = (HashMap::new(), HashMap::new());
            let mut conversation = Conversation { address: running.address(), people, ids };
            for line in &lines {
                let here = Whereabouts(line);
                conversation.hold(&line.text).await;
                drop(here);
            }
            conversation.expect_silence().await;
            drop(conversation);
            running.stop().await;
        }
    });
}

fn assert_row(page: &str, cells: &[&dyn Display]) {
    let row: String = cells.iter().map(|cell| format!("| {cell} ")).collect();
    assert!(page.lines().any(|line| line.starts_with(&row)), "docs/protocol.md lacks the row: {row}|");
}

#[test]
fn the_tables_of_the_page_are_those_of_the_code() {
    let page = page();
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    for kind in DisconnectKind::ALL {
        let end = Disconnect::new(kind);
        let (code, reconnect, leave) = (end.close_code(), yes(end.should_reconnect()), end.leave_reason());
        assert_row(&page, &[&code, &end.name(), &end.reason(), &reconnect, &leave]);
    }
    let codes = [
        ErrorCode::BadRequest,
        ErrorCode::Duplicate,
        ErrorCode::Forbidden,
        ErrorCode::InternalServerError,
        ErrorCode::LimitReached,
        ErrorCode::NotFound,
        ErrorCode::Timeout,
    ];
    for code in codes {
        let name = format!("| `{}` |", code.name());
        let again = if code.is_transient() { "| may help |" } else { "| never helps |" };
        let row = page.lines().find(|line| line.starts_with(&name));
        assert!(row.is_some_and(|row| row.ends_with(again)), "docs/protocol.md lacks {name} … {again}");
    }
}

#[test]
fn conversations_are_found_and_indented_lines_go_on() {
    let page = "text\n```conversation\na → {\"x\":1,\n     \"y\":2}\na × 1000\n```\n```json\n{}\n```\n";
    let line = |number, text: &str| Line { number, text: text.to_owned() };
    assert_eq!(conversations(page), [[line(3, "a → {\"x\":1,\"y\":2}"), line(5, "a × 1000")]]);
}

#[test]
fn a_placeholder_is_one_id_wherever_it_stands() {
    let (one, other) = ("a".repeat(32), "b".repeat(32));
    let expected = serde_json::json!([{"id": "<mark>"}, "<mark>"]);
    let same = |came: Value| is_same(&expected, &came, &mut HashMap::new());
    assert!(same(serde_json::json!([{"id": one}, one])));
    assert!(!same(serde_json::json!([{"id": one}, other])));
    assert!(!same(serde_json::json!([{"id": one, "more": 1}, one])));
    assert!(!same(serde_json::json!([{"id": "short"}, "short"])));
}
