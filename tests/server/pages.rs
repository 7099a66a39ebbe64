//! The pages in the binary: where they are, what headers they have, and that they can be turned off.

use std::net::{IpAddr, Ipv4Addr};

use folkmoot::config::ServePage;

use crate::support::{Answer, Setup, TestServer};

/// The one header that depends on the request: a page may talk to the server that it came from, and to nobody else.
fn policy(server: &TestServer) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws://{}; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        server.address
    )
}

fn assert_guarded(answer: &Answer, policy: &str) {
    assert_eq!(answer.header("content-security-policy"), Some(policy));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

/// What a page or asset is known by.
fn tag(answer: &Answer) -> &str {
    answer.header("etag").expect("no ETag")
}

#[tokio::test]
async fn pages_and_assets_may_load_and_reach_nothing_but_their_own_server() {
    let server = Setup::new().start().await;
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/admin", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/assets/docs/main.js", "text/javascript; charset=utf-8"),
        ("/assets/admin/main.js", "text/javascript; charset=utf-8"),
        ("/assets/admin/style.css", "text/css; charset=utf-8"),
    ] {
        let answer = server.http("GET", path, &[], "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert!(!answer.body.is_empty());
        assert_guarded(&answer, &policy(&server));
    }
}

#[tokio::test]
async fn a_slash_too_many_leads_to_the_dashboard() {
    let server = Setup::new().start().await;
    let answer = server.http("GET", "/admin/", &[], "").await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("../admin")));
}

#[tokio::test]
async fn a_page_has_no_inline_script_or_style() {
    let server = Setup::new().start().await;
    for path in ["/", "/admin", "/docs"] {
        let page = server.http("GET", path, &[], "").await.body;
        assert!(!page.contains("<style") && !page.contains("style="), "{path}");
        let handlers = page.split_whitespace().filter(|word| word.starts_with("on") && word.contains('='));
        assert_eq!(handlers.count(), 0, "{path}");
        let scripts = page.matches("<script").count();
        assert_eq!(scripts, page.matches("<script type=\"module\" src=\"assets/").count(), "{path}");
    }
}

#[tokio::test]
async fn a_public_url_is_part_of_the_server() {
    let server = Setup::new().config(|config| {
        config.server.public_urls = vec!["https://chat.example.com/base".parse().unwrap()];
    });
    let server = server.start().await;
    let answer = server.http("GET", "/admin", &[], "").await;
    let policy = answer.header("content-security-policy").unwrap();
    let wanted = format!("connect-src 'self' ws://{} wss://chat.example.com;", server.address);
    assert!(policy.contains(&wanted), "{policy}");
}

#[tokio::test]
async fn what_a_browser_has_already_is_not_sent_again() {
    let server = Setup::new().start().await;
    for path in ["/", "/admin", "/assets/admin/main.js"] {
        let first = server.http("GET", path, &[], "").await;
        let again = server.http("GET", path, &[("If-None-Match", tag(&first))], "").await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(tag(&again), tag(&first));
        assert_guarded(&again, &policy(&server));
        let other = server.http("GET", path, &[("If-None-Match", "\"other\"")], "").await;
        assert_eq!((other.status, other.body), (200, first.body), "{path}");
    }
}

#[tokio::test]
async fn head_is_the_same_without_the_body() {
    let server = Setup::new().start().await;
    for path in ["/", "/admin", "/assets/admin/style.css"] {
        let (get, head) = (server.http("GET", path, &[], "").await, server.http("HEAD", path, &[], "").await);
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()), "{path}");
        assert_eq!(tag(&head), tag(&get));
    }
    assert_eq!(server.http("POST", "/admin", &[], "").await.status, 405);
}

#[tokio::test]
async fn there_is_no_way_out_of_the_embedded_folders() {
    let server = Setup::new().start().await;
    for path in [
        "/assets/admin/none.js",
        "/assets/other/main.js",
        "/assets/admin/",
        "/assets/admin/index.html",
        "/assets/chat/../admin/main.js",
        "/assets/chat/..%2Fadmin%2Fmain.js",
        "/assets/chat/%2e%2e/admin/main.js",
        "/assets/admin/../../../../../etc/passwd",
        "/assets/admin/..%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "/assets/admin//etc/passwd",
        "/assets/admin/%2Fetc%2Fpasswd",
        "/assets/../config.yaml",
    ] {
        let answer = server.http("GET", path, &[], "").await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_page_that_is_off_says_so_and_has_no_assets() {
    let server = Setup::new().config(|config| config.pages.chat = ServePage::Never).start().await;
    let answer = server.http("GET", "/", &[], "").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("pages.chat"), "{}", answer.body);
    assert_guarded(&answer, &policy(&server));
    assert_eq!(server.http("GET", "/assets/admin/main.js", &[], "").await.status, 200);

    let server = Setup::new().config(|config| config.pages.admin = ServePage::Never).start().await;
    let answer = server.http("GET", "/admin", &[], "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.json()["detail"].as_str().unwrap().contains("pages.admin"), "{}", answer.body);
    assert_eq!(server.http("GET", "/assets/admin/main.js", &[], "").await.status, 404);
    assert_eq!(server.http("GET", "/", &[], "").await.status, 200);

    let server = Setup::new().config(|config| config.pages.docs = ServePage::Never).start().await;
    let answer = server.http("GET", "/docs", &[], "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.json()["detail"].as_str().unwrap().contains("pages.docs"), "{}", answer.body);
    assert_eq!(server.http("GET", "/assets/docs/main.js", &[], "").await.status, 404);
    // What it tells is no secret.
    assert_eq!(server.http("GET", "/openapi.json", &[], "").await.status, 200);
}

#[tokio::test]
async fn others_see_pages_only_where_the_operator_wants_it() {
    let open = || Setup::new().config(|config| config.server.bind = IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let server = open().start().await;
    for path in ["/", "/admin", "/docs", "/assets/admin/main.js", "/assets/docs/main.js"] {
        assert_eq!(server.http("GET", path, &[], "").await.status, 404, "{path}");
    }
    let server = open().config(|config| config.pages.admin = ServePage::Always).start().await;
    assert_eq!(server.http("GET", "/", &[], "").await.status, 404);
    assert_eq!(server.http("GET", "/admin", &[], "").await.status, 200);
}

#[tokio::test]
async fn a_name_of_somebody_elses_that_leads_to_this_machine_gets_no_page() {
    let server = Setup::new().start().await;
    for path in ["/", "/admin", "/assets/admin/main.js"] {
        let answer = crate::support::http(server.address, "GET", path, &[("Host", "rebind.example")], "").await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.header("etag").is_none());
    }
}

#[cfg(feature = "mount")]
#[tokio::test]
async fn an_application_of_somebody_elses_has_no_pages_unless_it_asks() {
    let server = Setup::new().mounted().start().await;
    assert_eq!(server.http("GET", "/health", &[], "").await.status, 200);
    for path in ["/", "/admin", "/assets/admin/main.js"] {
        assert_eq!(server.http("GET", path, &[], "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn demo_users_are_told_of_only_where_they_may_log_in() {
    let server = Setup::new().start().await;
    let answer = server.http("GET", "/demo.json", &[], "").await;
    assert_guarded(&answer, &policy(&server));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json()[2]["login"], "user-3");
    assert_eq!(answer.json().as_array().map(Vec::len), Some(4));
    // Through a proxy comes anybody, from wherever.
    let behind = server.http("GET", "/demo.json", &[("X-Forwarded-For", "203.0.113.9")], "").await;
    assert_eq!((behind.status, behind.body.as_str()), (200, "[]"));

    let server = Setup::new().config(|config| config.auth.allow_demo_users = true).start().await;
    let behind = server.http("GET", "/demo.json", &[("X-Forwarded-For", "203.0.113.9")], "").await;
    assert_eq!(behind.json().as_array().map(Vec::len), Some(4));

    let others = [Setup::empty(), Setup::new().config(|config| config.pages.chat = ServePage::Never)];
    for setup in others {
        let server = setup.user("anna", |_| {}).start().await;
        assert_eq!(server.http("GET", "/demo.json", &[], "").await.body, "[]");
    }
}
