//! The application behind the server is told what happens: CloudEvents over HTTP, in their order, once it has said that it
//! wants to hear of them.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use aws_lc_rs::hmac;
use folkmoot::HubName;
use folkmoot::config::{Origins, SystemEvent, WebhookConfig};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::reliable::Reliable;
use crate::support::{Receiver, Reply, Setup, Started, on_both_transports, welcome};

const LIFE: [&str; 4] = ["connected", "disconnected", "joined", "left"];

on_both_transports! {
    a_webhook_is_told_of_a_life_in_its_order,
    every_event_has_the_headers_of_a_cloud_event,
    the_first_webhook_that_an_event_is_for_gets_it,
    a_hub_that_opens_again_at_once_is_told_of_too,
    a_server_that_stops_tells_of_every_end_first,
    a_connection_that_goes_on_by_another_socket_is_the_same_to_a_webhook,
    a_connection_whose_client_is_away_ends_with_the_server,
}

async fn a_webhook_is_told_of_a_life_in_its_order(setup: Setup) {
    let mut app = Receiver::start().await;
    let server = setup.webhook(&app.url(), &LIFE, &[]).start().await;
    let mut mark = server.demo(1).await;
    mark.join("a/b").await;
    mark.leave("a/b").await;
    mark.close(Some(1000)).await;
    assert_eq!(app.expect("connected").await.body, "{}");
    assert_eq!(app.expect("joined").await.json(), json!({"group": "Sales"}));
    assert_eq!(app.expect("joined").await.json(), json!({"group": "a/b"}));
    assert_eq!(app.expect("left").await.json(), json!({"group": "a/b"}));
    assert_eq!(app.expect("left").await.json(), json!({"group": "Sales"}));
    assert_eq!(app.expect("disconnected").await.json(), json!({"reason": "closed by the client"}));
    server.metric_becomes("folkmoot_webhook_backlog_events", 0.0).await;
    let text = server.run(|running| running.metrics()).await;
    assert!(text.contains("folkmoot_webhook_requests_total{outcome=\"accepted\"} 6\n"), "{text}");
}

async fn every_event_has_the_headers_of_a_cloud_event(setup: Setup) {
    let mut app = Receiver::start().await;
    let keys = ["a first key that nobody else knows of", "a second key that nobody else knows of"];
    let setup = setup.config(|config| {
        config.auth.access_keys = keys.map(|key| key.parse().unwrap()).into();
        config.server.public_urls = vec!["https://chat.example.com/base".parse().unwrap()];
    });
    let server = setup.user("In\u{e9}s 100%", |_| {}).webhook(&app.url(), &["connected", "joined"], &[]).start().await;
    let mut ines = server.user("In\u{e9}s 100%").await;
    ines.join("a").await;
    let connected = app.expect("connected").await;
    let id = ines.id();
    let signature = keys.map(|key| {
        let signed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), id.as_bytes());
        signed.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    });
    for (name, value) in [
        ("webhook-request-origin", "chat.example.com"),
        ("ce-specversion", "1.0"),
        ("ce-awpsversion", "1.0"),
        ("ce-type", "azure.webpubsub.sys.connected"),
        ("ce-source", &format!("/hubs/chat/client/{id}")),
        ("ce-connectionid", id),
        ("ce-hub", "chat"),
        ("ce-userid", "In%C3%A9s 100%25"),
        ("ce-subprotocol", "json.webpubsub.azure.v1"),
        ("ce-signature", &format!("sha256={},sha256={}", signature[0], signature[1])),
        ("content-type", "application/json; charset=utf-8"),
    ] {
        assert_eq!(connected.header(name), value, "{name}");
    }
    assert_eq!((connected.method.clone(), connected.uri.as_str()), (Method::POST, "/chat/connected"));
    let joined = app.expect("joined").await;
    assert_eq!(joined.header("ce-type"), "azure.webpubsub.gp.joined");
    assert_ne!(connected.header("ce-id"), joined.header("ce-id"));
}

async fn the_first_webhook_that_an_event_is_for_gets_it(setup: Setup) {
    let (mut sales, mut rest) = (Receiver::start().await, Receiver::start().await);
    let setup = setup.webhook(&sales.url(), &["joined"], &[]).hub("chat", |hub| {
        hub.webhooks[0].groups = vec!["sales.*".parse().unwrap()];
    });
    let server = setup.webhook(&rest.url(), &LIFE, &[]).start().await;
    let mut mark = server.demo(1).await;
    mark.join("sales.europe").await;
    mark.join("sales.europe.west").await;
    mark.leave("sales.europe").await;
    assert_eq!(sales.expect("joined").await.json()["group"], "sales.europe");
    rest.expect("connected").await;
    assert_eq!(rest.expect("joined").await.json()["group"], "Sales");
    assert_eq!(rest.expect("joined").await.json()["group"], "sales.europe.west");
    assert_eq!(rest.expect("left").await.json()["group"], "sales.europe");
}

async fn a_hub_that_opens_again_at_once_is_told_of_too(setup: Setup) {
    let mut app = Receiver::start().await;
    let setup = setup.webhook(&app.url(), &["connected", "disconnected"], &[]).config(|config| {
        let webhooks = config.hubs.hub(&HubName::parse("chat").unwrap()).webhooks.clone();
        (config.hubs.settings.webhooks, config.hubs.settings.anonymous) = (webhooks, true);
    });
    let server = setup.start().await;
    for _ in 0..40 {
        // The hub is not declared, so it ends with its one connection, and the next opens another of its name.
        let mut guest = server.handshake().path("/client/hubs/passing").connect().await.unwrap();
        guest.close(Some(1000)).await;
    }
    for _ in 0..80 {
        app.next().await;
    }
}

async fn a_server_that_stops_tells_of_every_end_first(setup: Setup) {
    let mut app = Receiver::answering(|_| Reply::status(204).after(Duration::from_millis(100))).await;
    // Everybody is gone long before the application has been told of everybody.
    let setup = setup.config(|config| {
        config.webhooks.lanes = 1;
        config.shutdown.timeout = Duration::from_millis(200);
    });
    let server = setup.webhook(&app.url(), &["disconnected"], &[]).start().await;
    let mut people = Vec::new();
    for _ in 0..10 {
        people.push(server.demo(1).await);
    }
    // Stops the server and waits for it.
    drop(server);
    for _ in people {
        app.expect("disconnected").await;
    }
}

async fn a_connection_that_goes_on_by_another_socket_is_the_same_to_a_webhook(setup: Setup) {
    let mut app = Receiver::answering(|seen| match seen.event() {
        "connect" => Reply::status(204).with("ce-connectionState", "kept"),
        _ => Reply::status(204),
    })
    .await;
    let server = setup.webhook(&app.url(), &["connect", "connected", "disconnected"], &["*"]).start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    app.expect("connect").await;
    let connected = app.expect("connected").await;
    mark.cut(&server).await;
    let mut back = mark.recover(&server).await;
    back.client.ask_ok(json!({"type": "event", "event": "look", "data": 1})).await;
    let look = app.expect("look").await;
    assert_eq!(look.header("ce-connectionid"), connected.header("ce-connectionid"));
    assert_eq!(look.header("ce-connectionstate"), "kept");
    assert_eq!(look.header("ce-subprotocol"), "json.reliable.webpubsub.azure.v1");
    back.client.close(Some(1000)).await;
    app.expect("disconnected").await;
}

async fn a_connection_whose_client_is_away_ends_with_the_server(setup: Setup) {
    let mut app = Receiver::start().await;
    let server = setup.webhook(&app.url(), &["disconnected"], &[]).start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.cut(&server).await;
    drop(server);
    app.expect("disconnected").await;
}

#[tokio::test]
async fn a_webhook_is_asked_at_the_start_whether_it_wants_to_hear_from_this_server() {
    let mut app = Receiver::of_all(|_| welcome()).await;
    let server = Setup::new().webhook(&app.url(), &["connected"], &[]).start().await;
    let asked = app.next_of_all().await;
    assert_eq!((&asked.method, asked.uri.as_str()), (&Method::OPTIONS, "/chat/validate"));
    assert_eq!(asked.header("webhook-request-origin"), server.address.to_string());
    assert_eq!(asked.header("ce-awpsversion"), "1.0");
}

#[tokio::test]
async fn a_webhook_that_names_this_server_or_knows_no_options_is_told_too() {
    let named = Receiver::of_all(|seen| match seen.method {
        Method::OPTIONS => {
            let allowed = Reply::status(200).with("WebHook-Allowed-Origin", "other.example.com");
            allowed.with("WebHook-Allowed-Origin", "Chat.example.com")
        }
        _ => Reply::status(204),
    });
    let by_get = Receiver::of_all(|seen| match seen.method {
        Method::OPTIONS => Reply::status(404),
        Method::GET => welcome(),
        _ => Reply::status(204),
    });
    let (mut named, mut by_get) = (named.await, by_get.await);
    let setup = Setup::new().webhook(&named.url(), &["connected"], &[]).webhook(&by_get.url(), &["joined"], &[]);
    let setup = setup.config(|config| config.server.public_urls = vec!["https://chat.example.com".parse().unwrap()]);
    let server = setup.start().await;
    server.demo(1).await;
    named.expect("connected").await;
    by_get.expect("joined").await;
}

#[tokio::test]
async fn a_webhook_that_does_not_want_to_hear_from_this_server_is_told_nothing() {
    for refusal in [Reply::status(200), Reply::status(403), Reply::status(200).with("WebHook-Allowed-Origin", "x.y")] {
        let mut app = Receiver::of_all(move |_| refusal.clone()).await;
        let setup = Setup::new().webhook(&app.url(), &["connect", "connected"], &["*"]);
        let server = setup.config(|config| config.webhooks.retries = 0).start().await;
        server.handshake().basic("user-1", "password-1").refused(503).await;
        assert_eq!(app.next_of_all().await.method, Method::OPTIONS);
        server.handshake().basic("user-2", "password-2").refused(503).await;
        drop(server);
        assert!(app.is_silent(), "it is asked once in a minute");
    }
}

#[tokio::test]
async fn a_reload_brings_and_takes_webhooks_while_connections_live() {
    let (mut one, mut other) = (Receiver::start().await, Receiver::start().await);
    let setup = Setup::new();
    let config = setup.configuration().clone();
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    let reload = async |urls: Vec<String>| {
        let mut config = config.clone();
        let chat = config.hubs.declared.values_mut().next().unwrap();
        chat.webhooks.extend(urls.iter().map(|url| {
            let mut webhook = WebhookConfig::new(url.parse().unwrap());
            webhook.system_events = vec![SystemEvent::Joined];
            webhook
        }));
        let reloaded = server.run(move |running| match running {
            Started::Own(running) => running.reload(config, Origins::default()).map(|_| ()),
            #[cfg(feature = "mount")]
            Started::Mounted { mount, .. } => mount.reload(config, Origins::default()).map(|_| ()),
        });
        reloaded.await.unwrap();
    };
    reload(vec![one.url()]).await;
    mark.join("a").await;
    assert_eq!(one.expect("joined").await.json()["group"], "a");
    reload(vec![other.url(), one.url()]).await;
    mark.join("b").await;
    assert_eq!(other.expect("joined").await.json()["group"], "b");
    reload(Vec::new()).await;
    mark.join("c").await;
    reload(vec![one.url()]).await;
    mark.join("d").await;
    assert_eq!(one.expect("joined").await.json()["group"], "d", "of what happened meanwhile nobody is told");
}

#[tokio::test]
async fn a_slow_webhook_holds_up_no_other_and_no_other_connection() {
    let hold = Arc::new(Semaphore::new(0));
    let held = hold.clone();
    let mut slow = Receiver::answering(move |_| Reply::status(204).held(&held)).await;
    let mut quick = Receiver::start().await;
    let setup = Setup::new().webhook(&slow.url(), &["joined"], &["slow"]).webhook(&quick.url(), &["left"], &["quick"]);
    let setup = setup.config(|config| config.webhooks.timeout = config.limits.handshake_timeout);
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    mark.send_json(json!({"type": "event", "event": "slow", "data": 1, "ackId": 1})).await;
    while slow.next().await.event() != "slow" {}
    // While that is not answered, others are, and all else goes on.
    anna.ask_ok(json!({"type": "event", "event": "quick", "data": 1})).await;
    anna.join("a").await;
    anna.leave("a").await;
    quick.expect("quick").await;
    quick.expect("left").await;
    let mut kenji = server.connect("user-3", "password-3").await;
    kenji.publish("Sales", "hello").await;
    mark.expect_message("Sales", "hello").await;
    hold.add_permits(100);
    assert_eq!(mark.ack_of(1).await["success"], true);
}
