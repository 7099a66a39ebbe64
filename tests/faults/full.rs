//! A disk without room: for what is logged, and for the user store.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::client::{Client, basic, http, publish};
use crate::process::{Workplace, eventually};
use crate::store::knock;

const PASSWORD: &str = "correct horse battery";
const QUIET: [&str; 2] = ["--set", "hubs.declared.chat.announcements.enabled=false"];

#[test]
fn it_serves_although_nothing_can_be_logged() {
    let workplace = Workplace::demo().env("RUST_LOG", "trace");
    let server = workplace.serve_by_shell("exec \"$@\" 2>/dev/full", &QUIET);
    let mut member = Client::connect(server.address, "user-1", "password-1");
    let wrong = basic("user-2", "a wrong password");
    assert_eq!(Client::try_connect(server.address, &[("Authorization", &wrong)]).err(), Some(401));
    member.join("news", 1);
    assert_eq!(member.ask(publish("news", "unheard of"), 2)["success"], true);
    assert_eq!(http(server.address, "GET /health", &[], "").0, 200);
    let mut server = server;
    server.signal("TERM");
    assert!(server.wait().success(), "and it ends as it should");
}

#[test]
fn it_serves_although_its_greeting_reaches_nobody() {
    let workplace = Workplace::demo();
    // A port that nobody says has to be known before.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new(env!("CARGO_BIN_EXE_folkmoot"))
        .args(["--set", &format!("server.port={port}")])
        .current_dir(workplace.path())
        .stdout(std::fs::File::options().write(true).open("/dev/full").unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
    let told = said.any(|line| line.contains("the greeting cannot be written"));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let answer = told.then(|| knock(address, "user-1", "password-1").0);
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(answer, Some(101));
}

#[test]
fn commands_whose_output_cannot_be_written_fail_without_a_panic() {
    let workplace = Workplace::demo();
    workplace.add_user("mark", PASSWORD, &[]);
    let binary = env!("CARGO_BIN_EXE_folkmoot");
    for arguments in ["user list", "user show mark", "config check", "user show nobody"] {
        for streams in [">/dev/full", ">/dev/full 2>/dev/full"] {
            let words = format!("{binary} {arguments} {streams}");
            let output = Command::new("sh").arg("-c").arg(&words).current_dir(workplace.path()).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn logins_go_on_although_the_store_cannot_grow_and_nothing_of_it_is_lost() {
    let workplace = Workplace::demo();
    workplace.add_user("mark", PASSWORD, &[]);
    workplace.add_user("anna", PASSWORD, &[]);
    // What a full disk is to it: its files cannot grow, beyond 256 KiB here, which a shell counts in blocks of 512 bytes.
    // The signal for it is ignored, so that writing is what fails.
    let full = "trap '' XFSZ && ulimit -f 512 && exec \"$@\"";
    let server = workplace.serve_by_shell(full, &QUIET);
    let mut member = Client::connect(server.address, "mark", PASSWORD);
    let big = format!("{{\"note\":\"{}\"}}", "x".repeat(15_000));
    let add = |login: &str| {
        let words = format!("{full} 2>&1");
        let program = env!("CARGO_BIN_EXE_folkmoot");
        let mut command = Command::new("sh");
        command.arg("-c").arg(&words).arg("sh").args([
            program,
            "user",
            "add",
            login,
            "--password-stdin",
            "--data",
            &big,
        ]);
        let mut child =
            command.current_dir(workplace.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), PASSWORD.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let mut added = Vec::new();
    let refused = loop {
        let login = format!("more-{}", added.len());
        let output = add(&login);
        if !output.status.success() {
            break output;
        }
        added.push(login);
        assert!(added.len() < 200, "the disk is not full");
    };
    assert!(!added.is_empty(), "there was room for some");
    let said = String::from_utf8(refused.stdout).unwrap();
    assert!(refused.status.code() == Some(1) && said.lines().count() == 1 && said.contains("user store"), "{said}");
    assert_eq!(knock(server.address, "anna", PASSWORD).0, 101, "logins read only");
    assert_eq!(member.ask(publish("news", "still here"), 1)["success"], true);
    assert_eq!(http(server.address, "GET /ready", &[], "").0, 200);

    // There is room again.
    workplace.add_user("late", PASSWORD, &[]);
    eventually("who was added since is let in", || knock(server.address, "late", PASSWORD).0 == 101);
    for login in added.iter().take(3) {
        assert_eq!(knock(server.address, login, PASSWORD).0, 101, "{login}");
    }
}
