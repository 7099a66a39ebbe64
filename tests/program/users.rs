//! `folkmoot user …` beside a running server.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, Heard, basic, timed};
use crate::process::{Workplace, eventually};

const PASSWORD: &str = "correct horse battery";

fn workplace() -> Workplace {
    Workplace::with_config("users: { revision_interval: 100ms }\nhubs: { default: chat }\n")
}

#[test]
fn a_user_is_added_shown_and_listed_with_everything_but_the_password() {
    let workplace = workplace();
    let more = [
        &["--username", "Mark", "--department", "sales/europe", "--phone", "+55431588744134", "--age", "22"][..],
        &["--group", "admin", "--group", "board", "--role", "webpubsub.sendToGroup", "--hub", "*"],
        &["--data", r#"{"desk":7}"#],
    ]
    .concat();
    workplace.add_user("mark", PASSWORD, &more);
    workplace.add_user("anna", PASSWORD, &[]);
    let shown = workplace.ok(&["user", "show", "mark", "--json"], "");
    let user: Value = serde_json::from_str(&shown).unwrap();
    let expected = json!({
        "login": "mark", "username": "Mark", "department": "sales/europe", "phone": "+55431588744134", "age": 22,
        "groups": ["admin", "board"], "roles": ["webpubsub.sendToGroup"], "data": { "desk": 7 },
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&user[key], value, "{key}");
    }
    let listed = workplace.ok(&["user", "list", "--json"], "");
    let logins: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["login"].clone()).collect();
    assert_eq!(logins, ["anna", "mark"]);
    for text in [shown, listed, workplace.ok(&["user", "show", "mark"], ""), workplace.ok(&["user", "list"], "")] {
        assert!(text.contains("mark") && !text.contains("argon2") && !text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn who_may_send_nowhere_is_told_of_when_they_are_added() {
    let workplace = workplace();
    let add = |arguments: &[&str]| {
        workplace.ok(&[&["user", "add", "--password-stdin"], arguments].concat(), &format!("{PASSWORD}\n"))
    };
    assert!(add(&["mark"]).contains("--role webpubsub.sendToGroup"));
    assert_eq!(add(&["anna", "--role", "webpubsub.sendToGroup"]), "'anna' is added.\n");
    let defaults = "hubs.settings.default_roles=[\"webpubsub.sendToGroup\"]";
    assert_eq!(add(&["ines", "--set", defaults]), "'ines' is added.\n");
}

#[test]
fn a_user_with_more_data_than_allowed_is_not_added() {
    let workplace = workplace();
    let data = json!({ "note": "x".repeat(1000) }).to_string();
    let add = |limit: &str| {
        let limit = format!("users.max_record_bytes={limit}");
        let arguments = ["--set", &limit, "user", "add", "mark", "--password-stdin", "--data", &data];
        workplace.run_with_input(&arguments, PASSWORD)
    };
    let refused = add("1000");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("users.max_record_bytes (1000)"), "{said}");
    assert!(add("2KiB").status.success());
}

#[test]
fn what_cannot_be_done_to_a_user_is_one_sentence_and_a_status() {
    let workplace = workplace();
    workplace.add_user("mark", PASSWORD, &[]);
    let cases = [
        (&["user", "add", "mark", "--password-stdin"][..], PASSWORD, "mark"),
        (&["user", "add", "anna", "--password-stdin"], "short", "password"),
        (&["user", "add", "anna", "--password-stdin"], "", "password"),
        (&["user", "add", "anna"], PASSWORD, "--password-stdin"),
        (&["user", "disable", "nobody"], "", "nobody"),
        (&["user", "remove", "nobody"], "", "nobody"),
        (&["user", "passwd", "nobody", "--password-stdin"], PASSWORD, "nobody"),
    ];
    for (arguments, input, named) in cases {
        let output = workplace.run_with_input(arguments, input);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.lines().count() == 1 && said.contains(named), "{arguments:?}: {said}");
    }
}

#[test]
fn a_disabled_user_is_out_within_seconds_and_back_when_enabled() {
    let workplace = workplace();
    workplace.add_user("mark", PASSWORD, &[]);
    workplace.add_user("anna", PASSWORD, &[]);
    let server = workplace.serve(&[]);
    let mut mark = Client::connect(server.address, "mark", PASSWORD);
    let mut anna = Client::connect(server.address, "anna", PASSWORD);
    workplace.ok(&["user", "disable", "mark"], "");
    let ((frames, end), took) = timed(|| mark.rest());
    assert_eq!(end, Heard::Closed(1008, "the user is disabled".into()));
    assert_eq!(frames.last().unwrap()["event"], "disconnected");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let login = basic("mark", PASSWORD);
    assert_eq!(Client::try_connect(server.address, &[("Authorization", &login)]).err(), Some(401));
    assert_eq!(anna.ask(json!({ "type": "countMembers", "group": "*" }), 1)["success"], true, "anna stays");

    workplace.ok(&["user", "enable", "mark"], "");
    assert!(Client::try_connect(server.address, &[("Authorization", &login)]).is_ok());
}

#[test]
fn a_removed_user_is_out_within_seconds_for_good() {
    let workplace = workplace();
    workplace.add_user("mark", PASSWORD, &[]);
    let server = workplace.serve(&[]);
    let mut mark = Client::connect(server.address, "mark", PASSWORD);
    workplace.ok(&["user", "remove", "mark"], "");
    let ((_, end), took) = timed(|| mark.rest());
    assert_eq!(end, Heard::Closed(1008, "the user was removed".into()));
    assert!(took < Duration::from_secs(5), "{took:?}");
    let login = basic("mark", PASSWORD);
    assert_eq!(Client::try_connect(server.address, &[("Authorization", &login)]).err(), Some(401));
}

#[test]
fn a_password_that_was_changed_beside_the_server_is_forgotten_by_it() {
    let workplace = workplace();
    workplace.add_user("mark", PASSWORD, &[]);
    let server = workplace.serve(&[]);
    // Remembered for a minute from now on.
    Client::connect(server.address, "mark", PASSWORD);
    workplace.ok(&["user", "passwd", "mark", "--password-stdin"], "another password entirely");
    eventually("the old password opens nothing", || {
        Client::try_connect(server.address, &[("Authorization", &basic("mark", PASSWORD))]).err() == Some(401)
    });
    Client::connect(server.address, "mark", "another password entirely");
}

#[test]
fn a_user_who_is_added_beside_the_server_can_log_in() {
    let workplace = workplace();
    let server = workplace.serve(&[]);
    let login = basic("mark", PASSWORD);
    assert_eq!(Client::try_connect(server.address, &[("Authorization", &login)]).err(), Some(401));
    workplace.add_user("mark", PASSWORD, &[]);
    assert!(Client::try_connect(server.address, &[("Authorization", &login)]).is_ok());
}
