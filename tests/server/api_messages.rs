//! What a message of the HTTP API is made of: encodings, metadata, life, sizes, and the order in which it is looked at.

use serde_json::{Value, json};

use crate::support::{JSON, Setup, TEXT, TestServer, on_both_transports};

on_both_transports! {
    text_in_other_encodings_arrives_in_utf8,
    metadata_headers_travel_beside_the_message,
    a_message_may_have_a_life_and_tells_how_far_it_went,
    what_is_wrong_is_told_in_the_order_of_the_reference,
}

const GROUP: &str = "/api/hubs/chat/groups/a/:send";

/// Sends a body of any bytes; the status.
async fn post(server: &TestServer, content_type: &str, body: &[u8]) -> u16 {
    let token = server.api_token(GROUP);
    let head = format!(
        "POST {GROUP} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        server.address,
        body.len()
    );
    server.http_bytes(&[head.as_bytes(), body].concat()).await.status
}

async fn text_in_other_encodings_arrives_in_utf8(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.join("a").await;
    for (content_type, body, data) in [
        ("text/plain; charset=iso-8859-1", &b"caf\xe9"[..], json!("café")),
        ("text/plain; charset=utf-16", b"\xfe\xff\0h\0i", json!("hi")),
        ("text/plain; charset=UTF-8", "ünï".as_bytes(), json!("ünï")),
        ("application/json; charset=windows-1252", b"{\"price\":\"5 \x80\"}", json!({"price": "5 €"})),
    ] {
        assert_eq!(post(&server, content_type, body).await, 202, "{content_type}");
        assert_eq!(mark.next_json().await["data"], data, "{content_type}");
    }
    // Bytes are bytes, and what is not in its encoding is refused.
    assert_eq!(post(&server, "application/octet-stream", b"\xff\0").await, 202);
    assert_eq!(mark.next_json().await["data"], "/wA=");
    for (content_type, body) in [("text/plain", &b"\xff"[..]), ("text/plain; charset=utf-16", b"odd")] {
        assert_eq!(post(&server, content_type, body).await, 400, "{content_type}");
    }
    assert_eq!(post(&server, "text/plain; charset=klingon", b"x").await, 415);
    mark.expect_silence().await;
}

async fn metadata_headers_travel_beside_the_message(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.join("a").await;
    let headers = [
        TEXT,
        ("X-WebPubSub-Metadata-Trace-Id", "first"),
        ("x-webpubsub-metadata-trace-id", "second"),
        ("X-WEBPUBSUB-METADATA-LIST", "a, b"),
        ("X-WebPubSub-Metadata-Empty", ""),
    ];
    let expected = json!({"trace-id": "second", "list": "b", "empty": ""});
    for path in ["groups/a/:send", ":send", "users/user-1/:send", &format!("connections/{}/:send", mark.id())] {
        let answer = server.api("POST", &format!("/api/hubs/chat/{path}"), &headers, "hello").await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        let heard = mark.next_json().await;
        assert_eq!((&heard["metadata"], &heard["data"]), (&expected, &json!("hello")), "{path}");
    }
    let long = "v".repeat(1025);
    let name = format!("X-WebPubSub-Metadata-{}", "n".repeat(257));
    for bad in [("X-WebPubSub-Metadata-a", long.as_str()), (name.as_str(), "v"), ("X-WebPubSub-Metadata-", "v")] {
        let answer = server.api("POST", GROUP, &[TEXT, bad], "x").await;
        assert_eq!(answer.status, 400, "{}: {}", bad.0, answer.body);
    }
    let values = "v".repeat(1000);
    let names: Vec<_> = (0..9).map(|number| format!("X-WebPubSub-Metadata-{number}")).collect();
    let mut many = vec![TEXT];
    many.extend(names.iter().map(|name| (name.as_str(), values.as_str())));
    assert_eq!(server.api("POST", GROUP, &many, "x").await.status, 400);
    mark.expect_silence().await;
}

async fn a_message_may_have_a_life_and_tells_how_far_it_went(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    for client in [&mut mark, &mut anna] {
        client.join("shop/eu").await;
    }
    anna.join("shop/us").await;
    let send = async |path: &str| {
        let answer = server.api("POST", &format!("/api/hubs/chat/{path}"), &[TEXT], "x").await;
        assert_eq!(answer.status, 202, "{path}: {}", answer.body);
        let number = |name: &str| answer.header(name).map(|number| number.parse::<usize>().unwrap());
        (number("folkmoot-delivered-groups"), number("folkmoot-delivered-connections"))
    };
    assert_eq!(send("groups/shop%2Feu/:send?messageTtlSeconds=300").await, (Some(1), Some(2)));
    assert_eq!(send(&format!("groups/shop%2Feu/:send?excluded={}", anna.id())).await, (Some(1), Some(1)));
    // In two of the groups, and still one connection.
    assert_eq!(send("groups/shop%2F*/:send?messageTtlSeconds=0").await, (Some(2), Some(2)));
    assert_eq!(send(":send?messageTtlSeconds=60").await, (None, Some(2)));
    assert_eq!(send("users/user-1/:send").await, (None, Some(1)));
    assert_eq!(send(&format!("connections/{}/:send?messageTtlSeconds=1", mark.id())).await, (None, Some(1)));
    assert_eq!(send("connections/nobody/:send").await, (None, Some(0)));
    let heard = [mark.drain().await.len(), anna.drain().await.len()];
    assert_eq!(heard, [6, 3]);
}

async fn what_is_wrong_is_told_in_the_order_of_the_reference(setup: Setup) {
    let server = setup.config(|config| config.limits.max_message_bytes = 100).start().await;
    let long = "x".repeat(101);
    let html = ("Content-Type", "text/html");
    let told = async |query: &str, headers: &[(&str, &str)], body: &str| {
        let answer = server.api("POST", &format!("{GROUP}?{query}"), headers, body).await;
        let message: Value = answer.json()["message"].clone();
        (answer.status, message.as_str().unwrap().to_owned())
    };
    // Everything is wrong; what is mended shows what comes next.
    let (status, message) = told("messageTtlSeconds=x&filter=x", &[html], &long).await;
    assert!(status == 400 && message.contains("messageTtlSeconds"), "{status} {message}");
    let (status, message) = told("filter=x", &[html], &long).await;
    assert!(status == 400 && message.contains("filter"), "{status} {message}");
    assert_eq!(told("", &[html], &long).await.0, 415);
    let (status, message) = told("", &[JSON], &long).await;
    assert!(status == 400 && message.contains("100 bytes"), "{status} {message}");
    let (status, message) = told("", &[JSON], "{").await;
    assert!(status == 400 && message.contains("JSON"), "{status} {message}");
    let token = server.api_token(GROUP);
    let chunked = format!(
        "POST {GROUP} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        server.address
    );
    let answer = server.http_bytes(chunked.as_bytes()).await;
    assert!(answer.status == 400 && answer.body.contains("Content-Length"), "{answer:?}");
    let unknown = server.http("POST", &format!("{GROUP}?messageTtlSeconds=x"), &[html], &long).await;
    assert_eq!(unknown.status, 401);
}
