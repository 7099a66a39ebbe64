//! chromedriver, and the headless Chromium sessions that it opens. What the pages look like is not known here.
//!
//! `CHROMEDRIVER` is the path of the program, or the URL of one that runs already; without it the one in `PATH` is
//! taken. Where there is none, a test says that it was skipped, which `.ci/run` takes for a failure.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::notes::skipped;

/// The chromedriver of this process, while a test needs it.
static SHARED: Mutex<Weak<Driver>> = Mutex::new(Weak::new());

/// What takes its life from its standard input: chromedriver ends with the tests, also when these are killed.
const UNTIL_STDIN_ENDS: &str = r#""$0" --port=0 & driver=$!; cat >/dev/null; kill "$driver""#;

/// A chromedriver that listens.
pub struct Driver {
    url: String,
    process: Option<(Child, Option<ChildStdin>)>,
}

impl Driver {
    /// The chromedriver for a test, or `None` where there is none, which is told.
    pub fn of_test(test: &str) -> Option<Arc<Self>> {
        // A test that failed to start it says so by itself; the next one tries again.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = shared.upgrade() {
            return Some(driver);
        }
        let driver = Arc::new(match std::env::var("CHROMEDRIVER") {
            Ok(url) if url.starts_with("http://") => Driver { url, process: None },
            Ok(program) => Driver::start(&program),
            Err(_) if is_in_path("chromedriver") => Driver::start("chromedriver"),
            Err(_) => {
                skipped(test, "there is no chromedriver (CHROMEDRIVER is not set, and PATH has none)");
                return None;
            }
        });
        *shared = Arc::downgrade(&driver);
        Some(driver)
    }

    fn start(program: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", UNTIL_STDIN_ENDS, program]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.unwrap_or_else(|| panic!("{program} did not say on which port it listens"));
        // Nobody reads on; a full pipe would stop it.
        thread::spawn(move || lines.for_each(drop));
        Driver { url: format!("http://127.0.0.1:{port}"), process: Some((child, stdin)) }
    }

    /// A browser of its own: a profile, a window of 1280 by 800 pixels, light colours.
    pub fn open(self: &Arc<Self>) -> Session {
        Session::open(self.clone())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some((mut child, stdin)) = self.process.take() {
            drop(stdin);
            let _: std::io::Result<_> = child.wait();
        }
    }
}

fn is_in_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// A Chromium under the driver, for code that waits for each answer.
pub struct Session {
    // In the order in which they have to go.
    client: Option<Client>,
    runtime: Runtime,
    _profile: TempDir,
    _driver: Arc<Driver>,
}

impl Session {
    fn open(driver: Arc<Driver>) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Root, which CI is, may not use the sandbox; containers have a small /dev/shm.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--lang=en",
            "--window-size=1280,800",
            "--force-device-scale-factor=1",
        ];
        let mut arguments = arguments.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let Value::Object(capabilities) = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        }) else {
            unreachable!("an object was written");
        };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let client = runtime.block_on(builder.connect(&driver.url)).unwrap();
        let session = Session { client: Some(client), runtime, _profile: profile, _driver: driver };
        session.set_viewport(1280, 800, false);
        session
    }

    /// Runs something on the client to its end.
    pub fn run<T>(&self, work: impl AsyncFnOnce(&Client) -> T) -> T {
        self.runtime.block_on(work(self.client.as_ref().expect("the session is open until it is dropped")))
    }

    /// The size of the page, as of a phone if `mobile`.
    pub fn set_viewport(&self, width: u32, height: u32, mobile: bool) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": if mobile { 2 } else { 1 },
            "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// A command of the DevTools protocol.
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters }))
    }

    /// What the console got since the last call: errors of scripts, refused resources, violations of the policy.
    pub fn console_errors(&self) -> Vec<String> {
        let log = self.command("se/log", json!({ "type": "browser" }));
        let lines = log.as_array().unwrap().iter().filter(|line| line["level"] == "SEVERE");
        lines.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn command(&self, path: &'static str, body: Value) -> Value {
        self.run(async |client| client.issue_cmd(Extension { path, body }).await).unwrap()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let _: Result<(), _> = self.runtime.block_on(client.close());
        }
    }
}

/// A command of chromedriver that WebDriver does not have.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}
