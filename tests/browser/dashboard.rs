//! The dashboard on a server with a hundred connections in dozens of groups, as an operator meets it.

use std::time::{Duration, Instant};

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::client::{Client, Heard, publish};
use super::driver::Driver;
use super::process::{PATIENCE, Program, Workplace};
use super::support::Browser;

/// The password of everybody.
pub const PASSWORD: &str = "correct horse";
/// A name that would be an image, and a script, where somebody took it for HTML.
const EVIL: &str = "<img src=x onerror=alert(1)>";
/// Connections at the start.
const CROWD: usize = 100;

const CONFIG: &str = "
hubs:
  declared:
    chat:
      default_roles: [webpubsub.joinLeaveGroup, webpubsub.sendToGroup]
# Nobody in the crowd reads, so nobody answers a ping.
heartbeat:
  ping_interval: 10m
";

/// A server, and those who are on it.
pub struct Place {
    pub program: Program,
    crowd: Vec<Client>,
    pub workplace: Workplace,
}

impl Place {
    /// A server with its users, and nobody on it.
    pub fn quiet(arguments: &[&str]) -> Self {
        let workplace = Workplace::with_config(CONFIG);
        workplace.add_user("ops", PASSWORD, &["--role", "folkmoot.admin"]);
        workplace.add_user("eyes", PASSWORD, &["--role", "folkmoot.admin.read"]);
        let person = ["--department", "sales/europe", "--age", "22"];
        workplace.add_user("mark", PASSWORD, &[&["--username", "Mark"], &person[..]].concat());
        workplace.add_user("eve", PASSWORD, &[&["--username", EVIL], &person[..]].concat());
        workplace.add_user("anna", PASSWORD, &["--username", "Anna", "--department", "board"]);
        let program = workplace.serve(arguments);
        Place { program, crowd: Vec::new(), workplace }
    }

    /// The same with a hundred connections in dozens of groups: half are Mark's, the last is Eve's, the others Anna's.
    pub fn populated() -> Self {
        let mut place = Place::quiet(&[]);
        for number in 0..CROWD {
            let login = match number {
                99 => "eve",
                even if even % 2 == 0 => "mark",
                _ => "anna",
            };
            let mut client = Client::connect(place.program.address, login, PASSWORD);
            client.join(&format!("desk/{}/{}", number % 5, number % 40), 1);
            place.crowd.push(client);
        }
        place
    }

    /// The dashboard in a browser of its own, before the login.
    pub fn open(&self, driver: &std::sync::Arc<Driver>) -> Browser {
        Browser::open(driver, &self.url())
    }

    /// The same after the login.
    pub fn open_as(&self, driver: &std::sync::Arc<Driver>, login: &str) -> Browser {
        let browser = self.open(driver);
        log_in(&browser, login, PASSWORD);
        browser.see_text("#state", "Live");
        browser
    }

    fn url(&self) -> String {
        format!("http://{}/admin", self.program.address)
    }
}

/// Fills in the form and sends it.
pub fn log_in(browser: &Browser, login: &str, password: &str) {
    browser.fill("[name=login]", login);
    browser.fill("[name=password]", password);
    browser.click(".login button");
}

/// Goes to a view by its address.
pub fn view(browser: &Browser, hash: &str, title: &str) {
    browser.js("location.hash = arguments[0]", vec![hash.into()]);
    browser.see_text("h1", title);
}

/// How many rows the table shows that are no word about there being none.
pub fn rows(browser: &Browser) -> usize {
    browser.texts("tbody tr td:first-child:not(.empty)").len()
}

/// Whether a chart changes within two of the seconds that it shows.
fn is_moving(browser: &Browser) -> bool {
    let line = || browser.js("return document.querySelector('.line').getAttribute('d')", Vec::new());
    let before = line();
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        if line() != before {
            return true;
        }
    }
    false
}

/// Waits until a client hears a text.
fn hear(client: &mut Client, text: &str) -> Value {
    let deadline = Instant::now() + PATIENCE;
    while let Heard::Frame(frame) = client.hear() {
        if frame["data"].to_string().contains(text) {
            return frame;
        }
        assert!(Instant::now() < deadline);
    }
    panic!("the connection ended before '{text}'");
}

#[test]
fn an_operator_sees_the_numbers_of_the_server_move() {
    let Some(driver) = Driver::of_test("an_operator_sees_the_numbers_of_the_server_move") else { return };
    let mut place = Place::populated();
    let browser = place.open_as(&driver, "ops");
    browser.wait("the crowd is counted", |browser| {
        browser.text("#now-connections").parse::<usize>().is_ok_and(|count| count >= CROWD)
    });
    browser.see(".chart svg[aria-label*='Connections']");
    browser.wait("messages are counted", |browser| {
        place.crowd[0].send(&publish("desk/0/0", "hello"));
        !["–", "0/s"].contains(&browser.text("#now-messages_in").as_str())
    });
    browser.wait("the line goes on", is_moving);
    browser.screenshot("dashboard-overview.png");
    browser.prefer_dark(true);
    browser.screenshot("dashboard-dark.png");
    for dark in [true, false] {
        browser.prefer_dark(dark);
        for view in ["overview", "connections", "send"] {
            browser.js("location.hash = `#/${arguments[0]}?hub=chat`", vec![view.into()]);
            browser.see(&format!("nav a[aria-current][href^='#/{view}']"));
            browser.wait_eq(&format!("low contrast of {view}, dark: {dark}"), Vec::new(), Browser::low_contrast);
        }
    }
    browser.expect_clean_console();
}

#[test]
fn the_tree_of_groups_opens_branch_by_branch_and_shows_members_with_their_data() {
    let test = "the_tree_of_groups_opens_branch_by_branch_and_shows_members_with_their_data";
    let Some(driver) = Driver::of_test(test) else { return };
    let place = Place::populated();
    let browser = place.open_as(&driver, "ops");
    browser.click("nav a[href^='#/groups']");
    browser.see_text(".branch", "desk/");
    browser.see_text(".tree li", "40 groups");
    browser.js("[...document.querySelectorAll('.branch')].find((b) => b.textContent == 'desk/').click()", Vec::new());
    browser.see_text(".level .level .branch", "3/");
    browser.js("[...document.querySelectorAll('.branch')].find((b) => b.textContent == '3/').click()", Vec::new());
    browser.see("a[aria-label='desk/3/13']");
    browser.screenshot("dashboard-groups.png");

    view(&browser, "#/members?hub=chat&group=sales%2Feurope", "Members of sales/europe");
    browser.see_text("tbody tr", "age: 22");
    // The name is what somebody typed, and nothing that a browser would run.
    browser.see_text("td[data-label=Name]", EVIL);
    assert_eq!(browser.texts("main img"), Vec::<String>::new());
    assert_eq!(rows(&browser), CROWD / 2 + 1);
    browser.screenshot("dashboard-members.png");
    browser.expect_clean_console();
}

#[test]
fn connections_are_filtered_and_one_is_disconnected() {
    let Some(driver) = Driver::of_test("connections_are_filtered_and_one_is_disconnected") else { return };
    let mut place = Place::populated();
    let browser = place.open_as(&driver, "ops");
    browser.click("nav a[href^='#/connections']");
    browser.wait_eq("everybody", CROWD, rows);
    browser.screenshot("dashboard-connections.png");
    browser.fill("[name=user]", "mark");
    browser.fill("[name=group]", "desk/0/0");
    browser.press([char::from(Key::Enter)]);
    browser.wait_eq("those of mark in one group", 3, rows);

    let mut gone = place.crowd.remove(0);
    let button = format!("button[aria-label='Disconnect {}']", gone.id);
    browser.click(&button);
    browser.see_text("dialog", &gone.id);
    browser.press([char::from(Key::Escape)]);
    browser.see_no("dialog");
    assert!(browser.has_focus(&button), "the focus is on {}", browser.focused());

    browser.click(&button);
    browser.fill("dialog [name=reason]", "maintenance");
    browser.click("dialog .danger");
    browser.see_text("#toasts", "disconnected");
    browser.wait_eq("one is gone", 2, rows);
    let (_, end) = gone.rest();
    assert!(matches!(&end, Heard::Closed(_, reason) if reason.contains("maintenance")), "{end:?}");
    browser.expect_clean_console();
}

#[test]
fn all_connections_of_a_user_are_disconnected() {
    let Some(driver) = Driver::of_test("all_connections_of_a_user_are_disconnected") else { return };
    let mut place = Place::populated();
    let browser = place.open_as(&driver, "ops");
    view(&browser, "#/connections?hub=chat&user=anna", "Connections of chat");
    browser.wait_eq("those of anna", CROWD / 2 - 1, rows);
    browser.click("button[aria-label='Disconnect all connections of anna']");
    browser.click("dialog .danger");
    browser.see_text("#toasts", "anna");
    for client in place.crowd[..99].iter_mut().skip(1).step_by(2) {
        assert!(matches!(client.rest().1, Heard::Closed(..)));
    }
    browser.click("main .pager button:last-child");
    browser.see_text("td.empty", "No connection matches");
    browser.expect_clean_console();
}

#[test]
fn a_message_tells_whom_it_would_reach_and_reaches_them() {
    let Some(driver) = Driver::of_test("a_message_tells_whom_it_would_reach_and_reaches_them") else { return };
    let mut place = Place::populated();
    let browser = place.open_as(&driver, "ops");
    browser.click("nav a[href^='#/send']");
    browser.fill("[name=target]", "desk/3/*");
    // Every fifth of the crowd, whose number modulo 40 is one of eight.
    browser.see_text("#preview", "Would reach 20 connections in 8 groups.");
    browser.fill("[name=message]", "The lift is out of order.");
    browser.screenshot("dashboard-send.png");
    browser.click(".send .primary");
    browser.see_text("#toasts", "Sent to 8 groups");
    let heard = hear(&mut place.crowd[3], "The lift");
    assert_eq!((heard["from"].as_str(), heard["dataType"].as_str()), (Some("group"), Some("text")));

    browser.choose("[name=type]", "application/json");
    browser.fill("[name=message]", "{\"no\": ");
    browser.click(".send .primary");
    browser.see_text("#alerts", "no JSON");
    browser.fill("[name=message]", "{\"floor\": 3}");
    browser.click(".send .primary");
    let heard = hear(&mut place.crowd[3], "floor");
    assert_eq!((&heard["dataType"], &heard["data"]), (&json!("json"), &json!({ "floor": 3 })));
    browser.expect_clean_console();
}

#[test]
fn who_is_called_like_a_step_in_a_path_is_not_taken_for_the_whole_hub() {
    let test = "who_is_called_like_a_step_in_a_path_is_not_taken_for_the_whole_hub";
    let Some(driver) = Driver::of_test(test) else { return };
    let place = Place::quiet(&[]);
    place.workplace.add_user("..", PASSWORD, &[]);
    let mut anna = Client::connect(place.program.address, "anna", PASSWORD);
    let mut evil = Client::connect(place.program.address, "..", PASSWORD);
    anna.join("..", 1);
    let browser = place.open_as(&driver, "ops");

    view(&browser, "#/send?hub=chat&group=..", "Send in chat");
    browser.see_text("#preview", "A browser cannot ask");
    browser.fill("[name=message]", "for one group");
    browser.click(".send .primary");
    browser.see_text("#alerts", "A browser cannot ask");

    view(&browser, "#/connections?hub=chat&user=..", "Connections of chat");
    browser.click("button[aria-label='Disconnect all connections of ..']");
    browser.click("dialog .danger");
    browser.wait_eq("a second refusal", 2, |browser| browser.texts("#alerts > *").len());

    // Nobody was sent anything before, nor away.
    for (number, client) in [&mut anna, &mut evil].into_iter().enumerate() {
        let group = format!("afterwards/{number}");
        client.join(&group, 7);
        client.send(&publish(&group, "still here"));
        loop {
            match client.hear() {
                Heard::Frame(frame) if frame["data"] == "still here" => break,
                Heard::Frame(frame) => assert_ne!(frame["data"], "for one group"),
                end => panic!("{end:?}"),
            }
        }
    }
    browser.expect_clean_console();
}

#[test]
fn the_live_tail_tells_who_comes_goes_and_is_refused() {
    let Some(driver) = Driver::of_test("the_live_tail_tells_who_comes_goes_and_is_refused") else { return };
    let place = Place::quiet(&[]);
    let browser = place.open_as(&driver, "eyes");
    browser.click("nav a[href='#/tail']");
    let mut mark = Client::connect(place.program.address, "mark", PASSWORD);
    mark.join("chess", 1);
    browser.see_text("tbody tr", "chess");
    browser.see_text(".event.connected", "connected");
    assert_eq!(Client::try_connect(place.program.address, &[]).err(), Some(401));
    browser.see_text(".event.refused", "refused");
    browser.screenshot("dashboard-tail.png");

    browser.choose("main select", "joined");
    browser.wait("joins alone", |browser| browser.texts(".event").iter().all(|event| event == "joined"));
    browser.click("button[aria-pressed]");
    mark.join("go", 2);
    browser.see_text(".filter .count", "event");
    assert!(!browser.texts("tbody tr").iter().any(|row| row.contains("go")));
    browser.click("button[aria-pressed]");
    browser.see_text("tbody tr", "go");
    browser.expect_clean_console();
}

#[test]
fn the_view_that_was_asked_for_last_is_shown_whichever_answer_comes_first() {
    let test = "the_view_that_was_asked_for_last_is_shown_whichever_answer_comes_first";
    let Some(driver) = Driver::of_test(test) else { return };
    let place = Place::quiet(&[]);
    let browser = place.open_as(&driver, "ops");
    browser.see_text("h1", "Overview");
    // The answer that the first view waits for comes when the second one is there.
    let hold = "const real = window.fetch; let held = false; \
                window.fetch = async (...call) => { \
                  if (held || !String(call[0]).endsWith('/hubs')) return real(...call); \
                  held = true; \
                  const answer = await real(...call); \
                  await new Promise((go) => { window.go = go; }); \
                  setTimeout(() => { window.gone = true; }, 200); \
                  return answer; \
                }";
    browser.js(hold, Vec::new());
    browser.js("location.hash = '#/connections?hub=chat'", Vec::new());
    browser.wait("the first one waits", |browser| browser.js("return Boolean(window.go)", Vec::new()) == true);
    view(&browser, "#/tail", "Live tail");
    browser.js("window.go()", Vec::new());
    browser.wait("the first one has its answer", |browser| browser.js("return window.gone", Vec::new()) == true);
    assert_eq!(browser.text("h1"), "Live tail");
    assert!(browser.text("nav [aria-current]").contains("Live tail"));
    browser.expect_clean_console();
}

#[test]
fn one_token_serves_many_requests() {
    let Some(driver) = Driver::of_test("one_token_serves_many_requests") else { return };
    let place = Place::quiet(&[]);
    let browser = place.open_as(&driver, "ops");
    for (hash, title) in [
        ("#/connections?hub=chat", "Connections"),
        ("#/groups?hub=chat", "Groups"),
        ("#/configuration", "Configuration"),
    ] {
        view(&browser, hash, title);
    }
    browser.see_text("tbody code", "server.port");
    let tokens =
        "return performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/auth/token')).length";
    assert_eq!(browser.js(tokens, Vec::new()), 2, "one for the HTTP API, and one for the live data");
}

#[test]
fn who_may_only_read_sees_no_button_that_would_be_refused() {
    let Some(driver) = Driver::of_test("who_may_only_read_sees_no_button_that_would_be_refused") else { return };
    let place = Place::populated();
    let browser = place.open_as(&driver, "eyes");
    browser.see_text(".who", "read only");
    assert!(!browser.is_shown("nav a[href^='#/send']"));
    view(&browser, "#/connections?hub=chat", "Connections of chat");
    browser.wait_eq("everybody", CROWD, rows);
    assert!(!browser.is_shown("main .danger"));
    let id = &place.crowd[0].id;
    view(&browser, &format!("#/connection?hub=chat&id={id}"), "Connection");
    browser.see_text(".names li", "desk/0/0");
    assert!(!browser.is_shown("main .danger"));
    view(&browser, "#/send?hub=chat", "Send in chat");
    browser.see_text("main", "takes the role folkmoot.admin");
    browser.expect_clean_console();
}

#[test]
fn who_is_no_operator_is_refused() {
    let Some(driver) = Driver::of_test("who_is_no_operator_is_refused") else { return };
    let place = Place::quiet(&[]);
    let roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup", "folkmoot.listMembers", "folkmoot.listGroups"];
    let roles: Vec<_> = roles.into_iter().flat_map(|role| ["--role", role]).chain(["--hub", "*"]).collect();
    place.workplace.add_user("busy", PASSWORD, &roles);
    let mut browser = place.open(&driver);
    browser.allow_console("403");
    browser.allow_console("401");
    log_in(&browser, "busy", PASSWORD);
    browser.see_text("#refusal", "folkmoot.admin");
    log_in(&browser, "ops", "wrong");
    browser.see_text("#refusal", "wrong");
    assert!(browser.has_focus("[name=password]"));
    log_in(&browser, "ops", PASSWORD);
    browser.see_text("#state", "Live");
    browser.expect_clean_console();
}

#[test]
fn a_restart_of_the_server_is_told_and_survived() {
    let Some(driver) = Driver::of_test("a_restart_of_the_server_is_told_and_survived") else { return };
    let mut place = Place::quiet(&[]);
    let mut browser = place.open_as(&driver, "ops");
    browser.allow_console("ERR_CONNECTION_REFUSED");
    browser.allow_console("WebSocket connection to");
    place.program.signal("TERM");
    assert!(place.program.wait().success());
    browser.see_text("#state", "Connection lost: The server");
    let told = browser.text("#state");
    assert!(!told.contains("retry_after_ms") && !told.contains(".."), "{told}");
    // The address and what is shown stay the same thing.
    browser.js("location.hash = '#/groups'", Vec::new());
    browser.see_text("h1", "Groups");
    let port = format!("server.port={}", place.program.address.port());
    place.program = place.workplace.serve_plainly(&["--set", &port]);
    browser.see_text("#state", "Live");
    view(&browser, "#/overview", "Overview");
    browser.see_text("#now-connections", "0");
    browser.wait("the line goes on", is_moving);
    // The page goes on where it was, without a password.
    view(&browser, "#/configuration", "Configuration");
    browser.see_text("tbody code", "server.port");
    browser.reload();
    browser.see_text("#state", "Live");
    browser.see_text("h1", "Configuration");
    browser.click("header button");
    browser.see("[name=password]");
    browser.reload();
    browser.see("[name=password]");
    browser.expect_clean_console();
}

#[test]
fn the_configuration_is_searched_and_has_no_secrets() {
    let Some(driver) = Driver::of_test("the_configuration_is_searched_and_has_no_secrets") else { return };
    let key = "a-key-that-nobody-should-ever-see-0123456789";
    let place = Place::quiet(&["--set", &format!("auth.access_keys=[\"{key}\"]"), "--set", "limits.json_depth=32"]);
    let browser = place.open_as(&driver, "eyes");
    browser.click("nav a[href='#/configuration']");
    browser.see_text("td", "heartbeat.ping_interval");
    browser.screenshot("dashboard-configuration.png");
    browser.fill("main [type=search]", "json_depth");
    browser.wait_eq("one key", 1, rows);
    browser.see_text("tbody tr", "--set limits.json_depth");
    browser.fill("main [type=search]", "access_keys");
    browser.see_text("tbody tr", "***");
    assert!(!browser.text("main").contains(key));
    browser.expect_clean_console();
}

#[test]
fn everything_is_reached_by_keyboard() {
    let Some(driver) = Driver::of_test("everything_is_reached_by_keyboard") else { return };
    let place = Place::populated();
    let browser = place.open(&driver);
    browser.see("[name=login]");
    browser.tab_to("[name=login]");
    browser.write("ops");
    browser.tab_to("[name=password]");
    browser.write(PASSWORD);
    browser.press([char::from(Key::Enter)]);
    browser.see_text("#state", "Live");
    browser.tab_to("nav a[href^='#/groups']");
    browser.press([char::from(Key::Enter)]);
    browser.see_text("h1", "Groups of chat");
    browser.wait("the heading has the focus", |browser| browser.has_focus("h1"));
    browser.see_text(".branch", "desk/");
    browser.tab_to(".branch");
    browser.press([char::from(Key::Enter)]);
    browser.see(".branch[aria-expanded=true]");
    browser.see(".level .level .branch");
    browser.tab_to(".level .level .branch");
    browser.press([char::from(Key::Enter)]);
    browser.see("a[aria-label^='desk/0/']");
    browser.tab_to("a[aria-label^='desk/0/']");
    browser.press([char::from(Key::Enter)]);
    browser.see_text("h1", "Members of desk/0/");
    browser.expect_clean_console();
}

#[test]
fn no_view_is_wider_than_a_phone() {
    let Some(driver) = Driver::of_test("no_view_is_wider_than_a_phone") else { return };
    let place = Place::populated();
    let browser = Browser::open_on_phone(&driver, &place.url());
    log_in(&browser, "ops", PASSWORD);
    browser.see_text("#state", "Live");
    for (hash, title) in [
        ("#/overview", "Overview"),
        ("#/groups?hub=chat", "Groups"),
        ("#/members?hub=chat&group=desk%2F0%2F0", "Members"),
        ("#/connections?hub=chat", "Connections"),
        ("#/tail", "Live tail"),
        ("#/send?hub=chat", "Send"),
        ("#/configuration", "Configuration"),
    ] {
        view(&browser, hash, title);
        assert_eq!(browser.overflow(), 0, "{title}");
        let current = "const { right } = document.querySelector('nav [aria-current]').getBoundingClientRect(); \
            return right <= innerWidth + 1";
        browser.wait(&format!("{title} is in sight in the menu"), |browser| browser.js(current, Vec::new()) == true);
    }
    view(&browser, "#/connections?hub=chat", "Connections");
    browser.wait_eq("everybody", CROWD, rows);
    assert_eq!(browser.overflow(), 0);
    let cut = "return [...document.querySelectorAll('header *, td *')].filter((e) => \
        e.getBoundingClientRect().right > innerWidth).length";
    assert_eq!(browser.js(cut, Vec::new()), 0, "what is cut off at the right");
    browser.screenshot("dashboard-phone.png");
    browser.expect_clean_console();
}

#[test]
fn thousands_of_groups_are_shown_by_the_page() {
    let Some(driver) = Driver::of_test("thousands_of_groups_are_shown_by_the_page") else { return };
    let mut place = Place::quiet(&["--set", "limits.groups_per_connection=600"]);
    for number in 0..10 {
        let mut client = Client::connect(place.program.address, "mark", PASSWORD);
        for group in 0..500 {
            client.send(&json!({ "type": "joinGroup", "group": format!("plant/{group:03}/line-{number}") }));
        }
        client.join("plant/last", 1);
        place.crowd.push(client);
    }
    let browser = place.open_as(&driver, "ops");
    view(&browser, "#/groups?hub=chat", "Groups of chat");
    browser.see_text(".tree li", "5,001 groups");
    let elements = |browser: &Browser| browser.js("return document.querySelectorAll('*').length", Vec::new());
    browser.js("[...document.querySelectorAll('.branch')].find((b) => b.textContent == 'plant/').click()", Vec::new());
    browser.see_text(".branch", "039/");
    assert!(elements(&browser).as_u64().unwrap() < 500, "{}", elements(&browser));
    let next = ".level .level .pager button:nth-child(2)";
    browser.click(next);
    browser.see_text(".branch", "040/");
    assert!(!browser.texts(".branch").iter().any(|branch| branch == "039/"));
    browser.click(".level .level .pager button:nth-child(1)");
    browser.see_text(".branch", "039/");
    browser.expect_clean_console();
}
