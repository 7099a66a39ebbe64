//! The harness itself: without it, a test of a page could pass by not looking.

use super::driver::Driver;
use super::support::Browser;

const PAGE: &str = "data:text/html,<title>t</title><h1>Hello</h1><input id=name><button onclick=\"document.querySelector('h1')\
                    .textContent='Hello '+document.querySelector('input').value\">Greet</button>\
                    <script>console.error('on purpose')</script>";

#[test]
fn a_page_is_looked_at_clicked_and_typed_into() {
    let Some(driver) = Driver::of_test("a_page_is_looked_at_clicked_and_typed_into") else { return };
    let mut browser = Browser::open(&driver, PAGE);
    browser.fill("input", "wörld");
    browser.click("button");
    browser.see_text("h1", "Hello wörld");
    browser.click("input");
    browser.tab_to("button");
    assert!(browser.session().console_errors().iter().any(|error| error.contains("on purpose")));
    browser.allow_console("on purpose");
    browser.expect_clean_console();
    browser.session().set_viewport(390, 844, true);
    browser.goto(PAGE);
    assert_eq!(browser.js("return innerWidth", Vec::new()), 980, "a phone, and a page that was not made for one");
    browser.prefer_dark(true);
    assert_eq!(browser.js("return matchMedia('(prefers-color-scheme: dark)').matches", Vec::new()), true);
}
