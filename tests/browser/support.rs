//! A person in front of a browser: looks until something is there, clicks, types. Everything that is awaited has a
//! deadline, because the machine may be busy, and nothing else is waited for.

use std::fmt::Debug;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use fantoccini::Locator;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use serde_json::{Value, json};

use super::driver::{Driver, Session};
use super::process::PATIENCE;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A browser with one page, closed when dropped; a test that fails prints what was to be seen in it.
pub struct Browser {
    session: Session,
    // Found by `console_errors` already, which the log tells once.
    allowed: Vec<&'static str>,
}

impl Browser {
    /// Opens the page at a URL.
    pub fn open(driver: &std::sync::Arc<Driver>, url: &str) -> Self {
        let browser = Browser { session: driver.open(), allowed: Vec::new() };
        browser.goto(url);
        browser
    }

    /// The same on a phone 360 pixels wide.
    pub fn open_on_phone(driver: &std::sync::Arc<Driver>, url: &str) -> Self {
        let browser = Browser { session: driver.open(), allowed: Vec::new() };
        browser.session.set_viewport(360, 780, true);
        browser.goto(url);
        browser
    }

    /// The session below, for what is rare.
    pub fn session(&self) -> &Session {
        &self.session
    }

    pub fn goto(&self, url: &str) {
        self.session.run(async |client| client.goto(url).await).unwrap();
    }

    pub fn reload(&self) {
        self.session.run(async |client| client.refresh().await).unwrap();
    }

    /// Whether the person likes dark colours.
    pub fn prefer_dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": value });
        self.session.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// Runs the body of a function in the page.
    pub fn js(&self, body: &str, arguments: Vec<Value>) -> Value {
        self.session.run(async |client| client.execute(body, arguments).await).unwrap()
    }

    /// Waits until something holds, and fails when it does not in time.
    pub fn wait(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "the page never came to this: {what}");
            thread::sleep(PAUSE);
        }
    }

    /// Waits until a value is the expected one.
    pub fn wait_eq<T: PartialEq + Debug>(&self, what: &str, expected: T, mut value: impl FnMut(&Self) -> T) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = value(self);
            if now == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {now:?} instead of {expected:?}");
            thread::sleep(PAUSE);
        }
    }

    /// Waits until an element can be seen.
    pub fn see(&self, selector: &str) {
        self.wait(&format!("{selector} is to be seen"), |browser| browser.is_shown(selector));
    }

    /// Waits until nothing of the kind can be seen.
    pub fn see_no(&self, selector: &str) {
        self.wait(&format!("{selector} is not to be seen"), |browser| !browser.is_shown(selector));
    }

    /// Waits until one of the elements has this in its text.
    pub fn see_text(&self, selector: &str, text: &str) {
        self.wait(&format!("'{text}' in {selector}"), |browser| {
            browser.texts(selector).iter().any(|found| found.contains(text))
        });
    }

    /// Whether an element is there and takes place on the page.
    pub fn is_shown(&self, selector: &str) -> bool {
        let body = "return [...document.querySelectorAll(arguments[0])].some((e) => e.checkVisibility())";
        self.js(body, vec![selector.into()]) == true
    }

    /// The texts of all elements of a kind, as they are in the document.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let body = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent.trim())";
        serde_json::from_value(self.js(body, vec![selector.into()])).unwrap()
    }

    /// The text of the only element of a kind; empty while there is none.
    pub fn text(&self, selector: &str) -> String {
        let mut texts = self.texts(selector);
        assert!(texts.len() <= 1, "more than one {selector}: {texts:?}");
        texts.pop().unwrap_or_default()
    }

    /// Clicks on an element as a mouse does: where something lies over it, this fails.
    pub fn click(&self, selector: &str) {
        self.see(selector);
        let deadline = Instant::now() + PATIENCE;
        // What is drawn anew between finding and clicking is found again.
        while let Err(error) = self.session.run(async |client| client.find(Locator::Css(selector)).await?.click().await)
        {
            assert!(Instant::now() < deadline, "{selector} cannot be clicked: {error}");
            thread::sleep(PAUSE);
        }
    }

    /// Puts a text in place of what is in a field, key by key.
    pub fn fill(&self, selector: &str, text: &str) {
        self.see(selector);
        let done = self.session.run(async |client| {
            let field = client.find(Locator::Css(selector)).await?;
            field.clear().await?;
            field.send_keys(text).await
        });
        done.unwrap_or_else(|error| panic!("{selector} takes no text: {error}"));
    }

    /// Chooses an option of a list by its value.
    pub fn choose(&self, selector: &str, value: &str) {
        self.see(selector);
        let done =
            self.session.run(async |client| client.find(Locator::Css(selector)).await?.select_by_value(value).await);
        done.unwrap_or_else(|error| panic!("{selector} has no {value}: {error}"));
    }

    /// Presses keys, wherever the focus is.
    pub fn press(&self, keys: impl IntoIterator<Item = char>) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in keys {
            actions = actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.session.run(async |client| client.perform_actions(actions).await).unwrap();
    }

    /// Presses a key while another one is held.
    pub fn chord(&self, held: Key, value: char) {
        let held = char::from(held);
        let mut actions = KeyActions::new("keyboard".to_owned());
        for action in [
            KeyAction::Down { value: held },
            KeyAction::Down { value },
            KeyAction::Up { value },
            KeyAction::Up { value: held },
        ] {
            actions = actions.then(action);
        }
        self.session.run(async |client| client.perform_actions(actions).await).unwrap();
    }

    /// Types a text, wherever the focus is.
    pub fn write(&self, text: &str) {
        self.press(text.chars());
    }

    /// Presses Tab until an element of this kind has the focus, and fails when the whole page was passed.
    pub fn tab_to(&self, selector: &str) {
        for _ in 0..100 {
            if self.has_focus(selector) {
                return;
            }
            self.press([char::from(Key::Tab)]);
        }
        panic!("{selector} cannot be reached by Tab; the focus is on {}", self.focused());
    }

    /// Whether the focus is on such an element.
    pub fn has_focus(&self, selector: &str) -> bool {
        self.js("return document.activeElement.matches(arguments[0])", vec![selector.into()]) == true
    }

    /// What has the focus, as text for people.
    pub fn focused(&self) -> String {
        self.js("return document.activeElement.outerHTML.slice(0, 200)", Vec::new()).to_string()
    }

    /// How many pixels of the page lie to the right of the window.
    pub fn overflow(&self) -> i64 {
        let body = "const page = document.documentElement; return page.scrollWidth - page.clientWidth";
        self.js(body, Vec::new()).as_i64().unwrap()
    }

    /// Texts that can be seen and have a contrast to their ground of less than 4.5 to 1.
    pub fn low_contrast(&self) -> Vec<String> {
        serde_json::from_value(self.js(include_str!("contrast.js"), Vec::new())).unwrap()
    }

    /// Lines of the console with this in them are no fault: the answer 401 to a wrong password, say.
    pub fn allow_console(&mut self, part: &'static str) {
        self.allowed.push(part);
    }

    /// Fails when the console has an error or a violation of the policy.
    pub fn expect_clean_console(&self) {
        let mut errors = self.session.console_errors();
        errors.retain(|error| !self.allowed.iter().any(|part| error.contains(part)));
        assert!(errors.is_empty(), "the console has errors: {errors:#?}");
    }

    /// Writes the page as it looks into the folder named by `FOLKMOOT_SCREENSHOTS`; without it, only draws it.
    pub fn screenshot(&self, name: &str) {
        let picture = self.session.run(async |client| client.screenshot().await).unwrap();
        if let Some(folder) = std::env::var_os("FOLKMOOT_SCREENSHOTS") {
            let folder = PathBuf::from(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name), picture).unwrap();
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if thread::panicking() {
            let page = self.session.run(async |client| client.execute("return document.body.innerText", vec![]).await);
            let page = page.unwrap_or_default();
            eprintln!("--- the page showed\n{}", page.as_str().unwrap_or_default());
            eprintln!("--- its console had {:#?}", self.session.console_errors());
        }
    }
}
