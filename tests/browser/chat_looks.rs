//! How the chat page looks: the pictures of the README, and that nothing hangs over on a phone.

use super::chat_page::{Chat, demo_server};
use super::driver::Driver;
use super::process::Program;
use super::support::Browser;

/// A conversation to look at, and who takes part in it.
fn talk(driver: &std::sync::Arc<Driver>, server: &Program, mark: &Chat) -> [Chat; 2] {
    let anna = Chat::log_in(driver, server, 2);
    let kenji = Chat::log_in(driver, server, 3);
    for chat in [&anna, &kenji] {
        chat.join("launch");
    }
    anna.say("Good morning! The new price list is out, both regions have it.");
    kenji.say("Thank you. Asia opens in an hour, so we are in time.");
    kenji.say("Who tells accounting?");
    mark.say("I will write to all of sales when it is live.");
    anna.say("Perfect, then everybody hears it from one place.");
    mark.page.see_text("#log .message", "from one place");
    mark.page.see_text("#log .message", "accounting?");
    mark.open_group("Sales");
    kenji.say("Five minutes to go.");
    anna.say("Ready here.");
    mark.page.see_text(".group[data-name=launch] .badge", "2 unread");
    mark.open_group("launch");
    anna.page.click("#leave");
    mark.page.see_text("#log .event", "Anna has disconnected.");
    mark.to_mask("sales/*");
    mark.page.see_text("#reach", "Would reach 3 connections in 2 groups");
    mark.page.fill("#composer-text", "The new prices are live.");
    [anna, kenji]
}

#[test]
fn it_looks_well_in_light_and_in_dark() {
    let Some(driver) = Driver::of_test("it_looks_well_in_light_and_in_dark") else { return };
    let (_workplace, server) = demo_server();
    let mark = Chat::open(&driver, &server);
    mark.enter_as(1);
    mark.join("sales/*");
    mark.join("launch");
    let _others = talk(&driver, &server, &mark);
    mark.page.screenshot("chat-light.png");
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let light = mark.page.js(ground, vec![]);
    mark.page.prefer_dark(true);
    assert_ne!(mark.page.js(ground, vec![]), light);
    mark.page.click("#side-frames");
    mark.page.see("#frames .frame");
    mark.page.screenshot("chat-dark.png");
    for width in [1920, 1280, 1000, 900, 768] {
        mark.page.session().set_viewport(width, 800, false);
        assert_eq!(mark.page.overflow(), 0, "at a width of {width}");
    }
    // Colours take their time to change.
    mark.page.wait_eq("low contrast in the dark", Vec::new(), Browser::low_contrast);
    mark.page.prefer_dark(false);
    mark.page.wait_eq("low contrast in the light", Vec::new(), Browser::low_contrast);
    mark.page.expect_clean_console();
}

#[test]
fn what_one_needs_stays_in_sight_however_much_there_is() {
    let Some(driver) = Driver::of_test("what_one_needs_stays_in_sight_however_much_there_is") else { return };
    let (_workplace, server) = demo_server();
    let mark = Chat::log_in(&driver, &server, 1);
    for number in 0..30 {
        mark.join(&format!("team/{number:02}"));
    }
    let bottom = |selector: &str| {
        let body = "return document.querySelector(arguments[0]).getBoundingClientRect().bottom";
        mark.page.js(body, vec![selector.into()]).as_f64().unwrap()
    };
    assert!(bottom("#join-form") <= 800.0, "the way to join ends at {}", bottom("#join-form"));
    mark.open_group("team/29");
    for line in 0..30 {
        mark.write(&format!("line {line}"));
    }
    assert_eq!(mark.page.texts("#log .message.continues").len(), 29, "one name stands over all of them");
    mark.page.js("document.getElementById('log-scroller').scrollTop = 0", vec![]);
    mark.page.fill("#composer-text", "a\u{e008}\u{e007}\u{e007}\u{e007}\u{e007}\u{e007}\u{e008}b");
    mark.page.wait("the place to write has grown", |_| bottom("#log-scroller") < 600.0);
    assert!(bottom("#to-end") <= bottom("#log-scroller"), "the way to the newest lies over the place to write");
    mark.page.click("#to-end");
    mark.page.see_no("#to-end");
    mark.page.expect_clean_console();
}

#[test]
fn a_phone_shows_one_part_at_a_time_and_nothing_hangs_over() {
    let Some(driver) = Driver::of_test("a_phone_shows_one_part_at_a_time_and_nothing_hangs_over") else { return };
    let (_workplace, server) = demo_server();
    let mark = Chat { page: Browser::open_on_phone(&driver, &format!("http://{}/", server.address)) };
    assert_eq!(mark.page.overflow(), 0, "on the login");
    mark.page.see("#login");
    mark.page.fill("#login-name", "user-1");
    mark.page.fill("#login-password", "password-1");
    mark.page.click("#login-button");
    mark.page.see_text("#status", "Connected");
    let kenji = Chat::log_in(&driver, &server, 3);
    kenji.join("Sales");
    kenji.say(&format!("A word that is long: {}", "unbreakable".repeat(40)));
    kenji.say("And one that is not.");
    mark.page.see_text("#log .message", "not.");
    mark.write("I read you on my phone.");
    for pane in ["groups", "members", "frames", "talk"] {
        mark.page.click(&format!("#panes [data-pane={pane}]"));
        mark.page.see(&format!("#panes [data-pane={pane}][aria-current]"));
        assert_eq!(mark.page.overflow(), 0, "on {pane}");
    }
    assert!(!mark.page.is_shown("#groups") && mark.page.is_shown("#log"));
    mark.page.screenshot("chat-phone.png");
    mark.page.expect_clean_console();
}
