//! `folkmoot token …`: what it makes opens a real server, and what it says of a token is what the server does.

use serde_json::{Value, json};

use crate::client::{Client, publish};
use crate::process::{Program, Workplace};

const PASSWORD: &str = "correct horse battery";

fn workplace() -> Workplace {
    Workplace::with_config("hubs: { default: chat }\n")
}

fn line(workplace: &Workplace, arguments: &[&str]) -> String {
    workplace.ok(arguments, "").trim_end().to_owned()
}

/// Status, standard output, standard error.
fn tried(workplace: &Workplace, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let output = workplace.run_with_input(arguments, input);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn endpoint(server: &Program) -> String {
    format!("http://{}", server.address)
}

#[test]
fn a_new_token_opens_the_hub_with_its_roles_groups_and_data() {
    let workplace = workplace();
    let server = workplace.serve(&[]);
    let endpoint = endpoint(&server);
    let new = ["token", "new", "--endpoint", &endpoint, "--user", "mark", "--role", "webpubsub.sendToGroup.board"];
    let more = ["--group", "board", "--claim", "username=Mark", "--claim", "desk=7", "--json"];
    let made: Value = serde_json::from_str(&line(&workplace, &[&new[..], &more].concat())).unwrap();
    let url = made["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("ws://{}/client/hubs/chat?access_token=", server.address)), "{url}");
    assert!(made["expiresAt"].as_u64().unwrap() > 1_700_000_000);
    let path = url.split_once(&server.address.to_string()).unwrap().1;
    let mut mark = Client::try_connect_to(server.address, path, &[]).unwrap();
    let members = mark.ask(json!({ "type": "listMembers", "group": "board" }), 1);
    assert_eq!(members["members"][0]["userId"], "mark", "{members}");
    assert_eq!(members["members"][0]["user"]["username"], "Mark", "{members}");
    assert_eq!(mark.ask(publish("board", "x"), 2)["success"], true);
    assert_eq!(mark.ask(publish("other", "x"), 3)["success"], false);
}

#[test]
fn a_token_of_a_store_user_means_the_user_as_the_store_has_them() {
    let workplace = workplace();
    workplace.add_user("mark", PASSWORD, &["--group", "board"]);
    let server = workplace.serve(&[]);
    let new = ["token", "new", "--endpoint", &endpoint(&server), "--user", "mark", "--store-user"];
    let token = line(&workplace, &new);
    let mut mark = Client::try_connect_to(server.address, &format!("/ws?access_token={token}"), &[]).unwrap();
    assert_eq!(mark.ask(json!({ "type": "listMembers", "group": "board" }), 1)["success"], true);

    let check = ["token", "check", &token];
    let (status, said, _) = tried(&workplace, &check, "");
    assert!(status == Some(0) && said.contains("mark (a user of the store)"), "{said}");
    workplace.ok(&["user", "disable", "mark"], "");
    let (status, _, error) = tried(&workplace, &check, "");
    assert!(status == Some(1) && error.contains("'mark' is disabled"), "{error}");
}

#[test]
fn a_good_token_is_told_with_all_that_it_says() {
    let workplace = workplace().env("FOLKMOOT__AUTH__ACCESS_KEYS", &"k".repeat(40));
    let new = ["token", "new", "--user", "mark", "--role", "webpubsub.sendToGroup", "--group", "a/b", "--claim", "x=1"];
    let token = line(&workplace, &new);
    let (status, said, error) = tried(&workplace, &["token", "check", "-"], &format!("{token}\n"));
    assert_eq!((status, error.as_str()), (Some(0), ""), "{said}");
    for part in [
        "clients of the hub 'chat' at http://127.0.0.1:8080",
        "mark",
        "webpubsub.sendToGroup",
        "a/b",
        r#"{"x":1}"#,
        "(in 59m)",
        "verdict   good",
    ] {
        assert!(said.contains(part), "'{part}' is not in {said}");
    }
    let told: Value = serde_json::from_str(&line(&workplace, &["token", "check", "--json", &token])).unwrap();
    assert_eq!((&told["good"], &told["hub"], &told["user"]), (&json!(true), &json!("chat"), &json!("mark")));
}

#[test]
fn a_token_that_would_be_refused_is_status_1_with_the_reason() {
    let workplace =
        Workplace::with_config("auth: { clock_skew: 0s }\nhubs: { default: chat, allow_undeclared: false }\n")
            .env("FOLKMOOT__AUTH__ACCESS_KEYS", &"k".repeat(40));
    let foreign = Workplace::empty().env("FOLKMOOT__AUTH__ACCESS_KEYS", &"f".repeat(40));
    let new = |more: &[&str]| line(&workplace, &[&["token", "new"], more].concat());
    let short = new(&["--expires", "1s"]);
    let api = new(&["--api", "http://127.0.0.1:8080/api/hubs"]);
    let cases = [
        (line(&foreign, &["token", "new", "--user", "eve"]), &["--hub", "chat"][..], "not signed under an access key"),
        (new(&["--hub", "other"]), &[], "no hub 'other'"),
        (new(&[]), &["--hub", "board"], "is for the hub 'chat', not for 'board'"),
        (api.clone(), &["--hub", "chat"], "opens no hub"),
        ("no.token.atall".to_owned(), &[], "not a JSON Web Token"),
        ("x".repeat(20_000), &[], "more than 8192 bytes"),
        (String::new(), &[], "there is no token"),
    ];
    for (token, more, reason) in cases {
        let (status, said, error) = tried(&workplace, &[&["token", "check", "-"], more].concat(), &token);
        assert!(status == Some(1) && error.contains(reason), "{token}: {said}{error}");
    }
    assert_eq!(tried(&workplace, &["token", "check", "-"], &api).0, Some(0));
    let expired = || tried(&workplace, &["token", "check", &short], "");
    crate::process::eventually("the token expires", || expired().0 == Some(1));
    assert!(expired().2.contains("expired"), "{:?}", expired());
}

#[test]
fn what_a_foreign_token_says_cannot_steer_the_terminal() {
    let foreign = Workplace::empty().env("FOLKMOOT__AUTH__ACCESS_KEYS", &"f".repeat(40));
    let token = line(&foreign, &["token", "new", "--claim", "name=\"\u{1b}]0;owned\u{7}\u{202e}\""]);
    let workplace = workplace().env("FOLKMOOT__AUTH__ACCESS_KEYS", &"k".repeat(40));
    let (_, said, _) = tried(&workplace, &["token", "check", &token], "");
    assert!(said.contains("owned") && !said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
}

#[test]
fn the_connection_string_names_the_public_url_and_the_key_that_the_server_made() {
    let workplace = workplace();
    let (status, said, error) = tried(&workplace, &["token", "connection-string"], "");
    assert!(status == Some(1) && said.is_empty() && error.contains("access.key is not there"), "{error}");
    assert!(!workplace.path().join("data").exists(), "looking for a key makes none");

    drop(workplace.serve(&[]));
    let key = std::fs::read_to_string(workplace.path().join("data/access.key")).unwrap();
    let string = |more: &[&str]| line(&workplace, &[&["token", "connection-string"], more].concat());
    assert_eq!(string(&[]), format!("Endpoint=http://127.0.0.1:8080;AccessKey={key};Version=1.0;"));
    let public = ["--set", r#"server.public_urls=["https://chat.example.com/base/"]"#];
    assert_eq!(string(&public), format!("Endpoint=https://chat.example.com/base;AccessKey={key};Version=1.0;"));
    let named = string(&["--endpoint", "https://other.example:8443"]);
    assert_eq!(named, format!("Endpoint=https://other.example:8443;AccessKey={key};Version=1.0;"));
}

#[test]
fn what_no_token_can_say_is_refused_before_anything_is_signed() {
    let workplace = workplace().env("FOLKMOOT__AUTH__ACCESS_KEYS", &"k".repeat(40));
    let cases = [
        (&["--role", "webpubsub.fly"][..], 2, "unknown role"),
        (&["--claim", "aud=x"], 2, "cannot be chosen"),
        (&["--claim", "folkmoot.user=true"], 2, "cannot be chosen"),
        (&["--expires", "0s"], 2, "at least a second"),
        (&["--store-user"], 2, "--user"),
        (&["--group", "sales/*"], 1, "wildcard"),
        (&["--hub", "folkmoot.admin", "--user", "x"], 1, "--store-user"),
        (&["--api"], 1, "--user"),
        (&["--api", "api/hubs"], 1, "the URL of a request"),
        (&["--set", "server.port=0"], 1, "in the configuration is 0"),
    ];
    for (more, expected, reason) in cases {
        let (status, said, error) = tried(&workplace, &[&["token", "new"], more].concat(), "");
        assert!(status == Some(expected) && said.is_empty() && error.contains(reason), "{more:?}: {said}{error}");
    }
}
