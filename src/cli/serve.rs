//! `folkmoot serve`: runs the server until a signal ends it.

use std::io::{self, Write};

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::place::reachable;
use super::{Failure, logging, supervisor};
use crate::app::{Running, Server};
use crate::config::{Changed, Config, Loaded, ServePage, Takes};
use crate::users::DemoUser;

/// Starts the server and returns when a signal has ended it. A second signal ends the process at once.
///
/// SIGHUP has it read its configuration by `load` again, from where it came at the start, and its certificate.
pub(super) fn run(loaded: Loaded, load: impl Fn() -> Result<Loaded, Failure>) -> anyhow::Result<()> {
    let Loaded { config, origins, .. } = loaded;
    actix_rt::System::new().block_on(async {
        let mut signals = Signals::new().context("the signals of the system cannot be listened to")?;
        let mut hang_up = signal(SignalKind::hangup()).context("the signals of the system cannot be listened to")?;
        let running = Server::new(config.clone()).config_origins(origins).start().await?;
        supervisor::ready();
        let users = Users { demo: running.demo_users().await, nobody: running.has_no_users().await };
        greet(&config, &running, &users);
        let name = loop {
            tokio::select! {
                name = signals.next() => break name,
                _ = hang_up.recv() => {
                    supervisor::reloading();
                    let outcomes = [reload(&running, load()), reload_certificate(&running)];
                    supervisor::reloaded(outcomes.contains(&Outcome::Refused));
                }
            }
        };
        supervisor::stopping();
        log::info!(signal = name; "the server is going away; a second signal ends it at once");
        tokio::select! {
            () = running.stop() => {}
            name = signals.next() => {
                log::warn!(signal = name; "the server ends at once");
                std::process::exit(1);
            }
        }
        log::info!("the server has ended");
        Ok(())
    })
}

/// What came of something that was read again.
#[derive(PartialEq)]
enum Outcome {
    Used,
    Refused,
}

/// Has the server go by what the configuration says now, and tells what is different.
fn reload(running: &Running, loaded: Result<Loaded, Failure>) -> Outcome {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(failure) => {
            log::error!(reason:% = failure; "the configuration is wrong; nothing is changed");
            return Outcome::Refused;
        }
    };
    let level = loaded.config.log.level;
    let changes = match running.reload(loaded.config, loaded.origins) {
        Ok(changes) => changes,
        Err(error) => {
            log::error!(reason:% = error; "the configuration cannot be used; nothing is changed");
            return Outcome::Refused;
        }
    };
    logging::set_level(level);
    for Changed { key, from, to, takes, .. } in &changes {
        match takes {
            Takes::Now => log::info!(key, from:%, to:%; "a setting has changed"),
            Takes::Later => log::info!(key, from:%, to:%; "a setting has changed for those who connect from now on"),
            Takes::Restart => log::warn!(key, from:%, to:%; "this setting needs a restart; the old value goes on"),
        }
    }
    log::info!(changes = changes.len(); "the configuration has been read again");
    Outcome::Used
}

/// Those who renew a certificate say so by SIGHUP.
fn reload_certificate(running: &Running) -> Outcome {
    match running.reload_certificate() {
        Ok(true) => log::info!("the certificate has been exchanged"),
        Ok(false) if running.is_under_tls() => log::info!("the certificate is the same as before"),
        Ok(false) => {}
        Err(error) => {
            log::error!(error:%; "the new certificate cannot be used; the old one goes on");
            return Outcome::Refused;
        }
    }
    Outcome::Used
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Who can log in, as far as a person who starts the server wonders.
struct Users {
    demo: Vec<&'static DemoUser>,
    nobody: bool,
}

/// Where the dashboard is, if anywhere: on the internal listener where there is one, since that is meant for it.
fn dashboard(config: &Config, running: &Running) -> Option<String> {
    let (server, admin) = (&config.server, config.pages.admin);
    if let Some(internal) = running.internal_address() {
        return (admin != ServePage::Never).then(|| format!("http://{}", reachable(internal)));
    }
    let scheme = if running.is_under_tls() { "https" } else { "http" };
    admin.is_on(server.bind).then(|| format!("{scheme}://{}", reachable(running.address())))
}

/// Tells a person where to go next. Nobody may be there to be told: a full disk, a closed terminal.
fn greet(config: &Config, running: &Running, users: &Users) {
    if let Err(error) = write_greeting(&mut io::stdout().lock(), config, running, users) {
        log::warn!(error:%; "the greeting cannot be written to standard output");
    }
}

fn write_greeting(out: &mut impl Write, config: &Config, running: &Running, users: &Users) -> io::Result<()> {
    let address = reachable(running.address());
    let hub = &config.hubs.default;
    writeln!(out, "folkmoot {} is ready", env!("CARGO_PKG_VERSION"))?;
    let (ws, http) = if running.is_under_tls() { ("wss", "https") } else { ("ws", "http") };
    if config.pages.chat.is_on(config.server.bind) {
        writeln!(out, "  Chat       {http}://{address}/")?;
    }
    if let Some(dashboard) = dashboard(config, running) {
        writeln!(out, "  Dashboard  {dashboard}/admin  (for users with the role folkmoot.admin)")?;
    }
    writeln!(out, "  WebSocket  {ws}://{address}/ws  (hub {hub}; others at {ws}://{address}/client/hubs/{{hub}})")?;
    let internal = running.internal_address().map(|internal| format!("http://{}", reachable(internal)));
    let outside = format!("{http}://{address}");
    let inside = internal.as_ref().filter(|_| config.server.internal.exclusive).unwrap_or(&outside);
    writeln!(out, "  Health     {outside}/health  {outside}/ready  {inside}/metrics")?;
    if let Some(internal) = &internal {
        let only = if config.server.internal.exclusive { ", which are there alone" } else { "" };
        writeln!(out, "  Internal   {internal}  (/metrics, /admin, /api{only})")?;
    }
    if let Some(store) = running.store() {
        writeln!(out, "  Users      {store}")?;
    }
    if users.nobody {
        writeln!(
            out,
            "             nobody is in it yet: `folkmoot user add LOGIN`, with this configuration, adds somebody, also now"
        )?;
    }
    if users.demo.is_empty() {
        return out.flush();
    }
    let from = if config.auth.allow_demo_users { "FROM ANYWHERE" } else { "from this machine only" };
    writeln!(out, "  WARNING: demo users with passwords that everybody knows may log in, {from}:")?;
    for user in &users.demo {
        writeln!(out, "    {} / {}  {}, {}", user.login, user.password, user.username, user.department)?;
    }
    writeln!(
        out,
        "    Before others get here, set users.demo to false, and remove them or give them passwords of their own"
    )?;
    writeln!(out, "    (folkmoot user remove LOGIN, folkmoot user passwd LOGIN).")?;
    out.flush()
}
