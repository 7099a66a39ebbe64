//! Names with odd characters through every route of the HTTP API, encoded as the SDKs encode them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::support::{JSON, Setup, TEXT, on_both_transports, text_to};

on_both_transports! {
    a_group_is_the_same_in_every_route_however_it_is_encoded,
    a_user_is_the_same_in_every_route_however_it_is_encoded,
}

/// What JavaScript's `encodeURIComponent` leaves as it is.
const BY_JAVASCRIPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
/// What Python's `quote(…, safe="")` leaves as it is.
const BY_PYTHON: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const NAMES: [&str; 8] = ["sales/europe", "sales/*", "a%2Fb", "a+b", "grüp é 1", "what? #1", ":send", "connections"];

fn encodings(name: &str) -> [String; 2] {
    [BY_JAVASCRIPT, BY_PYTHON].map(|set| utf8_percent_encode(name, set).to_string())
}

async fn a_group_is_the_same_in_every_route_however_it_is_encoded(setup: Setup) {
    let server = setup.hub("literal", |hub| hub.masks = false).start().await;
    let token = server.token_for("literal").claim("sub", "u1");
    let mut client = server.handshake().path("/client/hubs/literal").token(token).connect().await.unwrap();
    let id = client.id().to_owned();
    for name in NAMES {
        for group in encodings(name) {
            let ask = async |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
                server.api(method, &format!("/api/hubs/Literal/{path}"), headers, body).await
            };
            let status = async |method: &str, path: &str| ask(method, path, &[], "").await.status;
            let (of_group, of_user) = (format!("groups/{group}"), format!("users/u1/groups/{group}"));
            let member = format!("{of_group}/connections/{id}");
            assert_eq!(status("HEAD", &of_group).await, 404, "{group}");
            for (join, leave) in [(&member, &member), (&of_user, &of_user)] {
                assert_eq!(status("PUT", join).await, 200, "{group}");
                assert_eq!(status("HEAD", &of_group).await, 200, "{group}");
                assert_eq!(status("DELETE", leave).await, 204, "{group}");
                assert_eq!(status("HEAD", &of_group).await, 404, "{group}");
            }
            let body = json!({"groups": [name], "filter": "userId eq 'u1'"}).to_string();
            assert_eq!(ask("POST", ":addToGroups", &[JSON], &body).await.status, 200);
            let members = ask("GET", &format!("{of_group}/connections"), &[], "").await.json();
            assert_eq!(members["value"][0]["connectionId"], id, "{group}: {members}");
            let sent = ask("POST", &format!("{of_group}/:send"), &[TEXT], name).await;
            assert_eq!((sent.status, sent.header("folkmoot-delivered-groups")), (202, Some("1")), "{group}");
            client.expect_message(name, name).await;
            let excluded = ask("POST", &format!("{of_group}/:send?excluded={id}"), &[TEXT], name).await;
            assert_eq!(excluded.header("folkmoot-delivered-connections"), Some("0"), "{group}");
            // The filter means the same group as the path does.
            let filter = utf8_percent_encode(&format!("'{name}' in groups"), NON_ALPHANUMERIC).to_string();
            let filtered = ask("POST", &format!(":send?filter={filter}"), &[TEXT], "filtered").await;
            assert_eq!(filtered.header("folkmoot-delivered-connections"), Some("1"), "{group}");
            assert_eq!(client.next_json().await["data"], "filtered");
            let permission = format!("permissions/sendToGroup/connections/{id}?targetName={group}");
            client.ask_refused(text_to(name, "x"), "Forbidden").await;
            assert_eq!((status("PUT", &permission).await, status("HEAD", &permission).await), (200, 200), "{group}");
            client.ask_ok(text_to(name, "allowed")).await;
            assert_eq!(client.next_json().await["data"], "allowed");
            assert_eq!((status("DELETE", &permission).await, status("HEAD", &permission).await), (204, 404), "{group}");
            assert_eq!(ask("POST", ":removeFromGroups", &[JSON], &body).await.status, 200);
            assert_eq!(status("POST", &format!("{of_group}/:closeConnections")).await, 204);
            let token = ask("POST", &format!(":generateToken?group={group}"), &[], "").await.json();
            let guest = server.handshake().path("/client/hubs/literal").token(token["token"].as_str().unwrap());
            let guest = guest.connect().await.unwrap();
            assert_eq!(status("HEAD", &of_group).await, 200, "{group}");
            assert_eq!(status("DELETE", &format!("connections/{}/groups", guest.id())).await, 204);
            assert_eq!(status("HEAD", &of_group).await, 404, "{group}");
        }
    }
    client.expect_silence().await;
}

async fn a_user_is_the_same_in_every_route_however_it_is_encoded(setup: Setup) {
    let server = setup.start().await;
    for name in NAMES {
        for user in encodings(name) {
            let mut client = server.handshake().token(server.token().claim("sub", name)).connect().await.unwrap();
            let ask = async |method: &str, path: &str| {
                server.api(method, &format!("/api/hubs/chat/users/{user}{path}"), &[TEXT], "x").await.status
            };
            assert_eq!(ask("HEAD", "").await, 200, "{user}");
            assert_eq!(ask("POST", "/:send").await, 202);
            assert_eq!(client.next_json().await["data"], "x", "{user}");
            assert_eq!(ask("PUT", "/groups/a").await, 200);
            assert_eq!(ask("DELETE", "/groups/a").await, 204);
            assert_eq!(ask("PUT", "/groups/b").await, 200);
            assert_eq!(ask("DELETE", "/groups").await, 204);
            assert_eq!(server.api("HEAD", "/api/hubs/chat/groups/b", &[], "").await.status, 404, "{user}");
            assert_eq!(ask("POST", "/:closeConnections?reason=done").await, 204);
            client.expect_close(1000, "done").await;
            drop(client);
            // The connection is gone a moment after its close.
            let gone = tokio::time::timeout(crate::support::DEADLINE, async {
                while ask("HEAD", "").await != 404 {
                    tokio::task::yield_now().await;
                }
            });
            gone.await.unwrap_or_else(|_| panic!("{user} does not end"));
            assert_eq!(ask("PUT", "/groups/a").await, 404, "{user}");
        }
    }
}
