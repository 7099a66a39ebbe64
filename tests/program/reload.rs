//! SIGHUP: another configuration for a server that runs, all of it or nothing, and nobody is disconnected.

use std::time::Duration;

use serde_json::json;

use crate::client::{Client, Heard, basic, http, publish};
use crate::process::{Program, Workplace, eventually};

const ROLES: &str = "[webpubsub.joinLeaveGroup, webpubsub.sendToGroup]";

/// A configuration with something in `hubs.settings` and something beside it.
fn config(hubs: &str, more: &str) -> String {
    format!("hubs:\n  settings:\n    default_roles: {ROLES}\n{hubs}\n{more}\n")
}

struct Site {
    workplace: Workplace,
    server: Program,
}

impl Site {
    fn new(hubs: &str, more: &str) -> Self {
        let workplace = Workplace::with_config(&config(hubs, more));
        workplace.add_user("ada", "secret-of-ada", &["--username", "Ada", "--department", "sales"]);
        workplace.add_user("ben", "secret-of-ben", &["--username", "Ben", "--department", "sales"]);
        let server = workplace.serve(&[]);
        Site { workplace, server }
    }

    /// Writes another configuration, asks for it, and waits until the server has told what came of it.
    fn reload(&self, text: &str) {
        std::fs::write(self.workplace.path().join("config.yaml"), text).unwrap();
        let told = || {
            let printed = self.server.printed();
            printed.matches("the configuration has been read again").count()
                + printed.matches("nothing is changed").count()
        };
        let before = told();
        self.server.signal("HUP");
        eventually("the outcome of a reload in the log", || told() > before);
    }

    fn connect(&self, login: &str) -> Client {
        Client::connect(self.server.address, login, &format!("secret-of-{login}"))
    }

    fn try_connect(&self, login: &str) -> Result<Client, u16> {
        Client::try_connect(self.server.address, &[("Authorization", &basic(login, &format!("secret-of-{login}")))])
    }
}

/// What is heard until something from `group` has come: its text.
fn text_of(client: &mut Client) -> String {
    loop {
        let frame = client.frame();
        if frame["type"] == "message" {
            return frame["data"].as_str().unwrap().to_owned();
        }
    }
}

#[test]
fn announcements_are_switched_on_changed_and_switched_off_in_a_hub_that_is_open() {
    let site = Site::new("", "");
    let mut ada = site.connect("ada");
    let announced = |text: &str| format!("    announcements:\n      enabled: true\n      joined: \"{text}\"");

    site.reload(&config(&announced("{username} is here."), ""));
    let ben = site.connect("ben");
    assert_eq!(text_of(&mut ada), "Ben is here.");

    site.reload(&config(&announced("Welcome, {username}."), ""));
    drop(ben);
    assert_eq!(text_of(&mut ada), "Ben has disconnected.");
    let mut ben = site.connect("ben");
    assert_eq!(text_of(&mut ada), "Welcome, Ben.");
    assert_eq!(text_of(&mut ben), "Welcome, Ben.");

    site.reload(&config("", ""));
    let mut second = site.connect("ada");
    ben.send(&publish("sales", "after it"));
    for client in [&mut ada, &mut second] {
        assert_eq!(text_of(client), "after it", "nobody was announced");
    }
}

#[test]
fn limits_hold_at_once_and_take_nothing_from_those_who_are_there() {
    let site = Site::new("", "limits:\n  connections_per_user: 2\n  groups_per_connection: 3");
    let (mut first, _second) = (site.connect("ada"), site.connect("ada"));
    first.join("a", 1);
    first.join("b", 2);

    site.reload(&config("", "limits:\n  connections_per_user: 1\n  groups_per_connection: 2"));
    assert_eq!(site.try_connect("ada").err(), Some(429));
    let ack = first.ask(json!({ "type": "joinGroup", "group": "c" }), 3);
    assert_eq!(ack["error"]["name"], "LimitReached", "{ack}");
    first.send(&publish("b", "still in it"));
    assert_eq!(text_of(&mut first), "still in it");

    site.reload(&config("", "limits:\n  connections_per_user: 3\n  groups_per_connection: 9"));
    assert!(site.try_connect("ada").is_ok());
    first.join("c", 4);
}

#[test]
fn roles_and_limits_of_a_connection_count_for_those_who_come_later() {
    let site = Site::new("", "");
    let mut early = site.connect("ada");
    let without = "hubs:\n  settings:\n    default_roles: []\nlimits:\n  max_message_bytes: 1KiB\n";
    site.reload(without);
    let large = "x".repeat(2000);
    early.send(&publish("sales", &large));
    assert_eq!(text_of(&mut early), large);

    let mut late = site.connect("ben");
    let ack = late.ask(publish("sales", "may I?"), 1);
    assert_eq!(ack["error"]["name"], "Forbidden", "{ack}");
    late.send(&publish("sales", &large));
    assert!(matches!(late.rest().1, Heard::Closed(1009, _)));
}

#[test]
fn declared_groups_and_public_fields_change_in_a_hub_that_is_open() {
    let site = Site::new("", "");
    let mut ada = site.connect("ada");
    let to_news =
        || json!({ "type": "sendToGroup", "group": "news", "dataType": "text", "data": "x", "mustExist": true });
    assert_eq!(ada.ask(to_news(), 1)["error"]["name"], "NotFound");

    site.reload(&config("    groups: [news]", "users:\n  public_fields: [username]"));
    assert_eq!(ada.ask(to_news(), 2)["success"], true);
    let listed = ada.ask(json!({ "type": "listMembers", "group": "sales" }), 3);
    assert_eq!(listed["members"][0]["user"], json!({ "username": "Ada" }), "{listed}");

    site.reload(&config("", ""));
    assert_eq!(ada.ask(to_news(), 4)["error"]["name"], "NotFound");
    let listed = ada.ask(json!({ "type": "listMembers", "group": "sales" }), 5);
    assert_eq!(listed["members"][0]["user"]["department"], "sales", "{listed}");
}

#[test]
fn a_token_of_a_key_that_is_gone_opens_nothing_and_what_is_open_stays() {
    let key = |letter: &str| format!("auth:\n  access_keys: [\"{}\"]", letter.repeat(40));
    let site = Site::new("", &key("a"));
    let token = || {
        let login = [("Authorization", &*basic("ada", "secret-of-ada"))];
        let (status, body) = http(site.server.address, "POST /auth/token", &login, "");
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        format!("/ws?access_token={}", body["token"].as_str().unwrap())
    };
    let old = token();
    let mut open = Client::try_connect_to(site.server.address, &old, &[]).unwrap();

    site.reload(&config("", &key("b")));
    assert_eq!(Client::try_connect_to(site.server.address, &old, &[]).err(), Some(401));
    assert!(Client::try_connect_to(site.server.address, &token(), &[]).is_ok());
    open.send(&publish("sales", "still here"));
    assert_eq!(text_of(&mut open), "still here");
    let printed = site.server.printed();
    assert!(printed.contains("auth.access_keys") && !printed.contains(&"b".repeat(40)));
}

#[test]
fn a_page_of_a_new_origin_may_connect() {
    let site = Site::new("", "");
    let from = || {
        let headers = [("Authorization", &*basic("ada", "secret-of-ada")), ("Origin", "https://app.example.com")];
        Client::try_connect(site.server.address, &headers).map(drop)
    };
    assert_eq!(from(), Err(403));
    site.reload(&config("", "server:\n  origins: [\"https://app.example.com\"]"));
    assert_eq!(from(), Ok(()));
}

#[test]
fn a_wrong_configuration_is_refused_whole_and_told_with_its_place() {
    let site = Site::new("", "limits:\n  connections_per_user: 1");
    let mut ada = site.connect("ada");
    site.reload("limits:\n  connections_per_user: 5\n  list_page: none\nhubs:\n  setings: {}\n");
    let printed = site.server.printed();
    assert!(printed.contains("config.yaml:3") && printed.contains("limits.list_page"), "{printed}");
    assert!(printed.contains("did you mean 'settings'?"), "{printed}");
    assert_eq!(site.try_connect("ada").err(), Some(429), "nothing of it counts");
    ada.join("a", 1);
}

#[test]
fn what_needs_a_restart_is_named_and_stays() {
    let site = Site::new("", "");
    let mut ada = site.connect("ada");
    site.reload(&config("    masks: false", "fanout:\n  window_bytes: 2MiB\nlimits:\n  list_page: 7"));
    site.server.wait_for("this setting needs a restart");
    let printed = site.server.printed();
    for key in ["key=hubs.settings.masks", "key=fanout.window_bytes", "key=limits.list_page"] {
        assert!(printed.contains(key), "{key} in {printed}");
    }
    let ack = ada.ask(json!({ "type": "joinGroup", "group": "a[b" }), 1);
    assert_eq!(ack["error"]["name"], "BadRequest", "masks are still on: {ack}");
    let mut late = site.connect("ben");
    assert_eq!(late.ask(json!({ "type": "joinGroup", "group": "a[b" }), 1)["error"]["name"], "BadRequest");
}

#[test]
fn the_log_is_as_loud_as_it_is_told_to_be() {
    let site = Site::new("", "");
    let refused = || http(site.server.address, "GET /ws", &[("Upgrade", "websocket"), ("Connection", "upgrade")], "").0;
    refused();
    site.reload(&config("", "log:\n  level: debug"));
    assert!(!site.server.printed().contains("a WebSocket handshake was refused"));
    refused();
    site.server.wait_for("a WebSocket handshake was refused");
    // By the end of another one, all that the first one said is there.
    site.reload(&config("", "log:\n  level: info"));
    assert!(!site.server.printed().contains("certificate"), "there is none: {}", site.server.printed());
}

#[test]
fn nothing_is_lost_while_the_configuration_is_read_again_and_again() {
    let site = Site::new("", "");
    let (mut ada, mut ben) = (site.connect("ada"), site.connect("ben"));
    let address = site.server.address;
    let talking = std::thread::spawn(move || {
        for number in 0..2000 {
            ada.send(&publish("sales", &number.to_string()));
        }
        (ada, address)
    });
    for round in 0..10 {
        std::fs::write(
            site.workplace.path().join("config.yaml"),
            config("", &format!("limits:\n  list_page: {}", 10 + round)),
        )
        .unwrap();
        site.server.signal("HUP");
        site.server.signal("HUP");
        std::thread::sleep(Duration::from_millis(20));
    }
    for number in 0..2000 {
        assert_eq!(text_of(&mut ben), number.to_string());
    }
    drop(talking.join().unwrap());
    eventually("the last configuration in effect", || {
        site.server.signal("HUP");
        site.server.printed().contains("to=19")
    });
}
