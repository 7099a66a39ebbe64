//! The program itself as a child process in a folder of its own, and what it prints.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take that should happen at once; long, because the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A working directory for the program, with or without a configuration in it.
pub struct Workplace {
    dir: TempDir,
    environment: Vec<(String, String)>,
}

impl Workplace {
    /// An empty folder: no configuration, no store.
    pub fn empty() -> Self {
        Workplace { dir: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    /// A folder with this text as `config.yaml`.
    pub fn with_config(text: &str) -> Self {
        let workplace = Workplace::empty();
        std::fs::write(workplace.path().join("config.yaml"), text).unwrap();
        workplace
    }

    /// A folder with the repository's own `config.yaml`, which defines the demo.
    pub fn demo() -> Self {
        Workplace::with_config(include_str!("../../config.yaml"))
    }

    /// The same with a variable in the environment of everything that runs there.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        // Another build of the program, one that is optimised say, is tested by giving its path.
        let program = std::env::var_os("FOLKMOOT_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_folkmoot").into());
        let mut command = Command::new(program);
        let inherited = std::env::vars().filter(|(name, _)| name == "PATH" || name.starts_with("LLVM_PROFILE"));
        // Tests look for `key=value`, unless they want something else themselves.
        command.env_clear().envs(inherited).env("FOLKMOOT__LOG__FORMAT", "text").envs(self.environment.iter().cloned());
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "")
    }

    /// Runs a command to its end, which has to come, with something on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        self.to_its_end(arguments, input).output().unwrap()
    }

    fn to_its_end(&self, arguments: &[&str], input: &str) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::from_std(self.command(arguments));
        command.timeout(PATIENCE * 2).write_stdin(input);
        command
    }

    /// Starts a command with something on its standard input.
    pub fn begin(&self, arguments: &[&str], input: &str) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that fails early does not read it.
        let _: std::io::Result<()> = child.stdin.take().unwrap().write_all(input.as_bytes());
        child
    }

    /// Runs a command that must succeed and returns what it printed.
    pub fn ok(&self, arguments: &[&str], input: &str) -> String {
        let done = self.to_its_end(arguments, input).assert().success();
        String::from_utf8(done.get_output().stdout.clone()).unwrap()
    }

    /// Adds a user of the store.
    pub fn add_user(&self, login: &str, password: &str, more: &[&str]) {
        self.ok(&[&["user", "add", login, "--password-stdin"], more].concat(), password);
    }

    /// Starts a command that takes its time.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let printed = Arc::default();
        follow(child.stderr.take().unwrap(), &printed);
        Running { child, printed }
    }

    /// Starts the server on a free port and waits until it is ready.
    pub fn serve(&self, arguments: &[&str]) -> Program {
        Program::start(self.command(&[&["--set", "server.port=0"], arguments].concat()))
    }

    /// The same behind some words of a shell, such as `ulimit -n 100 && exec "$@" 2>/dev/full`.
    pub fn serve_by_shell(&self, words: &str, arguments: &[&str]) -> Program {
        let command = self.command(&[]);
        let program = command.get_program().to_owned();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(words).arg("sh").arg(program).args(["--set", "server.port=0"]).args(arguments);
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(self.path()).stdin(Stdio::null());
        Program::start(shell)
    }

    /// Starts the server exactly so.
    pub fn serve_plainly(&self, arguments: &[&str]) -> Program {
        Program::start(self.command(arguments))
    }
}

/// A command that runs; killed when dropped.
pub struct Running {
    child: Child,
    printed: Arc<Mutex<String>>,
}

impl Running {
    /// What it has printed for whoever watches (on the standard error).
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        send_signal(&self.child, name);
    }

    /// Waits for its end: its status and everything that it printed.
    pub fn wait_with_output(mut self) -> Output {
        eventually("the end of a command", || self.child.try_wait().unwrap().is_some());
        let status = self.child.wait().unwrap();
        let mut stdout = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        Output { status, stdout, stderr: self.printed().into_bytes() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<ExitStatus> = self.child.wait();
    }
}

fn send_signal(child: &Child, name: &str) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", child.id())).status();
    assert!(sent.unwrap().success(), "SIG{name} could not be sent");
}

/// A server that runs; killed when dropped.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    printed: Arc<Mutex<String>>,
    greeting: String,
}

impl Program {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let printed = Arc::default();
        let lines = follow(child.stdout.take().unwrap(), &printed);
        follow(child.stderr.take().unwrap(), &printed);
        let mut greeting = String::new();
        let deadline = Instant::now() + PATIENCE;
        let address = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = lines.recv_timeout(left) else {
                let _: std::io::Result<()> = child.kill();
                panic!("the program did not start:\n{}", printed.lock().unwrap());
            };
            greeting = greeting + &line + "\n";
            // "ws://" or, under TLS, "wss://".
            if line.contains("WebSocket")
                && let Some((_, rest)) = line.split_once("://")
            {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
        };
        // The rest of the greeting is printed in one go.
        while let Ok(line) = lines.recv_timeout(Duration::from_millis(200)) {
            greeting = greeting + &line + "\n";
        }
        Program { child, address, printed, greeting }
    }

    /// What it printed for the person who started it.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Everything it printed and logged so far.
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// Waits until it has printed or logged this.
    pub fn wait_for(&self, text: &str) {
        eventually(&format!("'{text}' in the log"), || self.printed().contains(text));
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        send_signal(&self.child, name);
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not end:\n{}", self.printed());
            sleep(Duration::from_millis(5));
        }
    }

    /// How much of its memory is resident, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// The most that was resident until then, in bytes.
    pub fn peak_until(&self, done: &AtomicBool) -> u64 {
        let mut peak = self.resident_bytes();
        while !done.load(Ordering::Relaxed) {
            peak = peak.max(self.resident_bytes());
            sleep(Duration::from_millis(5));
        }
        peak
    }

    /// Its number, by which the system knows it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many files it has open, sockets included.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().count()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<ExitStatus> = self.child.wait();
        if thread::panicking() {
            let printed = self.printed();
            let from = printed.len().saturating_sub(4000);
            eprintln!("--- the program printed\n{}", String::from_utf8_lossy(&printed.as_bytes()[from..]));
        }
    }
}

fn follow(source: impl Read + Send + 'static, printed: &Arc<Mutex<String>>) -> Receiver<String> {
    let (sender, lines) = channel();
    let printed = printed.clone();
    thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            let mut printed = printed.lock().unwrap();
            printed.push_str(&line);
            printed.push('\n');
            drop(printed);
            // Nobody waits for lines any more once the server is ready.
            let _: Result<(), _> = sender.send(line);
        }
    });
    lines
}

/// Waits until something holds, and fails when it does not in time.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        sleep(Duration::from_millis(10));
    }
}
