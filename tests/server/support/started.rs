//! A server that runs, on its own listener or mounted into a stock `HttpServer`.

use std::net::SocketAddr;

use folkmoot::config::{Changed, Config, Origins};
use folkmoot::{EnterError, HubName, Lease, ReloadError, Running, Server, UserData};

/// What a test can ask a running server, however it is served.
pub enum Started<U: UserData> {
    /// The server's own listener.
    Own(Running<U>),
    /// Inside an `HttpServer`.
    #[cfg(feature = "mount")]
    Mounted { mount: folkmoot::Mount<U>, address: SocketAddr, handle: actix_web::dev::ServerHandle },
}

impl<U: UserData> Started<U> {
    pub(super) async fn start(server: Server<U>, mounted: bool) -> Self {
        match mounted {
            false => Started::Own(server.start().await.unwrap()),
            #[cfg(feature = "mount")]
            true => Self::mount(server).await,
            #[cfg(not(feature = "mount"))]
            true => unreachable!("nothing is mounted without the feature"),
        }
    }

    #[cfg(feature = "mount")]
    async fn mount(server: Server<U>) -> Self {
        let mount = server.mount().await.unwrap();
        let mounted = mount.clone();
        let server = actix_web::HttpServer::new(move || {
            let mount = mounted.clone();
            let nested = mount.clone();
            actix_web::App::new()
                .route("/own", actix_web::web::get().to(async || "own"))
                .service(actix_web::web::scope("/nested").configure(move |config| nested.configure(config)))
                .configure(move |config| mount.configure(config))
        });
        let server = server.workers(2).disable_signals().on_connect(mount.on_connect()).h1_write_buffer_size(8 * 1024);
        let server = server.bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Started::Mounted { mount, address, handle }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        match self {
            Started::Own(running) => running.address(),
            #[cfg(feature = "mount")]
            Started::Mounted { address, .. } => *address,
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        match self {
            Started::Own(running) => running.connections(),
            #[cfg(feature = "mount")]
            Started::Mounted { mount, .. } => mount.connections(),
        }
    }

    /// Enters a hub.
    pub fn hub(&self, name: &HubName) -> Result<Lease<U>, EnterError> {
        match self {
            Started::Own(running) => running.hub(name),
            #[cfg(feature = "mount")]
            Started::Mounted { mount, .. } => mount.hub(name),
        }
    }

    /// What is counted.
    pub fn metrics(&self) -> String {
        match self {
            Started::Own(running) => running.metrics(),
            #[cfg(feature = "mount")]
            Started::Mounted { mount, .. } => mount.metrics(),
        }
    }

    /// Has it go by another configuration.
    pub fn reload(&self, config: Config) -> Result<Vec<Changed>, ReloadError> {
        match self {
            Started::Own(running) => running.reload(config, Origins::default()),
            #[cfg(feature = "mount")]
            Started::Mounted { mount, .. } => mount.reload(config, Origins::default()),
        }
    }

    pub(super) async fn stop(self) {
        match self {
            Started::Own(running) => running.stop().await,
            #[cfg(feature = "mount")]
            Started::Mounted { mount, handle, .. } => {
                mount.stop().await;
                handle.stop(false).await;
            }
        }
    }
}
