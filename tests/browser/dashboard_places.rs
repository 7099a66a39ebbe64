//! Where the dashboard is: on the listener for operators alone, where there is one.

use super::client::http;
use super::dashboard::{PASSWORD, Place, log_in, view};
use super::driver::Driver;
use super::support::Browser;

#[test]
fn on_the_listener_for_operators_the_dashboard_is_whole_and_on_the_other_one_there_is_none() {
    let test = "on_the_listener_for_operators_the_dashboard_is_whole_and_on_the_other_one_there_is_none";
    let Some(driver) = Driver::of_test(test) else { return };
    // The page is not for everybody who reaches the server, which this one would be with `pages.admin=auto` too.
    let place = Place::quiet(&["--set", "server.internal.port=0", "--set", "server.bind=0.0.0.0"]);
    let greeting = place.program.greeting();
    let inside = greeting.lines().find(|line| line.contains("Internal")).unwrap().split_whitespace().nth(1).unwrap();

    let browser = Browser::open(&driver, &format!("{inside}/admin"));
    log_in(&browser, "ops", PASSWORD);
    // The live data comes by a WebSocket, the rest by the HTTP API: both from here.
    browser.see_text("#state", "Live");
    browser.see_text("#now-connections", "0");
    view(&browser, "#/connections?hub=chat", "Connections of chat");
    browser.see_text("td.empty", "No connection matches");
    view(&browser, "#/configuration", "Configuration");
    browser.see_text("tbody code", "server.internal.port");
    browser.reload();
    browser.see_text("#state", "Live");
    browser.expect_clean_console();

    let outside = std::net::SocketAddr::from(([127, 0, 0, 1], place.program.address.port()));
    for path in ["/admin", "/admin/", "/assets/admin/main.js", "/api/hubs", "/metrics"] {
        assert_eq!(http(outside, &format!("GET {path}"), &[], "").0, 404, "{path}");
    }
    browser.goto(&format!("http://{outside}/admin"));
    browser.see_text("body", "404");
    assert!(!browser.is_shown("[name=password]"));
}
