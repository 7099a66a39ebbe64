//! A server that runs: what can be asked of it and done to it from the program around it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_server::ServerHandle;

use super::drain;
use super::reload::{ReloadError, Reloader};
use super::tls::{CertificateError, Certificates};
use crate::config::{Changed, Config, Origins};
use crate::groups::{EnterError, Lease};
use crate::hooks::HookThreads;
use crate::http::Services;
use crate::ids::HubName;
use crate::user::{User, UserData};
use crate::users::{self, DemoUser};

/// A server that runs.
pub struct Running<U: UserData = User> {
    pub(super) services: Arc<Services<U>>,
    pub(super) address: SocketAddr,
    pub(super) handle: Option<ServerHandle>,
    pub(super) listeners: Vec<TcpListener>,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) hook_threads: HookThreads,
    pub(super) reloader: Reloader<U>,
}

impl<U: UserData> Running<U> {
    /// Where the server listens; with port 0 in the configuration, the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the listener for operators is (`server.internal`), if there is one.
    pub fn internal_address(&self) -> Option<SocketAddr> {
        self.services.internal.map(|listener| listener.address)
    }

    /// Whether clients speak TLS to the server.
    pub fn is_under_tls(&self) -> bool {
        self.certificates.is_some()
    }

    /// Reads the certificate and its key again. Connections that come later are shown what is in the files now; those
    /// that are open stay. Tells whether the certificate is another; without TLS it never is.
    ///
    /// # Errors
    /// [`CertificateError`] for files that cannot be used; the certificate so far goes on then.
    pub fn reload_certificate(&self) -> Result<bool, CertificateError> {
        self.certificates.as_ref().map_or(Ok(false), |certificates| certificates.reload())
    }

    /// Has the server go by another configuration, all of it or, with an error, nothing of it. What cannot change while
    /// it runs stays as it is, and is among what is returned: each key that differs, with when it counts.
    ///
    /// Connections and hubs stay open. `origins` tell those who ask where the keys come from
    /// ([`Loaded::origins`](crate::config::Loaded::origins)). The certificate is
    /// [another matter](Running::reload_certificate).
    ///
    /// ```
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use folkmoot::config::{Config, Origins, Takes};
    /// use folkmoot::{Server, User};
    ///
    /// let mut config = Config::default();
    /// config.server.port = 0;
    /// # let folder = tempfile::tempdir()?;
    /// # config.data_dir = folder.path().to_owned();
    /// let running = Server::<User>::new(config.clone()).without_store().start().await?;
    /// config.limits.connections_per_user = 3;
    /// config.hooks.threads = 7;
    /// let changes = running.reload(config, Origins::default())?;
    /// let told: Vec<_> = changes.iter().map(|change| (change.key.as_str(), change.takes)).collect();
    /// assert_eq!(told, [("hooks.threads", Takes::Restart), ("limits.connections_per_user", Takes::Now)]);
    /// # running.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReloadError`]: what is wrong with the configuration, or that the server is about to end.
    pub fn reload(&self, config: Config, origins: Origins) -> Result<Vec<Changed>, ReloadError> {
        self.reloader.reload(config, origins)
    }

    /// What the start has to tell about the user store, without its password.
    pub fn store(&self) -> Option<String> {
        self.services.store.as_ref().map(|store| store.describe())
    }

    /// The demo users that the store has, with the passwords that everybody knows.
    pub async fn demo_users(&self) -> Vec<&'static DemoUser> {
        match &self.services.store {
            Some(store) => users::demo_users_of(&**store).await,
            None => Vec::new(),
        }
    }

    /// Whether there is a user store with nobody in it, so that nobody can log in by password.
    pub async fn has_no_users(&self) -> bool {
        match &self.services.store {
            // A store that fails is told by the logs.
            Some(store) => store.list(None, 1).await.is_ok_and(|users| users.is_empty()),
            None => false,
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.services.seats.taken()
    }

    /// Enters a hub from the server's side; the hub stays open as long as the lease lives.
    ///
    /// # Errors
    /// [`EnterError`] when the configuration does not allow it to be opened.
    pub fn hub(&self, name: &HubName) -> Result<Lease<U>, EnterError> {
        self.services.hubs.enter(name)
    }

    /// What is counted, in the Prometheus text format.
    pub fn metrics(&self) -> String {
        self.services.metrics.render()
    }

    /// Ends the server: no new connections, those that are open are closed with 1001 one after another over half of
    /// `shutdown.timeout`, and whatever is left is cut when it has passed.
    pub async fn stop(mut self) {
        if let Some(handle) = self.handle.take() {
            drain::refuse_new(&self.services, Some((&handle, &self.listeners))).await;
            drain::send_away(&self.services).await;
            handle.stop(false).await;
        }
        drain::close_hubs(&self.services).await;
        self.hook_threads.stop();
    }
}
