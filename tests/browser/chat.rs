//! The chat page as people use it: what they see of one another, of masks, of leaving, of wrong passwords.

use fantoccini::key::Key;
use folkmoot::Mask;
use serde_json::{Value, json};

use super::chat_page::{Chat, demo_server};
use super::driver::Driver;

#[test]
fn two_people_chat_and_one_who_leaves_is_announced() {
    let Some(driver) = Driver::of_test("two_people_chat_and_one_who_leaves_is_announced") else { return };
    let (_workplace, server) = demo_server();
    let mark = Chat::log_in(&driver, &server, 1);
    let kenji = Chat::log_in(&driver, &server, 3);
    for chat in [&mark, &kenji] {
        chat.join("chess");
        chat.page.see_text(".group[aria-current]", "chess");
    }
    // The newcomer is announced to who was there, and stands in the list with what others may see of him.
    mark.page.see_text("#log .event", "Kenji has logged in.");
    mark.page
        .wait_eq("the members", vec!["Kenji".to_owned(), "Mark you".to_owned()], |page| page.texts(".person .name"));
    assert!(mark.page.text("#members").contains("sales/asia"), "the department is shown");
    assert!(!mark.page.text("#members").contains("+55431588744134"), "the phone is nobody's business");

    mark.say("Your move.");
    kenji.page.see_text("#log .message", "Your move.");
    kenji.say("e4");
    mark.page.see_text("#log .message", "e4");
    assert_eq!(mark.said(), ["Your move.", "e4"], "one's own message stands once, in the order of the group");
    assert_eq!(kenji.said(), ["Your move.", "e4"]);
    assert_eq!(mark.page.texts("#log .message .name"), ["You", "Kenji"]);

    kenji.page.click("#leave");
    kenji.page.wait("chess is gone from Kenji's list", |_| !kenji.groups().contains(&"chess".to_owned()));
    mark.page.see_text("#log .event", "Kenji has disconnected.");
    mark.page.wait_eq("the members", vec!["Mark you".to_owned()], |page| page.texts(".person .name"));
    for chat in [&mark, &kenji] {
        chat.page.expect_clean_console();
    }
}

#[test]
fn who_closes_the_browser_is_announced_and_no_member_any_more() {
    let Some(driver) = Driver::of_test("who_closes_the_browser_is_announced_and_no_member_any_more") else { return };
    let (_workplace, server) = demo_server();
    let mark = Chat::log_in(&driver, &server, 1);
    mark.join("chess");
    let kenji = Chat::log_in(&driver, &server, 3);
    kenji.join("chess");
    mark.page.wait_eq("the members", 2, |page| page.texts(".person").len());
    drop(kenji);
    mark.page.see_text("#log .event", "Kenji has disconnected.");
    mark.page.wait_eq("the members", 1, |page| page.texts(".person").len());
}

#[test]
fn a_message_to_a_mask_reaches_those_that_it_says_and_nobody_else() {
    let Some(driver) = Driver::of_test("a_message_to_a_mask_reaches_those_that_it_says_and_nobody_else") else {
        return;
    };
    let (_workplace, server) = demo_server();
    let mark = Chat::log_in(&driver, &server, 1);
    let anna = Chat::log_in(&driver, &server, 2);
    let ines = Chat::log_in(&driver, &server, 4);
    mark.page.click("input[value=group]");
    assert_eq!(mark.page.text("#reach"), "", "a group needs no preview");
    mark.to_mask("sales/*");
    mark.page.see_text("#reach", "Would reach 1 connection in 1 group");
    mark.to_mask("[");
    mark.page.see_text("#reach", "'[' without its ']'");
    mark.to_mask("sale/*");
    mark.page.see_text("#reach", "Would reach nobody");
    mark.to_mask("sales/*");
    mark.page.see_text("#reach", "Would reach 1 connection in 1 group");
    mark.write("To all of sales");
    // What reached nobody is shown by what comes afterwards, on the same way.
    mark.page.click("input[value=all]");
    mark.page.see_text("#reach", "Would reach 3 connections in 4 groups");
    mark.write("To everybody");

    anna.page.see_text("#log .message", "To everybody");
    assert_eq!(anna.said(), ["To all of sales", "To everybody"]);
    assert_eq!(anna.page.texts("#log .chip.mask"), ["to sales/*", "to everybody"]);
    ines.page.see_text("#log .message", "To everybody");
    assert_eq!(ines.said(), ["To everybody"], "Ines is in accounting and admin");
    assert_eq!(mark.said(), ["To all of sales", "To everybody"], "who is no member sees what they sent nevertheless");
}

#[test]
fn a_listener_of_a_mask_reads_what_is_said_in_its_groups() {
    let Some(driver) = Driver::of_test("a_listener_of_a_mask_reads_what_is_said_in_its_groups") else { return };
    let (_workplace, server) = demo_server();
    let ines = Chat::log_in(&driver, &server, 4);
    ines.join("sales/*");
    ines.page.see_text("#group-about", "every group that matches");
    let kenji = Chat::log_in(&driver, &server, 3);
    ines.page.see_text("#log .event", "Kenji has logged in.");
    kenji.say("Good morning from Asia");
    ines.page.see_text("#log .message", "Good morning from Asia");
    ines.page.see_text("#log .message .chip", "sales/asia");
    kenji.page.see_text("#group-about", "1 connection, 1 listener");
}

#[test]
fn a_wrong_password_is_told_and_the_right_one_lets_in() {
    let Some(driver) = Driver::of_test("a_wrong_password_is_told_and_the_right_one_lets_in") else { return };
    let (_workplace, server) = demo_server();
    let mut chat = Chat::open(&driver, &server);
    chat.page.allow_console("401");
    chat.enter("user-1", "password-2");
    chat.page.see("#login-error:not(:empty)");
    assert!(!chat.page.is_shown("#chat"));
    assert!(chat.page.has_focus("#login-password"), "one types again where it was wrong");
    chat.enter("user-1", "password-1");
    chat.page.see_text("#status", "Connected");
    assert_eq!(chat.page.text("#me"), "Mark");
    assert_eq!(chat.groups(), ["Sales"]);
    chat.page.click("#logout");
    chat.page.see("#login");
    assert_eq!(chat.page.js("return sessionStorage.length + localStorage.length", vec![]), 0);
    chat.page.reload();
    chat.page.see("#login");
    chat.page.expect_clean_console();
}

#[test]
fn demo_users_are_offered_by_a_server_that_has_them_and_by_no_other() {
    let Some(driver) = Driver::of_test("demo_users_are_offered_by_a_server_that_has_them_and_by_no_other") else {
        return;
    };
    let (workplace, server) = demo_server();
    let mut chat = Chat::open(&driver, &server);
    chat.page.allow_console("ERR_CONNECTION_REFUSED");
    chat.page.allow_console("failed: ");
    chat.page.see_text("#demo-users", "user-3");
    chat.page.click("#demo-users li:nth-child(3) button");
    chat.page.click("#login-button");
    chat.page.see_text("#me", "Kenji");
    drop(server);
    for login in ["user-1", "user-2", "user-3", "user-4"] {
        workplace.ok(&["user", "remove", login], "");
    }
    let server = workplace.serve(&[]);
    chat.page.goto(&format!("http://{}/", server.address));
    chat.page.see("#login");
    // The answer is there when the page has nothing under way.
    chat.page.js("return fetch('/demo.json').then((answer) => answer.text())", vec![]);
    assert!(!chat.page.is_shown("#demo"));
    chat.page.expect_clean_console();
}

#[test]
fn html_in_names_and_messages_is_shown_as_it_is_written() {
    let Some(driver) = Driver::of_test("html_in_names_and_messages_is_shown_as_it_is_written") else { return };
    let (workplace, server) = demo_server();
    const NAME: &str = "<img src=x onerror=alert(1)><b>Eve</b>";
    const TEXT: &str = "<script>document.title='owned'</script><a href='javascript:alert(1)'>click</a> &amp;";
    workplace.add_user("eve", "a long password", &["--username", NAME, "--department", "Sales"]);
    let mark = Chat::log_in(&driver, &server, 1);
    let eve = Chat::open(&driver, &server);
    eve.enter("eve", "a long password");
    eve.page.see_text("#me", NAME);
    mark.page.see_text("#log .event", &format!("{NAME} has logged in."));
    mark.page.see_text(".person .name", NAME);
    eve.say(TEXT);
    mark.page.see_text("#log .message .text", TEXT);
    mark.page.see_text("#log .message .name", NAME);
    eve.join("<i>group</i>");
    eve.page.see_text(".group", "<i>group</i>");
    for chat in [&mark, &eve] {
        let made = "return document.querySelectorAll('#chat b, #chat i, #chat a:not(.skip), #chat script, #chat img:not([alt=\"\"])').length";
        assert_eq!(chat.page.js(made, vec![]), 0, "what was written became elements");
        assert_ne!(chat.page.js("return document.title", vec![]), "owned");
        chat.page.expect_clean_console();
    }
}

#[test]
fn unread_messages_are_counted_until_the_group_is_opened() {
    let Some(driver) = Driver::of_test("unread_messages_are_counted_until_the_group_is_opened") else { return };
    let (_workplace, server) = demo_server();
    let mark = Chat::log_in(&driver, &server, 1);
    let kenji = Chat::log_in(&driver, &server, 3);
    mark.join("chess");
    mark.open_group("Sales");
    kenji.join("chess");
    for text in ["one", "two", "three"] {
        kenji.say(text);
    }
    mark.page.see_text(".group[data-name=chess] .badge", "3 unread messages");
    mark.page.wait_eq("the title", "(3) Folkmoot".into(), |page| page.js("return document.title", vec![]));
    mark.open_group("chess");
    mark.page.see_no(".group[data-name=chess] .badge");
    mark.page.see_text("#log .divider", "New");
    assert_eq!(mark.said(), ["one", "two", "three"]);
    mark.page.wait_eq("the title", "Folkmoot".into(), |page| page.js("return document.title", vec![]));
    kenji.say("four");
    mark.page.see_text("#log .message", "four");
    assert!(!mark.page.is_shown(".badge"), "what is read as it comes is not counted");
}

#[test]
fn all_of_it_can_be_done_by_keyboard() {
    let Some(driver) = Driver::of_test("all_of_it_can_be_done_by_keyboard") else { return };
    let (_workplace, server) = demo_server();
    let chat = Chat::open(&driver, &server);
    let page = &chat.page;
    const TAB: char = '\u{e004}';
    const ENTER: char = '\u{e007}';
    page.wait("the focus on the first field", |page| page.has_focus("#login-name"));
    page.write("user-4");
    page.press([TAB]);
    page.write("password-4");
    page.press([ENTER]);
    // Ines is in accounting and in admin; one begins to write at once.
    page.wait("the focus where one writes", |page| page.has_focus("#composer-text"));
    page.see_text(".group[aria-current]", "accounting");
    page.tab_to(".group");
    page.press([Key::Down.into()]);
    assert!(page.has_focus(".group[data-name=admin]"), "the arrows go through the groups: {}", page.focused());
    let ring = page.js("return getComputedStyle(document.activeElement).outlineStyle", vec![]);
    assert_eq!(ring, "solid", "where the focus is can be seen");
    page.press([ENTER]);
    page.wait("the focus where one writes", |page| page.has_focus("#composer-text"));
    page.write("By keyboard");
    page.press([ENTER]);
    page.see_text("#log .message:not(.pending)", "By keyboard");
    page.see_text("#group-name", "admin");

    page.chord(Key::Control, 'k');
    assert!(page.has_focus("#join-name"));
    page.write("chess");
    page.press([ENTER]);
    page.see_text("#group-name", "chess");
    page.chord(Key::Alt, Key::Up.into());
    page.see_text("#group-name", "admin");
    page.chord(Key::Control, '/');
    page.see_text("#help", "Alt+↑");
    page.press([Key::Escape.into()]);
    page.see_no("#help");
    // Everything that does something can be reached.
    page.press([Key::Escape.into()]);
    page.write("Not sent");
    for control in ["input[name=target]", "#send", "#leave", "#logout", "#side-frames", "#help-button", "#log-scroller"]
    {
        page.tab_to(control);
    }
    page.expect_clean_console();
}

#[test]
fn the_page_matches_masks_as_the_server_does() {
    let Some(driver) = Driver::of_test("the_page_matches_masks_as_the_server_does") else { return };
    let (_workplace, server) = demo_server();
    let chat = Chat::open(&driver, &server);
    let masks = [
        "*", "sales/*", "*a*a*b", "?", "s?les*", "[a-c]", "[!a-c]*", "[-a]", "[a-]", "*[0-9]", "a*", "*a", "[*?]",
        "ä?ö", "*/*/*", "a*b*c*d", "[!]*", "x[", "👍*",
    ];
    let names = [
        "",
        "a",
        "b",
        "-",
        "d",
        "*",
        "?",
        "sales/",
        "sales/eu",
        "Sales",
        "aaab",
        "aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abcd",
        "axbxcxd",
        "x/y/z",
        "x9",
        "ä👍ö",
        "👍",
        "👍 yes",
        "]",
        "!",
    ];
    let masks = masks.map(Mask::parse).into_iter().flatten().collect::<Vec<_>>();
    let expected: Vec<Vec<bool>> =
        masks.iter().map(|mask| names.iter().map(|name| mask.matches(name)).collect()).collect();
    let body = "const [masks, names, done] = arguments; \
        import('/assets/chat/mask.js').then(({ matches }) => done(masks.map((m) => names.map((n) => matches(m, n)))))";
    let arguments: Vec<Value> = vec![masks.iter().map(Mask::as_str).collect(), json!(names)];
    let found = chat.page.session().run(async |client| client.execute_async(body, arguments).await).unwrap();
    let found: Vec<Vec<bool>> = serde_json::from_value(found).unwrap();
    for ((mask, expected), found) in masks.iter().zip(expected).zip(found) {
        assert_eq!(found, expected, "{} on {names:?}", mask.as_str());
    }
}
