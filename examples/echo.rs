//! Answers every message to whoever sent it: text stays text, binary stays binary, fragments come back as one message.
//!
//! ```sh
//! cargo run --release --example echo -- 9001          # on Folkmoot's own listener
//! cargo run --release --example echo -- mount 9001    # inside an actix-web HttpServer
//! websocat ws://127.0.0.1:9001/ws
//! ```
//!
//! Nobody has to log in, and the limits are opened far enough for the Autobahn test suite (`tests/autobahn/run`), which is
//! what it is for. A client of the JSON subprotocol gets the data of its events and publishes back as messages from the
//! server.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::{App, HttpServer};
use folkmoot::config::{Config, RawClients};
use folkmoot::{Hooks, Hub, Incoming, Server, User, Verdict};

/// Above the largest message of the test suite, 16 MiB.
const MESSAGE_BYTES: usize = 32 << 20;

struct Echo;

impl Hooks<User> for Echo {
    async fn message(&self, _hub: &Hub<User>, incoming: &Incoming<User>) -> Verdict {
        Verdict::Reply(incoming.data.clone())
    }
}

/// The server on its own listener.
async fn own_listener(server: Server<User>) -> Result<(), Box<dyn Error>> {
    let running = server.start().await?;
    println!("ws://{}/ws", running.address());
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}

/// The same sessions over the body of an answer of actix-web.
async fn mounted(server: Server<User>, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mount = server.mount().await?;
    let mounted = mount.clone();
    let app = move || {
        let mount = mounted.clone();
        App::new().configure(move |config| mount.configure(config))
    };
    let http = HttpServer::new(app).on_connect(mount.on_connect()).disable_signals().bind(address)?;
    for address in http.addrs() {
        println!("ws://{address}/ws");
    }
    let http = http.run();
    let handle = http.handle();
    actix_web::rt::spawn(http);
    tokio::signal::ctrl_c().await?;
    mount.stop().await;
    handle.stop(true).await;
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mount = arguments.iter().position(|argument| argument == "mount").map(|at| arguments.remove(at)).is_some();
    let mut config = Config::default();
    config.server.port = arguments.first().map_or(Ok(9001), |port| port.parse())?;
    config.hubs.settings.anonymous = true;
    // What a client without a subprotocol sends is an event, which the hook answers.
    config.hubs.settings.raw_clients = RawClients::Event;
    config.limits.max_frame_bytes = MESSAGE_BYTES;
    config.limits.max_message_bytes = MESSAGE_BYTES;
    config.limits.max_fragments = 1 << 20;
    config.limits.outbound_bytes = 2 * MESSAGE_BYTES;
    config.reliable.buffer_bytes = 2 * MESSAGE_BYTES;
    // The suite sends as fast as it gets its echo.
    config.limits.messages_per_second = 1_000_000;
    config.limits.bytes_per_second = 1 << 30;
    config.fanout.window_bytes = 2 * MESSAGE_BYTES;
    // A test that writes one byte at a time is not to be pinged meanwhile.
    config.heartbeat.ping_interval = Duration::from_secs(600);
    config.validate()?;

    let address = config.server.address();
    let server = Server::new(config).without_store().hooks(Echo);
    if mount { mounted(server, address).await } else { own_listener(server).await }
}
