//! `folkmoot connect` in pipes: what scripts get from it.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::client::{Client, publish};
use super::process::{Program, Workplace, eventually};

/// A client that runs; killed when dropped.
struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    out: Printed,
    err: Printed,
}

type Printed = Arc<std::sync::Mutex<String>>;

impl Talk {
    fn start(arguments: &[&str], password: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_folkmoot"));
        command.env_remove("FOLKMOOT_TOKEN").env("FOLKMOOT_PASSWORD", password).arg("connect").args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (follow(child.stdout.take().unwrap()), follow(child.stderr.take().unwrap()));
        Talk { input: child.stdin.take(), child, out, err }
    }

    /// As a user of the demo, who is ready when the server has let them in.
    fn connect(server: &Program, number: u32, more: &[&str]) -> Self {
        let url = format!("ws://{}", server.address);
        let talk =
            Talk::start(&[&[&url, "--login", &format!("user-{number}")], more].concat(), &format!("password-{number}"));
        talk.wait_for_remark("-- Connected as ");
        talk
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ends the input.
    fn end(mut self) -> (ExitStatus, String, String) {
        self.input = None;
        self.wait()
    }

    fn wait(mut self) -> (ExitStatus, String, String) {
        eventually("the end of a client", || self.child.try_wait().unwrap().is_some());
        let status = self.child.wait().unwrap();
        // What it printed last may still be on its way through the threads of this test.
        eventually("the end of what it printed", || Arc::strong_count(&self.out) + Arc::strong_count(&self.err) == 2);
        (status, text(&self.out), text(&self.err))
    }

    fn wait_for(&self, wanted: &str) {
        eventually(&format!("'{wanted}' in\n{}", text(&self.err)), || text(&self.out).contains(wanted));
    }

    fn wait_for_remark(&self, wanted: &str) {
        eventually(wanted, || text(&self.err).contains(wanted));
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<ExitStatus> = self.child.wait();
        if thread::panicking() {
            eprintln!("--- a client printed\n{}\n--- and remarked\n{}", text(&self.out), text(&self.err));
        }
    }
}

fn text(printed: &Printed) -> String {
    printed.lock().unwrap().clone()
}

fn follow(mut source: impl std::io::Read + Send + 'static) -> Printed {
    let printed = Printed::default();
    let ours = printed.clone();
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = source.read(&mut chunk) {
            ours.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..length]));
        }
    });
    printed
}

/// The messages among what was printed.
fn messages(out: &str) -> Vec<&str> {
    out.lines().filter(|line| !line.contains("] * ")).collect()
}

#[test]
fn two_people_talk_through_pipes() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let anna = Talk::connect(&server, 2, &["--join", "Sales", "--count", "3"]);
    anna.wait_for_remark("You are in Sales.");
    let mut mark = Talk::connect(&server, 1, &[]);
    // It is from this that she knows his name.
    anna.wait_for("[Sales] * Mark has logged in.");
    mark.say("Hello.");
    mark.say("/usr/bin is no command here");
    mark.say("");
    let (status, out, err) = mark.end();
    assert_eq!((status.code(), messages(&out).len()), (Some(0), 0), "{out}{err}");
    let (status, out, err) = anna.wait();
    assert!(status.success(), "{err}");
    assert_eq!(messages(&out), ["[Sales] Mark: Hello.", "[Sales] Mark: /usr/bin is no command here", "[Sales] Mark: "]);
    assert!(out.contains("[Sales] * Mark has logged in."), "{out}");
}

#[test]
fn many_lines_arrive_in_their_order_and_each_is_acked() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let anna = Talk::connect(&server, 2, &["--join", "sales/*", "--join", "Sales", "--count", "500"]);
    anna.wait_for_remark("You are in Sales.");
    let mut mark = Talk::connect(&server, 1, &[]);
    anna.wait_for("[Sales] * Mark has logged in.");
    (0..500).for_each(|number| mark.say(&format!("line {number}")));
    assert_eq!(mark.end().0.code(), Some(0));
    let (status, out, _) = anna.wait();
    let expected: Vec<_> = (0..500).map(|number| format!("[Sales] Mark: line {number}")).collect();
    assert_eq!((status.code(), messages(&out)), (Some(0), expected.iter().map(String::as_str).collect()));
}

#[test]
fn json_is_one_frame_a_line_as_the_server_sent_it() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let mut mark = Talk::connect(&server, 1, &["--json", "--echo"]);
    mark.say("Grüße \u{1b}[2J \u{9b}");
    let (status, out, _) = mark.end();
    assert_eq!(status.code(), Some(0));
    let frames: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(frames[0]["event"], "connected");
    let message = frames.iter().find(|frame| frame["fromUserId"] == "user-1").unwrap();
    assert_eq!(message["data"], "Grüße \u{1b}[2J \u{9b}");
    assert!(frames.iter().any(|frame| frame["type"] == "ack" && frame["success"] == json!(true)), "{out}");
    assert!(!out.contains('\u{9b}') && !out.contains('\u{1b}'), "{out:?}");
}

#[test]
fn commands_work_in_a_pipe_where_they_are_asked_for() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let mut mark = Talk::connect(&server, 1, &["--commands"]);
    mark.say("/join chess");
    mark.wait_for_remark("You are in chess, and write to it.");
    mark.say("/who");
    mark.wait_for("chess: 1 member\n  Mark (user-1), Sales\n");
    mark.say("/groups");
    mark.say("/quti");
    mark.wait_for_remark("did you mean /quit?");
    mark.say("/quit");
    assert_eq!(mark.wait().0.code(), Some(1));
}

#[test]
fn a_line_that_is_refused_is_status_1_and_the_others_are_sent() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let mut mark = Talk::connect(&server, 1, &["--group", "marketing", "--must-exist"]);
    mark.say("Anybody?");
    let (status, _, err) = mark.end();
    assert_eq!(status.code(), Some(1));
    assert!(err.contains("!! Not sent: Group 'marketing' does not exist. (NotFound)"), "{err}");

    let anna = Talk::connect(&server, 2, &["--join", "Sales", "--count", "1"]);
    anna.wait_for_remark("You are in Sales.");
    let mut mark = Talk::connect(&server, 1, &[]);
    anna.wait_for("[Sales] * Mark has logged in.");
    mark.input.as_mut().unwrap().write_all(b"\xff\xfe\nafter it\n").unwrap();
    let (status, _, err) = mark.end();
    assert!(status.code() == Some(1) && err.contains("not valid UTF-8"), "{err}");
    assert_eq!(messages(&anna.wait().1), ["[Sales] Mark: after it"]);
}

#[test]
fn who_is_not_let_in_is_told_so_once() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let url = format!("ws://{}", server.address);
    for (arguments, status, sentence) in [
        (&[url.as_str(), "--login", "user-1"][..], 77, "the login or the password is wrong"),
        (&[&url, "--token", "nonsense"], 77, "the token is wrong or has expired"),
        (&[&url], 77, "--login NAME"),
        (&[&url, "--hub", "nowhere"], 77, "--login NAME"),
        (&["ws://127.0.0.1:1", "--login", "user-1"], 69, "is the server running?"),
        (&[&format!("{url}/metrics"), "--login", "user-1"], 69, "/metrics"),
        (&[&url.replace("ws:", "wss:"), "--login", "user-1"], 69, "its address begins with ws://"),
        (&["ftp://example.com"], 2, "ws://"),
        (&[&url, "--ca", "/nowhere.pem"], 2, "/nowhere.pem cannot be read"),
        (&[&url, "--login", "user-1", "--password-file", "/nowhere"], 2, "/nowhere cannot be read"),
        (&[&url, "--color", "red"], 2, "red"),
    ] {
        let (found, out, err) = Talk::start(arguments, "wrong password").end();
        assert_eq!((found.code(), out.as_str()), (Some(status), ""), "{arguments:?}: {err}");
        assert!(err.contains(sentence) && !err.contains("wrong password"), "{arguments:?}: {err}");
    }
}

#[test]
fn without_a_terminal_to_ask_at_the_ways_to_give_a_password_are_told() {
    let office = Workplace::empty();
    let output = office.run(&["connect", "ws://127.0.0.1:1", "--login", "user-1"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("FOLKMOOT_PASSWORD, or --password-file"), "{told}");
}

#[test]
fn the_address_is_that_of_the_configuration_and_the_password_that_of_a_file() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    fs::write(office.path().join("password"), "password-1\n").unwrap();
    let port = format!("server.port={}", server.address.port());
    let mark = ["connect", "--login", "user-1", "--password-file", "password", "--set", &port];
    let output = office.run_with_input(&mark, "Hello.\n");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let wrong = office.run(&["connect", "--set", "server.prot=1"]);
    assert_eq!(wrong.status.code(), Some(78));
}

#[test]
fn after_a_restart_of_the_server_the_groups_are_joined_again() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let address = server.address;
    let mut anna = Talk::connect(&server, 2, &["--join", "chess", "--listen", "--count", "1"]);
    anna.wait_for_remark("You are in chess.");
    server.signal("TERM");
    anna.wait_for_remark("!! The connection is lost");
    drop(server);
    // A line that comes in between waits for the next connection.
    anna.say("in between");
    let server = office.serve_plainly(&["--set", &format!("server.port={}", address.port())]);
    anna.wait_for_remark("-- Connected again as Anna (user-2)");
    eventually("the group is joined again", || text(&anna.err).matches("You are in chess.").count() == 2);
    let mut mark = Client::connect(server.address, "user-1", "password-1");
    // Who joins is announced with their name.
    mark.join("chess", 1);
    anna.wait_for("[chess] * Mark has logged in.");
    mark.ask(publish("chess", "Your move."), 2);
    let (status, out, err) = anna.wait();
    assert_eq!((status.code(), messages(&out)), (Some(0), vec!["[chess] Mark: Your move."]), "{err}");
}

#[test]
fn without_reconnecting_the_end_of_the_server_is_the_end() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let anna = Talk::connect(&server, 2, &["--listen", "--no-reconnect"]);
    server.signal("TERM");
    let (status, _, err) = anna.wait();
    assert!(status.code() == Some(1) && err.contains("the server closed the connection (1001"), "{err}");
}

#[test]
fn a_timeout_before_the_messages_is_status_1_and_a_mere_timeout_is_none() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let (counting, listening) = (
        Talk::connect(&server, 2, &["--count", "1", "--timeout", "10s"]),
        Talk::connect(&server, 2, &["--listen", "--timeout", "10s"]),
    );
    let (status, _, err) = counting.wait();
    assert!(status.code() == Some(1) && err.contains("0 of 1 messages came in time"), "{err}");
    assert_eq!(listening.wait().0.code(), Some(0));
}

#[test]
fn signals_end_it_with_their_status_and_the_connection_is_closed() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let mut ines = Client::connect(server.address, "user-4", "password-4");
    ines.join("sales/europe", 1);
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let anna = Talk::connect(&server, 2, &["--listen"]);
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", anna.child.id())).status();
        assert!(sent.unwrap().success());
        assert_eq!(anna.wait().0.code(), Some(status), "{signal}");
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let script = "\"$0\" connect \"$1\" --login user-1 --echo | head -n 1; exit ${PIPESTATUS[0]}";
    let mut shell = Command::new("bash");
    shell.env("FOLKMOOT_PASSWORD", "password-1").arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_folkmoot"));
    shell.arg(format!("ws://{}", server.address)).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    thread::spawn(move || while input.write_all(b"line\n").is_ok() {});
    assert_eq!(shell.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn certificates_are_trusted_where_a_file_says_so() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let ca = office.path().join("ca.pem");
    let front = tls_front(server.address, &ca);
    let url = format!("wss://localhost:{}", front.port());
    let (status, _, err) = Talk::start(&[&url, "--login", "user-1"], "password-1").end();
    assert!(status.code() == Some(69) && err.contains("--ca FILE"), "{err}");
    let mark = Talk::start(&[&url, "--login", "user-1", "--ca", ca.to_str().unwrap()], "password-1");
    mark.wait_for_remark("-- Connected as Mark (user-1), in Sales.");
    assert_eq!(mark.end().0.code(), Some(0));
}

/// Takes TLS off in front of a server, with a certificate of its own that it writes to a file.
fn tls_front(server: SocketAddr, ca: &Path) -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(ca, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (ready, is_ready) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            ready.send(()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                // Who does not trust us goes away.
                let Ok(mut outside) = acceptor.accept(stream).await else { continue };
                tokio::spawn(async move {
                    let mut inside = TcpStream::connect(server).await.unwrap();
                    let _: std::io::Result<(u64, u64)> = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
    });
    is_ready.recv().unwrap();
    address
}
