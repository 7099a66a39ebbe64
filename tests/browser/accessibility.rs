//! The pages as a screen reader meets them: Chromium's tree of accessibility, which is what it is given.

use serde_json::{Value, json};

use super::chat_page::{Chat, demo_server};
use super::dashboard::{PASSWORD, Place, log_in, view};
use super::driver::Driver;
use super::support::Browser;

/// Something that is read out.
#[derive(Debug, PartialEq, Eq)]
struct Node {
    role: String,
    name: String,
    /// How soon a change is read out: `polite`, `assertive`, or not at all.
    live: String,
}

/// Roles that somebody does something with, or goes to.
const NAMED: [&str; 14] = [
    "button",
    "link",
    "textbox",
    "searchbox",
    "combobox",
    "checkbox",
    "radio",
    "dialog",
    "img",
    "image",
    "navigation",
    "table",
    "columnheader",
    "log",
];

/// Everything in the tree that is not ignored.
fn tree(browser: &Browser) -> Vec<Node> {
    browser.session().devtools("Accessibility.enable", json!({}));
    let answer = browser.session().devtools("Accessibility.getFullAXTree", json!({}));
    let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
    let nodes = answer["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] != true);
    let live = |node: &Value| {
        let properties = node["properties"].as_array().cloned().unwrap_or_default();
        properties
            .iter()
            .find(|property| property["name"] == "live")
            .map(|live| text(&live["value"]))
            .unwrap_or_default()
    };
    nodes.map(|node| Node { role: text(&node["role"]), name: text(&node["name"]), live: live(node) }).collect()
}

/// Fails where something that one does something with has no name; returns the tree.
fn read(browser: &Browser) -> Vec<Node> {
    let nodes = tree(browser);
    let unnamed: Vec<_> =
        nodes.iter().filter(|node| NAMED.contains(&node.role.as_str()) && node.name.trim().is_empty()).collect();
    assert!(unnamed.is_empty(), "without a name: {unnamed:#?}");
    nodes
}

/// Fails where one of these is not there, by role and name.
fn expect(nodes: &[Node], expected: &[(&str, &str)]) {
    for (role, name) in expected {
        let is_there = nodes.iter().any(|node| node.role == *role && node.name == *name);
        assert!(is_there, "no {role} '{name}' in {nodes:#?}");
    }
}

/// How soon the region with this id is read out.
fn live(browser: &Browser, selector: &str) -> String {
    let body = "const e = document.querySelector(arguments[0]); const role = e.getAttribute('role'); \
                return e.getAttribute('aria-live') ?? { alert: 'assertive', status: 'polite', log: 'polite' }[role] ?? 'off'";
    browser.js(body, vec![selector.into()]).as_str().unwrap().to_owned()
}

#[test]
fn the_chat_page_is_read_out() {
    let Some(driver) = Driver::of_test("the_chat_page_is_read_out") else { return };
    let (_workplace, server) = demo_server();
    let chat = Chat::open(&driver, &server);
    expect(
        &read(&chat.page),
        &[("textbox", "Login"), ("textbox", "Password"), ("button", "Log in"), ("heading", "Folkmoot")],
    );
    assert_eq!(live(&chat.page, "#login-error"), "assertive");

    chat.enter_as(1);
    chat.join("chess");
    chat.say("Your move.");
    let nodes = read(&chat.page);
    expect(
        &nodes,
        &[
            ("navigation", "Groups"),
            ("combobox", "Join a group or a mask"),
            ("main", "chess"),
            ("heading", "chess"),
            ("textbox", "Message"),
            ("button", "Send"),
            ("button", "Leave"),
            ("button", "Log out"),
            ("button", "chess"),
            ("complementary", "Members"),
            ("heading", "Members"),
            ("radio", "This group"),
            ("radio", "A mask"),
            ("radio", "Everybody"),
        ],
    );
    // What is said is read out as it comes, and the state of the connection; a loss at once.
    let log = nodes.iter().find(|node| node.role == "log").expect("a log");
    assert_eq!((log.name.as_str(), log.live.as_str()), ("Messages", "polite"));
    assert!(nodes.iter().any(|node| node.role == "status" && node.live == "polite"), "{nodes:#?}");
    assert!(nodes.iter().any(|node| node.role == "StaticText" && node.name == "Your move."), "{nodes:#?}");
    for (selector, expected) in
        [("#status", "polite"), ("#banner-text", "assertive"), ("#composer-error", "assertive"), ("#reach", "polite")]
    {
        assert_eq!(live(&chat.page, selector), expected, "{selector}");
    }
    chat.page.click("#help-button");
    expect(&read(&chat.page), &[("dialog", "Keys"), ("button", "Close")]);
}

#[test]
fn every_view_of_the_dashboard_is_read_out() {
    let Some(driver) = Driver::of_test("every_view_of_the_dashboard_is_read_out") else { return };
    let place = Place::populated();
    let browser = place.open(&driver);
    expect(&read(&browser), &[("textbox", "Login"), ("textbox", "Password"), ("button", "Log in")]);
    log_in(&browser, "ops", PASSWORD);
    browser.see_text("#state", "Live");
    let around: &[(&str, &str)] =
        &[("navigation", "Views"), ("combobox", "Hub"), ("link", "Overview"), ("button", "Log out")];
    for (hash, title, ready, expected) in [
        (
            "#/overview",
            "Overview",
            ".chart svg[aria-label*=':']",
            &[("heading", "Overview"), ("heading", "Connections")][..],
        ),
        (
            "#/groups?hub=chat",
            "Groups of chat",
            ".branch",
            &[("searchbox", "Names that begin with"), ("button", "desk/")],
        ),
        (
            "#/members?hub=chat&group=desk%2F0%2F0",
            "Members of desk/0/0",
            "tbody .id",
            &[("table", "Members of desk/0/0"), ("columnheader", "Department"), ("button", "Refresh")],
        ),
        (
            "#/connections?hub=chat",
            "Connections of chat",
            "tbody .id",
            &[("table", "Connections"), ("columnheader", "Queue"), ("searchbox", "Address")],
        ),
        ("#/tail", "Live tail", ".empty, .event", &[("table", "Events, the newest first"), ("combobox", "Event")]),
        ("#/send?hub=chat", "Send in chat", "[name=target]", &[("textbox", "Group or mask"), ("textbox", "Message")]),
        ("#/configuration", "Configuration", "tbody code", &[("table", "Configuration"), ("searchbox", "Contains")]),
    ] {
        view(&browser, hash, title);
        browser.see(ready);
        let nodes = read(&browser);
        expect(&nodes, around);
        expect(&nodes, expected);
        expect(&nodes, &[("heading", title)]);
    }
    for (selector, expected) in [("#state", "polite"), ("#toasts", "polite"), ("#alerts", "assertive")] {
        assert_eq!(live(&browser, selector), expected, "{selector}");
    }
}
