//! Requests to the HTTP API that are sent twice and done once.

use serde_json::json;

use crate::support::{JSON, Setup, TEXT, on_both_transports};

on_both_transports! {
    a_message_with_a_key_is_sent_once_however_often_it_is_asked_for,
    a_request_that_was_refused_may_be_sent_again_with_its_key,
    back_ends_that_do_different_things_may_use_the_same_key,
}

const GROUP: &str = "/api/hubs/chat/groups/a/:send";

async fn a_message_with_a_key_is_sent_once_however_often_it_is_asked_for(setup: Setup) {
    let server = setup.config(|config| config.limits.idempotency_keys = 2).start().await;
    let mut mark = server.demo(1).await;
    mark.join("a").await;
    let key = |key: &'static str| ("Idempotency-Key", key);
    let send = async |path: &str, headers: &[(&str, &str)], body: &str| {
        let answer = server.api("POST", path, headers, body).await;
        (answer.status, answer.header("idempotent-replayed").is_some(), answer)
    };
    let (status, replayed, first) = send(GROUP, &[TEXT, key("one")], "hello").await;
    assert_eq!((status, replayed), (202, false), "{first:?}");
    for _ in 0..3 {
        let (status, replayed, again) = send(GROUP, &[TEXT, key("one")], "hello").await;
        assert_eq!((status, replayed), (202, true), "{again:?}");
        assert_eq!(again.header("folkmoot-delivered-connections"), first.header("folkmoot-delivered-connections"));
    }
    // Another request under the same key is a mistake.
    for (path, headers, body) in [
        (GROUP, &[TEXT, key("one")][..], "other"),
        (GROUP, &[JSON, key("one")], "1"),
        (&format!("{GROUP}?excluded={}", mark.id()), &[TEXT, key("one")], "hello"),
    ] {
        let (status, _, answer) = send(path, headers, body).await;
        assert_eq!((status, answer.header("x-ms-error-code")), (422, Some("Error.UnprocessableEntity")), "{path}");
    }
    mark.expect_message("a", "hello").await;
    mark.expect_silence().await;
    // At the same time: one of them is done, and no other.
    let headers = [TEXT, key("two")];
    let (left, right) = tokio::join!(send(GROUP, &headers, "both"), send(GROUP, &headers, "both"));
    let mut told = [(left.0, left.1), (right.0, right.1)];
    told.sort_unstable();
    assert!(matches!(told, [(202, false), (202, true) | (409, _)]), "{told:?}");
    mark.expect_message("a", "both").await;
    // Two keys are known here; without one, and with one that was forgotten, it is a new request.
    send(GROUP, &[TEXT, key("three")], "third").await;
    mark.expect_message("a", "third").await;
    for headers in [&[TEXT][..], &[TEXT, key("one")]] {
        assert_eq!(send(GROUP, headers, "hello").await.0, 202);
        mark.expect_message("a", "hello").await;
    }
    for bad in [("Idempotency-Key", ""), ("Idempotency-Key", "ü")] {
        assert_eq!(send(GROUP, &[TEXT, bad], "x").await.0, 400);
    }
    mark.expect_silence().await;
}

async fn a_request_that_was_refused_may_be_sent_again_with_its_key(setup: Setup) {
    let server = setup.start().await;
    let key = ("Idempotency-Key", "again");
    let path = "/api/hubs/chat/users/user-1/groups/a";
    assert_eq!(server.api("PUT", path, &[key], "").await.status, 404);
    let mark = server.demo(1).await;
    let done = server.api("PUT", path, &[key], "").await;
    assert_eq!((done.status, done.header("idempotent-replayed")), (200, None));
    // What was done is not done again, not even when it was undone meanwhile.
    let undone = server.api("DELETE", path, &[("Idempotency-Key", "undo")], "").await;
    assert_eq!(undone.status, 204);
    let again = server.api("PUT", path, &[key], "").await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(server.api("HEAD", "/api/hubs/chat/groups/a", &[], "").await.status, 404);
    // Tokens are secrets, and are not kept.
    let path = "/api/hubs/chat/:generateToken";
    for _ in 0..2 {
        let token = server.api("POST", path, &[("Idempotency-Key", "token")], "").await;
        assert_eq!((token.status, token.header("idempotent-replayed")), (200, None));
    }
    drop(mark);
}

async fn back_ends_that_do_different_things_may_use_the_same_key(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    let key = ("Idempotency-Key", "1");
    let path = "/api/hubs/chat/users/user-1/groups/a";
    for (method, path, headers, body, status) in [
        ("PUT", path, &[key][..], "", 200),
        ("POST", GROUP, &[TEXT, key], "hello", 202),
        ("POST", "/api/hubs/chat/users/user-1/:send", &[TEXT, key], "you", 202),
        ("DELETE", path, &[key], "", 204),
    ] {
        for replayed in [None, Some("true")] {
            let answer = server.api(method, path, headers, body).await;
            assert_eq!((answer.status, answer.header("idempotent-replayed")), (status, replayed), "{method} {path}");
        }
    }
    mark.expect_message("a", "hello").await;
    mark.expect(json!({"type": "message", "from": "server", "dataType": "text", "data": "you"})).await;
    mark.expect_silence().await;
}
