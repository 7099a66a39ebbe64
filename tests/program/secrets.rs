//! What must not be in a log, however much is logged.

use serde_json::{Value, json};

use crate::client::{Client, basic, http, publish};
use crate::process::{Workplace, eventually};

const KEY: &str = "an-access-key-that-nobody-may-ever-read";

#[test]
fn no_password_no_token_no_key_and_no_payload_is_logged_at_any_level() {
    let workplace = Workplace::demo().env("RUST_LOG", "trace").env("FOLKMOOT__AUTH__ACCESS_KEYS", KEY);
    workplace.add_user("mark", "swordfish-is-the-word", &[]);
    let server = workplace.serve(&[]);
    let login = basic("mark", "swordfish-is-the-word");
    let wrong = basic("mark", "sturgeon-is-not");

    let mut client = Client::try_connect(server.address, &[("Authorization", &login)]).unwrap();
    client.join("secret-garden", 1);
    client.ask(publish("secret-garden", "payload-in-text"), 2);
    client.ask(
        json!({ "type": "sendToGroup", "group": "secret-garden", "dataType": "json", "data": { "a": "payload-in-json" } }),
        3,
    );
    client.ask(json!({ "type": "event", "event": "e", "dataType": "text", "data": "payload-in-event" }), 4);
    assert_eq!(Client::try_connect(server.address, &[("Authorization", &wrong)]).err(), Some(401));
    assert_eq!(Client::try_connect(server.address, &[("Authorization", "Basic payload!in!header")]).err(), Some(401));

    let (status, answer) = http(server.address, "POST /auth/token", &[("Authorization", &login)], "");
    assert_eq!(status, 200, "{answer}");
    let token = serde_json::from_str::<Value>(&answer).unwrap()["token"].as_str().unwrap().to_owned();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let by_form = "login=mark&password=swordfish-is-the-word";
    assert_eq!(http(server.address, "POST /auth/token", &form, by_form).0, 200);
    Client::try_connect_to(server.address, &format!("/ws?access_token={token}"), &[]).unwrap();
    Client::try_connect(server.address, &[("Authorization", &format!("Bearer {token}"))]).unwrap();
    let forged = format!("{token}x");
    assert_eq!(Client::try_connect_to(server.address, &format!("/ws?access_token={forged}"), &[]).err(), Some(401));
    // A frame that is not valid ends the connection, with its text in hand.
    client.send(&json!({ "type": "payload-in-type" }));
    client.rest();

    let log = server.printed();
    assert!(log.contains("TRACE"), "so much is logged that this test can fail: {log}");
    let (_, credentials) = login.split_once(' ').unwrap();
    let (_, wrong) = wrong.split_once(' ').unwrap();
    let secrets = ["swordfish", "sturgeon", "payload", credentials, wrong, &token, KEY, "argon2id$"];
    for secret in secrets {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "'{secret}' is in the log: {lines:#?}");
    }
}

#[test]
fn access_keys_in_a_file_are_exchanged_by_a_reload_and_shown_nowhere() {
    let workplace = Workplace::empty().env("FOLKMOOT__AUTH__ACCESS_KEYS_FILE", "keys").env("RUST_LOG", "trace");
    let file = workplace.path().join("keys");
    let new = KEY.replace("read", "know");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    workplace.add_user("mark", "swordfish-is-the-word", &[]);
    let login = [("Authorization", &*basic("mark", "swordfish-is-the-word"))];
    let server = workplace.serve(&[]);
    let url = || {
        let (status, answer) = http(server.address, "POST /auth/token", &login, "");
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        format!("/ws?access_token={}", answer["token"].as_str().unwrap())
    };
    let status_of = |url: &str| Client::try_connect_to(server.address, url, &[]).err();
    let reload = |content: &str, told: &str| {
        std::fs::write(&file, content).unwrap();
        let before = server.printed().matches(told).count();
        server.signal("HUP");
        eventually("the outcome of a reload in the log", || server.printed().matches(told).count() > before);
    };

    let old = url();
    reload(&format!("{new}\n{KEY}\n"), "the configuration has been read again");
    assert_eq!(status_of(&old), None);
    reload("\n", "nothing is changed");
    assert_eq!(status_of(&old), None, "a file that is empty changes nothing");
    reload(&new, "the configuration has been read again");
    assert_eq!(status_of(&old), Some(401));
    assert_eq!(status_of(&url()), None);

    let shown = workplace.ok(&["config", "show"], "") + &workplace.ok(&["config", "show", "--origin"], "");
    for text in [server.printed(), shown] {
        assert!(!text.contains("an-access-key"), "{text}");
    }
}

#[test]
fn a_database_is_named_by_a_file() {
    let workplace = Workplace::empty().env("FOLKMOOT__USERS__DATABASE_FILE", "database");
    let file = workplace.path().join("database");
    std::fs::write(&file, "sqlite://elsewhere.db\n").unwrap();
    workplace.add_user("mark", "swordfish-is-the-word", &[]);
    assert!(workplace.path().join("elsewhere.db").exists());

    std::fs::remove_file(&file).unwrap();
    let output = workplace.run(&["config", "check"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78));
    assert!(told.contains("'users.database_file': database cannot be read"), "{told}");
}
