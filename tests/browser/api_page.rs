//! The page of the HTTP API, as somebody reads it who writes a back end.

use fantoccini::key::Key;
use serde_json::json;

use super::driver::Driver;
use super::process::Workplace;
use super::support::Browser;

const OPERATIONS: &str = "#operations details[open]:not([hidden]) table";

#[test]
fn the_page_of_the_api_is_searched_and_read_by_keyboard() {
    let Some(driver) = Driver::of_test("the_page_of_the_api_is_searched_and_read_by_keyboard") else { return };
    let workplace = Workplace::with_config("");
    let program = workplace.serve(&[]);
    let page = Browser::open(&driver, &format!("http://{}/docs", program.address));
    page.see_text("#sendToGroup summary", "/api/hubs/{hub}/groups/{group}/:send");
    let all = page.texts("#operations details summary").len();
    assert!(all > 40, "{all}");

    page.tab_to("#find");
    page.write("idempotency grant");
    page.wait_eq("what is found", "1 found".to_owned(), |page| page.text("#found"));
    page.tab_to("#grantPermission summary");
    page.press([char::from(Key::Enter)]);
    page.see(OPERATIONS);
    let rows = page.texts("#grantPermission table th[scope=row]");
    for expected in ["hub", "permission", "connection", "targetName", "Idempotency-Key", "200", "404"] {
        assert!(rows.iter().any(|row| row == expected), "{expected}: {rows:?}");
    }
    page.see_text("#grantPermission pre", &format!("http://{}/api/hubs/{{hub}}/permissions", program.address));

    // An address may name an operation.
    page.goto(&format!("http://{}/docs#closeConnection", program.address));
    page.reload();
    page.see("#closeConnection[open]");
    page.wait("the focus on what was asked for", |page| page.has_focus("#closeConnection summary"));
    for dark in [true, false] {
        page.prefer_dark(dark);
        page.js("for (const one of document.querySelectorAll('details')) one.open = true", Vec::new());
        page.wait_eq(&format!("low contrast, dark: {dark}"), Vec::new(), Browser::low_contrast);
    }
    assert_eq!(page.overflow(), 0);
    page.session().set_viewport(390, 844, true);
    page.reload();
    page.see("#closeConnection[open]");
    assert_eq!(page.overflow(), 0, "on a phone");
    page.screenshot("docs");
    let unnamed = page.session().devtools("Accessibility.getFullAXTree", json!({}));
    let unnamed = unnamed["nodes"].as_array().unwrap().iter().filter(|node| {
        let is = |role: &str| node["role"]["value"] == role;
        node["ignored"] != true && (is("searchbox") || is("table") || is("link")) && node["name"]["value"] == ""
    });
    assert_eq!(unnamed.count(), 0, "something has no name");
    page.expect_clean_console();
}
