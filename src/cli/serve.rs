//! `folkmoot serve`: runs the server until a signal ends it.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{Running, Server};
use crate::config::Config;
use crate::users::DemoUser;

/// Starts the server and returns when a signal has ended it. A second signal ends the process at once.
pub(super) fn run(config: Config) -> anyhow::Result<()> {
    actix_rt::System::new().block_on(async {
        let mut signals = Signals::new().context("the signals of the system cannot be listened to")?;
        let running = Server::new(config.clone()).start().await?;
        greet(&config, &running, &running.demo_users().await);
        let name = signals.next().await;
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

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Tells a person where to go next.
fn greet(config: &Config, running: &Running, demo: &[&DemoUser]) {
    let address = reachable(running.address());
    let hub = &config.hubs.default;
    println!("folkmoot {} is ready", env!("CARGO_PKG_VERSION"));
    println!("  WebSocket  ws://{address}/ws  (hub {hub}; others at ws://{address}/client/hubs/{{hub}})");
    println!("  Health     http://{address}/health  http://{address}/ready  http://{address}/metrics");
    if let Some(store) = running.store() {
        println!("  Users      {store}");
    }
    if !demo.is_empty() {
        let from = if config.auth.allow_demo_users { "FROM ANYWHERE" } else { "from this machine only" };
        println!("  WARNING: demo users with passwords that everybody knows may log in, {from}:");
        for user in demo {
            println!("    {} / {}  {}, {}", user.login, user.password, user.username, user.department);
        }
        println!(
            "    Before others get here, set users.demo to false, and remove them or give them passwords of their own"
        );
        println!("    (folkmoot user remove LOGIN, folkmoot user passwd LOGIN).");
    }
}

/// An address that can be clicked: "all of this machine's addresses" is none.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, v6.port()).into(),
        address => address,
    }
}
