//! The chat page when the server goes, a token is old, or the network is not there.

use super::chat_page::{Chat, demo_server};
use super::driver::Driver;
use super::process::Workplace;
use super::support::Browser;

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
fn who_may_do_nothing_is_told_so_in_its_place() {
    let Some(driver) = Driver::of_test("who_may_do_nothing_is_told_so_in_its_place") else { return };
    let workplace = Workplace::with_config("hubs: { default: chat }\n");
    workplace.add_user("nil", "long enough", &[]);
    workplace.add_user("zoe", "long enough", &["--department", "sales"]);
    let server = workplace.serve(&[]);
    let chat = Chat::open(&driver, &server);
    chat.enter("nil", "long enough");
    chat.page.see_text("#group-about", "Join a group to talk in it.");
    assert!(!chat.page.is_shown("#log-empty"), "nothing can be said where there is no group");
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
