//! What must not be in a log, however much is logged.

use serde_json::{Value, json};

use crate::client::{Client, basic, http, publish};
use crate::process::Workplace;

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
