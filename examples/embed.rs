//! An actix-web application and Folkmoot in one process, two ways.
//!
//! ```sh
//! cargo run --example embed             # the application on Folkmoot's listener
//! cargo run --example embed -- mount    # Folkmoot inside the application's own HttpServer
//! curl -i http://127.0.0.1:8080/hello
//! curl http://127.0.0.1:8080/health
//! websocat --basic-auth user-1:password-1 ws://127.0.0.1:8080/ws
//! ```
//!
//! The first way is the light one: connections are taken over from actix-http. The second is for applications that have
//! WebSocket routes of their own, or an `HttpServer` that is set up elsewhere. Either way `/hello` comes with a header
//! of the application's middleware.

use std::error::Error;

use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpServer};
use folkmoot::config::Config;
use folkmoot::{Server, User};

/// The routes of an application that knows nothing of Folkmoot.
fn hello(config: &mut ServiceConfig) {
    config.route("/hello", web::get().to(async || "Hello from the application.\n"));
}

fn middleware() -> DefaultHeaders {
    DefaultHeaders::new().add(("X-Application", "embed"))
}

/// The application on Folkmoot's listener.
async fn own_listener(server: Server<User>) -> Result<(), Box<dyn Error>> {
    let routes = server.routes();
    let app = move || {
        let routes = routes.clone();
        App::new().wrap(middleware()).configure(hello).configure(move |config| routes.configure(config))
    };
    let running = server.app(app).start().await?;
    println!("ws://{}/ws", running.address());
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}

/// Folkmoot inside the application's `HttpServer`.
async fn mounted(server: Server<User>, address: std::net::SocketAddr) -> Result<(), Box<dyn Error>> {
    let mount = server.mount().await?;
    let mounted = mount.clone();
    let app = move || {
        let mount = mounted.clone();
        App::new().wrap(middleware()).configure(hello).configure(move |config| mount.configure(config))
    };
    let http = HttpServer::new(app)
        // These three are advised by `Mount`, which tells why.
        .on_connect(mount.on_connect())
        .h1_write_buffer_size(8 * 1024)
        .disable_signals()
        .bind(address)?;
    for address in http.addrs() {
        println!("ws://{address}/ws");
    }
    let http = http.run();
    let handle = http.handle();
    actix_web::rt::spawn(http);
    tokio::signal::ctrl_c().await?;
    // First everybody is told, then the listener is closed.
    mount.stop().await;
    handle.stop(true).await;
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mount = arguments.iter().position(|argument| argument == "mount").map(|at| arguments.remove(at)).is_some();
    let mut config = Config::default();
    config.server.port = arguments.first().map_or(Ok(8080), |port| port.parse())?;
    // Mark, Anna, Kenji and Ines, who may log in from this machine.
    config.users.demo = true;
    config.validate()?;
    let address = config.server.address();
    let server = Server::new(config);
    if mount { mounted(server, address).await } else { own_listener(server).await }
}
