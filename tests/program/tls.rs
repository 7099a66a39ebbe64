//! TLS as an operator meets it: files that are wrong, what the start says, and a certificate that is renewed by SIGHUP.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use crate::authority::{Authority, certificate_in};
use crate::client::{basic, http, publish};
use crate::notes::skipped;
use crate::process::{PATIENCE, Program, Workplace, eventually};

type Stream = StreamOwned<ClientConnection, TcpStream>;

const TLS: [&str; 4] = ["--set", "server.tls.cert=cert.pem", "--set", "server.tls.key=key.pem"];

fn connect(server: &Program, trusted: &Arc<ClientConfig>) -> Stream {
    let tcp = TcpStream::connect(server.address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut tls = ClientConnection::new(trusted.clone(), server.address.ip().into()).unwrap();
    let mut stream = tcp.try_clone().unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).unwrap();
    }
    StreamOwned::new(tls, tcp)
}

fn shown(server: &Program, trusted: &Arc<ClientConfig>) -> CertificateDer<'static> {
    connect(server, trusted).conn.peer_certificates().unwrap()[0].clone()
}

/// A member of the demo's `Sales`.
fn member(server: &Program, trusted: &Arc<ClientConfig>, number: usize) -> WebSocket<Stream> {
    let mut request = format!("wss://{}/ws", server.address).into_client_request().unwrap();
    let login = basic(&format!("user-{number}"), &format!("password-{number}"));
    request.headers_mut().insert("Authorization", login.parse().unwrap());
    request.headers_mut().insert("Sec-WebSocket-Protocol", "json.webpubsub.azure.v1".parse().unwrap());
    let (mut socket, _) = client(request, connect(server, trusted)).unwrap();
    assert_eq!(next(&mut socket)["event"], "connected");
    socket.send(Message::text(json!({"type": "joinGroup", "group": "Sales", "ackId": 1}).to_string())).unwrap();
    until(&mut socket, |frame| frame["ackId"] == 1);
    socket
}

fn next(socket: &mut WebSocket<Stream>) -> Value {
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

fn until(socket: &mut WebSocket<Stream>, wanted: impl Fn(&Value) -> bool) {
    while !wanted(&next(socket)) {}
}

#[test]
fn sighup_brings_a_new_certificate_and_whoever_is_connected_stays() {
    let workplace = Workplace::demo();
    let authority = Authority::new();
    let trusted = authority.client_config();
    let files = authority.issue_into(workplace.path());
    let server = workplace.serve(&TLS);
    assert!(server.greeting().contains(&format!("wss://{}/ws", server.address)), "{}", server.greeting());
    assert!(server.greeting().contains(&format!("https://{}/health", server.address)), "{}", server.greeting());
    let first = certificate_in(&files.cert);
    assert_eq!(shown(&server, &trusted), first);
    let mut mark = member(&server, &trusted, 1);

    authority.issue_into(workplace.path());
    let second = certificate_in(&files.cert);
    server.signal("HUP");
    eventually("the new certificate is shown", || shown(&server, &trusted) == second);

    std::fs::write(&files.key, "nonsense").unwrap();
    server.signal("HUP");
    server.wait_for("server.tls.key");
    assert_eq!(shown(&server, &trusted), second, "the old one goes on");

    let mut anna = member(&server, &trusted, 2);
    anna.send(Message::text(publish("Sales", "still here").to_string())).unwrap();
    until(&mut mark, |frame| frame["data"] == "still here");
    mark.send(Message::text(publish("Sales", "so am I").to_string())).unwrap();
    until(&mut anna, |frame| frame["data"] == "so am I");
}

#[test]
fn openssl_is_shown_the_whole_chain() {
    let workplace = Workplace::demo();
    let authority = Authority::new();
    let files = authority.issue_into(workplace.path());
    // As authorities give them: the certificate, and behind it those that lead to a known one.
    let chain = std::fs::read_to_string(&files.cert).unwrap() + &authority.pem();
    std::fs::write(&files.cert, chain).unwrap();
    let root = workplace.path().join("root.pem");
    std::fs::write(&root, authority.pem()).unwrap();
    let server = workplace.serve(&TLS);
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &server.address.to_string(), "-showcerts", "-CAfile"]).arg(&root);
    openssl.args(["-verify_ip", "127.0.0.1", "-verify_return_error"]);
    let Ok(output) = openssl.stdin(Stdio::null()).output() else {
        return skipped("openssl_is_shown_the_whole_chain", "there is no openssl");
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2, "{text}");
}

fn fails(workplace: &Workplace, arguments: &[&str]) -> String {
    let arguments = [&["serve", "--set", "server.port=0"], arguments].concat();
    let output = workplace.run(&arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    said
}

fn write(workplace: &Workplace, name: &str, text: &str) {
    std::fs::write(workplace.path().join(name), text).unwrap();
}

#[test]
fn files_that_cannot_be_used_end_the_start_with_the_setting_and_the_file() {
    let workplace = Workplace::empty();
    let said = fails(&workplace, &TLS);
    assert!(said.contains("server.tls.cert: cert.pem: cannot be read: No such file"), "{said}");
    let authority = Authority::new();
    let ((cert, _), (_, other)) = (authority.issue(), authority.issue());
    write(&workplace, "cert.pem", &cert);
    write(&workplace, "key.pem", &other);
    let said = fails(&workplace, &TLS);
    assert!(said.contains("server.tls.key: key.pem: is not the private key of the certificate"), "{said}");
    let said = fails(&workplace, &TLS[..2]);
    assert!(said.contains("server.tls.key"), "{said}");
    assert!(!said.contains("PRIVATE KEY"));
}

#[test]
fn a_key_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let (workplace, authority) = (Workplace::demo(), Authority::new());
    let files = authority.issue_into(workplace.path());
    let allow = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    const WARNING: &str = "can read the private key";
    allow(&files.key, 0o640);
    assert!(!workplace.serve(&TLS).printed().contains(WARNING));
    allow(&files.key, 0o644);
    workplace.serve(&TLS).wait_for(WARNING);
}

#[test]
fn the_internal_listener_is_named_by_the_start_and_ends_with_the_server() {
    let workplace = Workplace::demo();
    let mut server = workplace.serve(&["--set", "server.internal.port=0"]);
    let greeting = server.greeting().to_owned();
    let line =
        greeting.lines().find(|line| line.trim_start().starts_with("Internal")).unwrap_or_else(|| panic!("{greeting}"));
    let inside = line.split_once("http://").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    assert!(greeting.contains(&format!("http://{inside}/metrics")), "{greeting}");
    assert_eq!(http(inside, "GET /metrics", &[], "").0, 200);
    assert_eq!(http(server.address, "GET /metrics", &[], "").0, 404);
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(TcpStream::connect(inside).is_err());
    assert!(!server.printed().contains("ERROR"), "{}", server.printed());
}

#[test]
fn a_port_of_the_internal_listener_that_is_taken_is_told_with_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("server.internal.port={}", taken.local_addr().unwrap().port());
    let output = Workplace::empty().run(&["serve", "--set", "server.port=0", "--set", &port]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--set server.internal.port=") && !output.status.success(), "{said}");
}
