//! The chat page's parts by what people call them, for the tests of it.

use std::sync::Arc;

use super::driver::Driver;
use super::process::{Program, Workplace};
use super::support::Browser;

/// The server of the repository's own `config.yaml`, with the demo users.
pub fn demo_server() -> (Workplace, Program) {
    let workplace = Workplace::demo();
    let server = workplace.serve(&[]);
    (workplace, server)
}

/// Somebody with the chat page before them.
pub struct Chat {
    pub page: Browser,
}

impl Chat {
    /// Opens the page, which asks for a login.
    pub fn open(driver: &Arc<Driver>, server: &Program) -> Self {
        let chat = Chat { page: Browser::open(driver, &format!("http://{}/", server.address)) };
        chat.page.see("#login");
        chat
    }

    /// The demo user of this number, logged in and connected.
    pub fn log_in(driver: &Arc<Driver>, server: &Program, number: u32) -> Self {
        let chat = Chat::open(driver, server);
        chat.enter_as(number);
        chat
    }

    /// Logs in as the demo user of this number.
    pub fn enter_as(&self, number: u32) {
        self.enter(&format!("user-{number}"), &format!("password-{number}"));
        self.page.see_text("#status", "Connected");
        self.page.see(".group");
    }

    /// Fills in the form and sends it.
    pub fn enter(&self, login: &str, password: &str) {
        self.page.fill("#login-name", login);
        self.page.fill("#login-password", password);
        self.page.click("#login-button");
    }

    /// The groups in the list, without their unread counts.
    pub fn groups(&self) -> Vec<String> {
        self.page.texts(".group .group-name")
    }

    /// Joins a group or a mask, and waits until it is open.
    pub fn join(&self, name: &str) {
        self.page.fill("#join-name", name);
        self.page.click("#join-form button");
        self.page.wait_eq("the open group", name.to_owned(), |page| page.text("#group-name"));
    }

    /// Opens a group of the list.
    pub fn open_group(&self, name: &str) {
        self.page.click(&format!(".group[data-name='{name}']"));
        self.page.wait_eq("the open group", name.to_owned(), |page| page.text("#group-name"));
    }

    /// Addresses a mask.
    pub fn to_mask(&self, mask: &str) {
        self.page.click("input[value=mask]");
        self.page.fill("#mask", mask);
    }

    /// Says something to the open group.
    pub fn say(&self, text: &str) {
        self.page.click("input[value=group]");
        self.write(text);
    }

    /// Sends something to whom it is addressed, and waits until the server has it.
    pub fn write(&self, text: &str) {
        self.page.fill("#composer-text", text);
        self.page.click("#send");
        self.page.see_text("#log .message:not(.pending) .text", text);
    }

    /// What was said in the open group, in the order of the page.
    pub fn said(&self) -> Vec<String> {
        self.page.texts("#log .message .text")
    }
}
