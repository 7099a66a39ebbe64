//! What a start brings about, and how it fails.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::client::{Client, basic};
use crate::process::Workplace;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

#[test]
fn without_arguments_and_without_a_file_it_serves_this_machine_from_a_private_folder() {
    // The port is the only thing that must differ, because the default one may be in use here.
    let workplace = Workplace::empty().env("FOLKMOOT__SERVER__PORT", "0");
    let server = workplace.serve_plainly(&[]);
    assert!(server.address.ip().is_loopback());
    assert!(server.greeting().contains(&format!("http://{}/ready", server.address)), "{}", server.greeting());
    assert!(!server.greeting().contains("WARNING"), "{}", server.greeting());
    for wanted in [format!("http://{}/\n", server.address), format!("http://{}/admin ", server.address)] {
        assert!(server.greeting().contains(&wanted), "{wanted}: {}", server.greeting());
    }
    assert!(server.greeting().contains("folkmoot user add LOGIN"), "{}", server.greeting());
    // Somebody logs in, so that every file of the store is there.
    workplace.add_user("mark", "correct horse battery", &[]);
    Client::connect(server.address, "mark", "correct horse battery");
    let data = workplace.path().join("data");
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 4, "database, -wal, -shm and a key: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    let users = workplace.ok(&["user", "list", "--json"], "");
    assert_eq!(users.lines().count(), 1, "nobody but who was added: {users}");
}

#[test]
fn the_demo_is_in_a_database_that_was_just_created_and_the_start_warns_of_it() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&[]);
    let greeting = server.greeting();
    assert!(greeting.contains("WARNING") && greeting.contains("from this machine only"), "{greeting}");
    for n in 1..=4 {
        assert!(greeting.contains(&format!("user-{n} / password-{n}")), "{greeting}");
        Client::connect(server.address, &format!("user-{n}"), &format!("password-{n}"));
    }
    assert_eq!(workplace.ok(&["user", "list", "--json"], "").lines().count(), 4);
}

#[test]
fn pages_that_are_not_served_are_not_offered() {
    let off = ["--set", "pages.chat=false", "--set", "pages.admin=false"];
    let server = Workplace::demo().serve(&off);
    assert!(!server.greeting().contains("Chat ") && !server.greeting().contains("/admin"), "{}", server.greeting());
    // On the internal listener it is at home.
    let server = Workplace::demo().serve(&["--set", "server.internal.port=0"]);
    let main = format!("http://{}/admin", server.address);
    let greeting = server.greeting();
    assert!(greeting.contains("Dashboard  http://127.0.0.1:") && !greeting.contains(&main), "{greeting}");
}

#[test]
fn a_database_that_was_there_before_gets_no_demo_users() {
    let workplace = Workplace::demo();
    workplace.add_user("mark", "correct horse battery", &[]);
    let server = workplace.serve(&[]);
    let refused = Client::try_connect(server.address, &[("Authorization", &basic("user-1", "password-1"))]);
    assert_eq!(refused.err(), Some(401));
    assert_eq!(workplace.ok(&["user", "list", "--json"], "").lines().count(), 1);
}

#[test]
fn a_demo_user_logs_in_from_this_machine_only() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&[]);
    let login = basic("user-1", "password-1");
    assert!(Client::try_connect(server.address, &[("Authorization", &login)]).is_ok());
    for forwarding in [("X-Forwarded-For", "127.0.0.1"), ("Forwarded", "for=127.0.0.1"), ("X-Real-IP", "127.0.0.1")] {
        let refused = Client::try_connect(server.address, &[("Authorization", &login), forwarding]);
        assert_eq!(refused.err(), Some(401), "{forwarding:?}");
    }
}

#[test]
fn allow_demo_users_lets_them_in_from_elsewhere() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&["--allow-demo-users"]);
    assert!(server.greeting().contains("FROM ANYWHERE"), "{}", server.greeting());
    let headers = [("Authorization", &*basic("user-1", "password-1")), ("X-Forwarded-For", "192.0.2.7")];
    assert!(Client::try_connect(server.address, &headers).is_ok());
}

#[test]
fn a_new_password_makes_a_demo_user_an_ordinary_one() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&["--set", "users.revision_interval=100ms"]);
    workplace.ok(&["user", "passwd", "user-1", "--password-stdin"], "a password of my own\n");
    let forwarded = |password: &str| {
        let login = basic("user-1", password);
        Client::try_connect(server.address, &[("Authorization", &*login), ("X-Forwarded-For", "192.0.2.7")]).err()
    };
    assert_eq!(forwarded("a password of my own"), None);
    assert_eq!(forwarded("password-1"), Some(401));
    let shown: serde_json::Value =
        serde_json::from_str(&workplace.ok(&["user", "show", "user-1", "--json"], "")).unwrap();
    assert_ne!(shown["demo"], true, "{shown}");
}

#[test]
fn a_port_in_use_is_one_clear_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let workplace = Workplace::empty().env("RUST_LOG", "off");
    let output = workplace.run(&["--set", &format!("server.port={port}")]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("another program uses this port"), "{said}");
}

#[test]
fn a_store_out_of_reach_is_one_clear_sentence_without_its_password() {
    // A port that was free a moment ago: nobody answers there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://folkmoot:hunter2hunter2@127.0.0.1:{port}/folkmoot");
    let workplace = Workplace::empty().env("RUST_LOG", "off").env("FOLKMOOT__USERS__DATABASE", &url);
    for command in [&["--set", "server.port=0"][..], &["user", "list"]] {
        let output = workplace.run(command);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("user store") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_database_file_that_cannot_be_opened_is_one_clear_sentence() {
    let workplace = Workplace::empty().env("RUST_LOG", "off");
    std::fs::write(workplace.path().join("data"), "a file, not a folder").unwrap();
    let output = workplace.run(&["--set", "server.port=0"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("data"), "{said}");
}

#[test]
fn a_log_that_no_terminal_shows_is_json() {
    let workplace = Workplace::empty().env("FOLKMOOT__LOG__FORMAT", "auto");
    let mut server = workplace.serve(&[]);
    server.signal("TERM");
    assert!(server.wait().success());
    server.wait_for("the server has ended");
    let printed = server.printed();
    let objects = printed.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<serde_json::Value> = objects.map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = lines.iter().find(|line| line["message"].as_str().unwrap().contains("is going away")).unwrap();
    assert_eq!(
        (&end["level"], &end["target"], &end["signal"]),
        (&"info".into(), &"folkmoot::cli::serve".into(), &"SIGTERM".into())
    );
    let time = end["time"].as_str().unwrap();
    assert!(time.len() == "2026-11-23T04:06:14.123Z".len() && time.ends_with('Z'), "{time}");
    assert!(!printed.contains(" INFO "), "{printed}");
}

#[test]
fn who_starts_it_without_users_is_told_how_to_add_one() {
    let hint = "`folkmoot user add LOGIN`";
    let workplace = Workplace::empty();
    let server = workplace.serve(&[]);
    assert!(server.greeting().contains(hint), "{}", server.greeting());
    drop(server);
    workplace.add_user("mark", "swordfish-is-the-word", &[]);
    assert!(!workplace.serve(&[]).greeting().contains(hint));
    assert!(!Workplace::demo().serve(&[]).greeting().contains(hint));
}
