//! Behind a proxy: nginx and Caddy as Debian ships them, with the files of `packaging/`, TLS in front and clients from
//! several addresses. Origin, limits and the client's address must be what they are without a proxy.

#![expect(clippy::disallowed_methods, reason = "these tests watch a process from outside; there is no worker to block")]

#[path = "../common/client.rs"]
mod client;
#[path = "../common/notes.rs"]
mod notes;
mod packages;
#[path = "../common/process.rs"]
mod process;
mod proxies;
mod tls;

use serde_json::{Value, json};

use self::client::{basic, publish};
use self::process::{Program, Workplace};
use self::proxies::{Kind, Proxy};
use self::tls::Outside;

/// A server as the shipped files want it, with two users, and the proxy in front.
struct Site {
    server: Program,
    proxy: Proxy,
    outside: Outside,
    _workplace: Workplace,
}

/// What the header of the shipped files says of the configuration.
const BEHIND_A_PROXY: &str = "
server:
  public_urls: [\"https://chat.example.com\"]
  trusted_proxies: [\"127.0.0.1/32\"]
hubs:
  settings:
    default_roles: [webpubsub.joinLeaveGroup, webpubsub.sendToGroup]
";

fn site(test: &str, kind: Kind, set: &[&str], changes: &[(&str, &str)]) -> Option<Site> {
    let workplace = Workplace::with_config(BEHIND_A_PROXY);
    workplace.add_user("ada", "secret-of-ada", &["--department", "sales"]);
    workplace.add_user("ben", "secret-of-ben", &["--department", "sales"]);
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    let server = workplace.serve(&set);
    let Some(proxy) = Proxy::start(kind, server.address, changes) else {
        notes::skipped(test, &format!("{kind:?} is not installed"));
        return None;
    };
    let outside = Outside::new(proxy.address, &proxy.pem);
    Some(Site { server, proxy, outside, _workplace: workplace })
}

/// Each sentence, once for each proxy.
macro_rules! behind_each_proxy {
    ($($(#[$doc:meta])* $name:ident($site:ident $(, set $($set:expr),+)? $(; nginx $changes:expr)?) $body:block)*) => {
        mod nginx { use super::*; $(#[test] fn $name() { super::$name(Kind::Nginx); })* }
        mod caddy { use super::*; $(#[test] fn $name() { super::$name(Kind::Caddy); })* }
        $($(#[$doc])* fn $name(kind: Kind) {
            let set: &[&str] = &[$($($set),+)?];
            let changes: &[(&str, &str)] = match kind { Kind::Nginx => &[$($changes)?], Kind::Caddy => &[] };
            let Some($site) = site(concat!(stringify!($name)), kind, set, changes) else { return };
            $body
        })*
    };
}

behind_each_proxy! {
    two_people_talk(site) {
        let mut ada = site.outside.connect("/ws", &[("Authorization", &basic("ada", "secret-of-ada"))]).unwrap();
        let mut ben = site.outside.connect("/ws", &[("Authorization", &basic("ben", "secret-of-ben"))]).unwrap();
        ada.send(&publish("sales", "Hello Sales."));
        let heard = ben.frame_with("type", "message");
        assert_eq!((&heard["data"], &heard["fromUserId"]), (&json!("Hello Sales."), &json!("ada")));
    }

    a_page_of_the_public_url_may_connect_and_a_foreign_one_may_not(site) {
        let login = basic("ada", "secret-of-ada");
        let from = |origin: &str| site.outside.connect("/ws", &[("Authorization", &login), ("Origin", origin)]);
        assert!(from("https://chat.example.com").is_ok());
        for foreign in ["https://evil.example.com", "http://chat.example.com:8080", "null"] {
            assert_eq!(from(foreign).unwrap_err(), 403, "{foreign}");
        }
    }

    a_token_leads_to_the_public_url_and_opens_a_connection(site) {
        let login = basic("ada", "secret-of-ada");
        let (status, answer) = site.outside.request("POST /auth/token", &[("Authorization", &login), ("Content-Length", "0")], "");
        assert_eq!(status, 200, "{answer}");
        let body: Value = serde_json::from_str(json_part(&answer)).unwrap();
        let url = body["url"].as_str().unwrap();
        let path = url.strip_prefix("wss://chat.example.com").unwrap_or_else(|| panic!("{url}"));
        assert!(site.outside.connect(path, &[]).is_ok());
    }

    limits_count_the_client_and_not_the_proxy(site, set "limits.connections_per_address=2") {
        let login = basic("ada", "secret-of-ada");
        let connect = |from: [u8; 4], forged: Option<&str>| {
            let mut headers = vec![("Authorization", login.as_str())];
            headers.extend(forged.map(|address| ("X-Forwarded-For", address)));
            headers.extend(forged.map(|_| ("Forwarded", "for=10.9.9.9")));
            site.outside.from(from).connect("/ws", &headers)
        };
        let one_address = [connect([127, 0, 0, 2], None).unwrap(), connect([127, 0, 0, 2], None).unwrap()];
        assert_eq!(connect([127, 0, 0, 2], None).unwrap_err(), 429);
        // Whatever the client writes about itself.
        assert_eq!(connect([127, 0, 0, 2], Some("10.1.1.1")).unwrap_err(), 429);
        let another = connect([127, 0, 0, 3], Some("127.0.0.2")).unwrap();
        drop((one_address, another));
    }

    failed_logins_are_counted_for_the_client(site, set "auth.failures.address_per_minute=3") {
        let attempt = |from: [u8; 4], password: &str| {
            let login = basic("ada", password);
            site.outside.from(from).request("POST /auth/token", &[("Authorization", &login), ("Content-Length", "0")], "").0
        };
        let statuses: Vec<u16> = (0..4).map(|_| attempt([127, 0, 0, 2], "wrong")).collect();
        assert_eq!(statuses, [401, 401, 401, 429]);
        assert_eq!(attempt([127, 0, 0, 3], "secret-of-ada"), 200);
        assert!(site.server.printed().contains("127.0.0.2"), "the log names the client's address");
    }

    operators_pages_stay_inside(site) {
        for path in ["/metrics", "/admin", "/admin/anything"] {
            assert_eq!(site.outside.request(&format!("GET {path}"), &[], "").0, 404, "{path}");
        }
        // Not only because the proxy is told so: nobody is an operator for coming from the proxy's address.
        let forwarded = [("X-Forwarded-For", "203.0.113.7")];
        let (status, _) = client::http(site.server.address, "GET /metrics", &forwarded, "");
        assert!([401, 403, 404].contains(&status), "{status}");
        assert_eq!(site.outside.request("GET /health", &[], "").0, 200);
    }

    a_silent_connection_outlives_the_patience_of_the_proxy(
        site, set "heartbeat.ping_interval=1s", "heartbeat.pong_timeout=1s"; nginx ("_timeout 75s;", "_timeout 3s;")
    ) {
        let login = basic("ada", "secret-of-ada");
        let silent = site.outside.connect("/ws", &[("Authorization", &login)]).unwrap().hear_pings(5);
        assert!(silent.as_secs() >= 4, "{silent:?}");
    }

    a_stop_of_the_server_is_told_through_the_proxy(site) {
        let mut ada = site.outside.connect("/ws", &[("Authorization", &basic("ada", "secret-of-ada"))]).unwrap();
        site.server.signal("TERM");
        let (code, reason) = ada.end();
        assert_eq!(code, 1001);
        assert!(reason.contains("retry_after_ms"), "{reason}");
    }
}

#[test]
fn nginx_logs_no_token() {
    let Some(site) = site("nginx_logs_no_token", Kind::Nginx, &[], &[]) else { return };
    assert_eq!(site.outside.connect("/ws?access_token=this-is-none", &[]).unwrap_err(), 401);
    process::eventually("the request in the log", || site.proxy.access_log().contains("/ws\" 401"));
    assert!(!site.proxy.access_log().contains("this-is-none"));
}

/// The body of an answer that is JSON, whether it came in chunks or not.
fn json_part(answer: &str) -> &str {
    let begin = answer.find('{').unwrap_or_else(|| panic!("no JSON in {answer}"));
    let end = answer.rfind('}').unwrap_or_else(|| panic!("no JSON in {answer}"));
    &answer[begin..=end]
}
