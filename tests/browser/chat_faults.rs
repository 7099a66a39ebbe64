//! The chat page when the server goes, a token is old, or the network is not there.

use super::cable::Cable;
use super::chat_page::{Chat, demo_server};
use super::client::http;
use super::driver::Driver;
use super::process::{Program, Workplace};
use super::support::Browser;
use super::token::{ACCESS_KEY, Token};

/// The demo server, which obeys the tests.
fn obedient_server() -> (Workplace, Program) {
    let workplace = Workplace::demo();
    let server = workplace.serve(&["--set", &format!("auth.access_keys=[\"{ACCESS_KEY}\"]")]);
    (workplace, server)
}

/// Has the server do something by its API.
fn order(server: &Program, method: &str, path: &str) {
    let token = Token::new(&format!("http://{}{path}", server.address));
    let authorization = format!("Bearer {token}");
    let (status, answer) = http(server.address, &format!("{method} {path}"), &[("Authorization", &authorization)], "");
    assert!((200..300).contains(&status), "{status}: {answer}");
}

#[test]
fn a_restart_of_the_server_is_told_and_survived() {
    let Some(driver) = Driver::of_test("a_restart_of_the_server_is_told_and_survived") else { return };
    let (workplace, mut server) = demo_server();
    let mut chat = Chat::log_in(&driver, &server, 1);
    chat.page.allow_console("ERR_CONNECTION_REFUSED");
    chat.page.allow_console("failed: ");
    chat.join("chess");
    chat.say("before");
    let port = server.address.port();
    server.signal("TERM");
    server.wait();
    chat.page.see_text("#banner-text", "The connection is lost: The server is going away.");
    chat.page.see_text("#status", "Not connected");
    assert!(chat.page.js("return document.getElementById('send').disabled", vec![]) == true);
    chat.page.fill("#composer-text", "written meanwhile");
    chat.page.see_text("#banner-count", "Trying again");
    chat.page.wait_eq("low contrast without a connection", Vec::new(), Browser::low_contrast);

    drop(server);
    let server = workplace.serve(&["--set", &format!("server.port={port}")]);
    chat.page.see_text("#status", "Connected");
    chat.page.see_no("#banner");
    chat.page.see_text("#log .note", "what was said meanwhile is missing here");
    assert_eq!(chat.groups(), ["chess", "Sales"], "what was joined by hand is joined again");
    assert_eq!(chat.page.text("#group-name"), "chess");
    chat.page.wait_eq("the draft", "written meanwhile".into(), |page| {
        page.js("return document.getElementById('composer-text').value", vec![])
    });
    chat.page.click("#send");
    chat.page.see_text("#log .message:not(.pending)", "written meanwhile");
    // Others hear it, too: the group is one again.
    let kenji = Chat::log_in(&driver, &server, 3);
    kenji.join("chess");
    chat.say("after");
    kenji.page.see_text("#log .message", "after");
    chat.page.expect_clean_console();
}

#[test]
fn a_killed_server_is_noticed_and_tried_again_by_hand() {
    let Some(driver) = Driver::of_test("a_killed_server_is_noticed_and_tried_again_by_hand") else { return };
    let (workplace, server) = demo_server();
    let chat = Chat::log_in(&driver, &server, 1);
    let port = server.address.port();
    drop(server);
    chat.page.see_text("#banner-text", "The connection is lost");
    let _server = workplace.serve(&["--set", &format!("server.port={port}")]);
    // It may have come back by itself meanwhile.
    chat.page.js("document.getElementById('retry').click()", vec![]);
    chat.page.see_text("#status", "Connected");
    chat.say("here again");
}

#[test]
fn a_token_that_is_old_is_renewed_without_the_password() {
    let Some(driver) = Driver::of_test("a_token_that_is_old_is_renewed_without_the_password") else { return };
    // Connections end with their token here, so an old one is of no use for the next.
    let config = include_str!("../../config.yaml").replace("enforce_expiry: false", "enforce_expiry: true");
    let workplace = Workplace::with_config(&config);
    let server = workplace.serve(&["--set", "auth.token_ttl=2s", "--set", "auth.clock_skew=0s"]);
    let mut chat = Chat::open(&driver, &server);
    chat.page.allow_console("failed: ");
    chat.enter_as(1);
    chat.page.see_text("#log .note", "Not connected for");
    chat.page.see_text("#status", "Connected");
    assert!(!chat.page.is_shown("#login"));
    chat.page
        .wait("a message after it", |page| page.js("return document.getElementById('send').disabled", vec![]) == false);
}

#[test]
fn a_reload_keeps_the_session_and_leaves_no_token_behind() {
    let Some(driver) = Driver::of_test("a_reload_keeps_the_session_and_leaves_no_token_behind") else { return };
    let (_workplace, server) = demo_server();
    let chat = Chat::log_in(&driver, &server, 1);
    chat.page.reload();
    chat.page.see_text("#status", "Connected");
    assert_eq!(chat.page.text("#me"), "Mark");
    assert_eq!(chat.page.js("return sessionStorage.length + localStorage.length", vec![]), 0);
    assert!(!chat.page.js("return location.href", vec![]).to_string().contains("token"));
    chat.page.expect_clean_console();
}

#[test]
fn a_user_who_is_disabled_is_told_and_not_connected_again() {
    let Some(driver) = Driver::of_test("a_user_who_is_disabled_is_told_and_not_connected_again") else { return };
    let (workplace, server) = demo_server();
    let mut chat = Chat::log_in(&driver, &server, 1);
    chat.page.allow_console("401");
    workplace.ok(&["user", "disable", "user-1"], "");
    chat.page.see_text("#banner-text", "The connection has ended: The user is disabled");
    // Who tries again is asked for a login that is good.
    chat.page.click("#retry");
    chat.page.see("#login");
    chat.page.see("#login-note:not(:empty)");
    drop(server);
}

#[test]
fn who_is_put_out_is_told_why_and_comes_back_only_by_hand() {
    let Some(driver) = Driver::of_test("who_is_put_out_is_told_why_and_comes_back_only_by_hand") else { return };
    let (_workplace, server) = obedient_server();
    let chat = Chat::log_in(&driver, &server, 1);
    chat.join("chess");
    order(&server, "POST", "/api/hubs/chat/users/user-1/:closeConnections?kick=true&reason=No%20advertising%20here");
    chat.page.see_text("#banner-text", "The connection has ended: No advertising here.");
    chat.page.see_text("#status", "Not connected");
    assert_eq!(chat.page.text("#banner-count"), "", "nothing is tried again");
    assert_eq!(chat.page.text("#retry"), "Connect again");
    assert!(chat.page.js("return document.getElementById('send').disabled", vec![]) == true);
    // What was said can still be read.
    assert_eq!(chat.page.text("#group-name"), "chess");
    chat.page.click("#retry");
    chat.page.see_text("#status", "Connected");
    chat.page.see_no("#banner");
    chat.say("I am sorry");
    assert_eq!(chat.groups(), ["chess", "Sales"]);
    chat.page.expect_clean_console();
}

#[test]
fn a_network_that_swallows_everything_is_noticed_and_survived() {
    let Some(driver) = Driver::of_test("a_network_that_swallows_everything_is_noticed_and_survived") else { return };
    let (_workplace, server) = demo_server();
    let cable = Cable::to(server.address);
    let mut page = Browser::open(&driver, &format!("http://{}/", cable.address));
    page.allow_console("failed: ");
    page.allow_console("WebSocket");
    let chat = Chat { page };
    chat.enter_as(1);
    chat.join("chess");
    cable.unplug();
    // The machine says so at once; it is asked whether that is true, and nobody answers.
    chat.page.js("dispatchEvent(new Event('offline'))", vec![]);
    chat.page.see_text("#banner-text", "The connection is lost: The server fell silent.");
    chat.page.see_text("#status", "Not connected");
    // An attempt is given up as well.
    chat.page.see_text("#banner-text", "does not answer.");
    cable.plug_in();
    chat.page.js("document.getElementById('retry').click()", vec![]);
    chat.page.see_text("#status", "Connected");
    chat.page.see_no("#banner");
    assert_eq!(chat.groups(), ["chess", "Sales"]);
    chat.say("here again");
}

#[test]
fn a_machine_that_says_it_is_offline_is_told_so_beside_the_loss() {
    let Some(driver) = Driver::of_test("a_machine_that_says_it_is_offline_is_told_so_beside_the_loss") else { return };
    let (workplace, server) = demo_server();
    let mut chat = Chat::log_in(&driver, &server, 1);
    chat.page.allow_console("ERR_");
    chat.page.allow_console("WebSocket");
    let conditions = |offline: bool| serde_json::json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    chat.page.session().devtools("Network.enable", serde_json::json!({}));
    chat.page.session().devtools("Network.emulateNetworkConditions", conditions(true));
    let port = server.address.port();
    drop(server);
    chat.page.see_text("#banner-text", "This machine says that it is offline.");
    let _server = workplace.serve(&["--set", &format!("server.port={port}")]);
    // Coming back is tried at once then, and not when it would be its turn.
    chat.page.session().devtools("Network.emulateNetworkConditions", conditions(false));
    chat.page.see_text("#status", "Connected");
    chat.page.see_no("#banner");
    chat.say("here again");
}

#[test]
fn what_was_joined_and_left_by_hand_is_so_after_a_reload() {
    let Some(driver) = Driver::of_test("what_was_joined_and_left_by_hand_is_so_after_a_reload") else { return };
    let (_workplace, server) = obedient_server();
    let chat = Chat::log_in(&driver, &server, 1);
    let from_the_store = chat.groups();
    chat.join("chess");
    chat.join("sales/*");
    chat.open_group("Sales");
    chat.page.click("#leave");
    chat.page.wait("Sales is left", |_| !chat.groups().contains(&"Sales".to_owned()));
    chat.open_group("chess");
    let before = chat.groups();
    assert!(before.contains(&"chess".to_owned()) && before.contains(&"sales/*".to_owned()), "{before:?}");
    // Twice: the second one knows what the first one knew.
    for _ in 0..2 {
        chat.page.reload();
        chat.page.see_text("#status", "Connected");
        chat.page.wait_eq("the same groups", before.clone(), |_| chat.groups());
        chat.page.wait_eq("the same one is open", "chess".to_owned(), |page| page.text("#group-name"));
        assert_eq!(chat.page.js("return sessionStorage.length + localStorage.length", vec![]), 0);
    }
    chat.say("still in it");
    // What the server puts us into again is left again.
    let members = |group: &str| {
        let path = format!("/api/hubs/chat/groups/{group}/connections");
        let token = format!("Bearer {}", Token::new(&format!("http://{}{path}", server.address)));
        http(server.address, &format!("GET {path}"), &[("Authorization", &token)], "").1
    };
    assert!(members("chess").contains("user-1"), "{}", members("chess"));
    chat.page.wait("Mark is in Sales no more", |_| !members("Sales").contains("user-1"));

    // Whoever logs out and in again begins anew, and so does somebody else.
    chat.page.click("#logout");
    chat.page.see("#login");
    chat.page.reload();
    chat.page.see("#login");
    chat.enter_as(1);
    chat.page.wait_eq("the groups of the store", from_the_store, |_| chat.groups());
    chat.page.expect_clean_console();
}

#[test]
fn who_may_do_nothing_is_told_so_in_its_place() {
    let Some(driver) = Driver::of_test("who_may_do_nothing_is_told_so_in_its_place") else { return };
    let workplace = Workplace::with_config("hubs: { default: chat }\n");
    workplace.add_user("nil", "long enough", &[]);
    workplace.add_user("zoe", "long enough", &["--department", "sales"]);
    let server = workplace.serve(&[]);
    let chat = Chat::open(&driver, &server);
    chat.enter("nil", "long enough");
    chat.page.see_text("#group-about", "Join a group to talk in it.");
    // Head and log are drawn each by its own part, one frame after the other.
    chat.page.see_no("#log-empty");
    chat.page.fill("#join-name", "chess");
    chat.page.click("#join-form button");
    chat.page.see_text("#join-error", "No role allows joining");
    chat.page.click("#logout");
    chat.enter("zoe", "long enough");
    chat.page.see(".group[data-name=sales]");
    assert_eq!(chat.page.text("#join-error"), "", "that was for somebody else");
    chat.page.fill("#composer-text", "Hello?");
    chat.page.click("#send");
    chat.page.see_text("#log .failure", "No role allows sending to 'sales'");
    assert_eq!(chat.page.text("#log .message header:not(.visually-hidden) .name"), "You");
    chat.page.expect_clean_console();
}

#[test]
fn a_group_that_cannot_be_joined_again_says_so() {
    let Some(driver) = Driver::of_test("a_group_that_cannot_be_joined_again_says_so") else { return };
    let (workplace, server) = demo_server();
    let mut chat = Chat::log_in(&driver, &server, 1);
    chat.page.allow_console("ERR_CONNECTION_REFUSED");
    chat.page.allow_console("WebSocket");
    chat.join("chess");
    let port = server.address.port();
    drop(server);
    chat.page.see_text("#status", "Not connected");
    let port = format!("server.port={port}");
    let _server = workplace.serve(&["--set", &port, "--set", "limits.groups_per_connection=1"]);
    chat.page.js("document.getElementById('retry').click()", vec![]);
    chat.page.see_text("#status", "Connected");
    chat.page.see_text("#log .note", "You are not in here any more");
}

#[test]
fn a_flood_is_bounded_in_the_page() {
    let Some(driver) = Driver::of_test("a_flood_is_bounded_in_the_page") else { return };
    let (_workplace, server) = demo_server();
    let chat = Chat::log_in(&driver, &server, 1);
    chat.page.click("#side-frames");
    // Another connection of the same page's making: it publishes more than the page keeps.
    let flood = "const done = arguments[0]; \
        fetch('/auth/token', { method: 'POST', body: new URLSearchParams({ login: 'user-2', password: 'password-2' }) }) \
        .then((answer) => answer.json()).then(({ url }) => { \
          const socket = new WebSocket(url, 'json.webpubsub.azure.v1'); \
          socket.onopen = () => { for (let i = 1; i <= 1200; i += 1) \
            socket.send(JSON.stringify({ type: 'sendToGroup', group: 'Sales', dataType: 'text', data: `flood ${i}` })); done(1); }; \
        })";
    chat.page.session().run(async |client| client.execute_async(flood, vec![]).await).unwrap();
    chat.page.see_text("#log .message:last-child", "flood 1200");
    assert_eq!(chat.page.js("return document.getElementById('log').childElementCount", vec![]), 500);
    chat.page.wait("the frames are bounded", |page| {
        page.js("return document.getElementById('frames').childElementCount", vec![]) == 200
    });
    assert_eq!(chat.page.overflow(), 0);
    chat.page.expect_clean_console();
}

#[test]
fn frames_are_shown_and_stand_still_while_paused() {
    let Some(driver) = Driver::of_test("frames_are_shown_and_stand_still_while_paused") else { return };
    let (_workplace, server) = demo_server();
    let chat = Chat::log_in(&driver, &server, 1);
    chat.page.click("#side-frames");
    chat.page.see_text("#frames .frame.in", "\"event\":\"connected\"");
    chat.say("seen");
    chat.page.see_text("#frames .frame.out", "\"data\":\"seen\"");
    assert!(chat.page.texts("#frames").iter().all(|frames| !frames.contains("access_token")));
    chat.page.click("#frames-pause");
    chat.say("unseen");
    chat.page.click("#frames-pause");
    chat.say("seen again");
    chat.page.see_text("#frames .frame.out", "\"data\":\"seen again\"");
    assert!(!chat.page.text("#frames").contains("unseen"));
    chat.page.click("#frames-clear");
    chat.page.wait_eq("no frames", String::new(), |page| page.text("#frames"));
}
