//! How a key set is had: by one GET, or out of a file. Bounded in time and size, and no redirect leads elsewhere.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::StatusCode;
use awc::{Client, Connector};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use url::{Host, Url};

use crate::auth::jwks::{KeySet, KeySetError, MAX_KEY_SET_BYTES};
use crate::config::KeySetLocation;
use crate::transport::trust;

/// How long an issuer has to answer, and a handshake waits for it.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a key set could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A file cannot be read.
    #[error("cannot be read: {0}")]
    File(#[from] io::Error),
    /// What is there is no key set.
    #[error("cannot be used: {0}")]
    Set(#[from] KeySetError),
    /// The issuer answered something else.
    #[error("the answer has the status {0}")]
    Status(StatusCode),
    /// The issuer's certificate is not believed, or it cannot be reached.
    #[error("cannot be asked for: {0}")]
    Connect(String),
    /// The answer broke off.
    #[error("the answer cannot be read: {0}")]
    Body(String),
    /// It took more than [`FETCH_TIMEOUT`].
    #[error("there was no answer within {} seconds", FETCH_TIMEOUT.as_secs())]
    Late,
}

/// Has key sets, on one thread.
#[derive(Clone, Default)]
pub struct Fetcher {
    /// Made when a URL is first asked for: it reads the authorities that this machine believes.
    client: Rc<OnceCell<Client>>,
}

/// Has one key set, for a command.
///
/// # Errors
/// [`FetchError`].
#[cfg(feature = "cli")]
pub async fn fetch_once(location: &KeySetLocation) -> Result<KeySet, FetchError> {
    Fetcher::default().fetch(location).await
}

impl Fetcher {
    /// Has a key set.
    pub async fn fetch(&self, location: &KeySetLocation) -> Result<KeySet, FetchError> {
        let had = async {
            match location {
                KeySetLocation::Url(url) => self.ask(url).await,
                KeySetLocation::File(file) => {
                    let file = file.clone();
                    let read = tokio::task::spawn_blocking(move || read_file(&file)).await;
                    read.unwrap_or_else(|error| Err(io::Error::other(error).into()))
                }
            }
        };
        timeout(FETCH_TIMEOUT, had).await.unwrap_or(Err(FetchError::Late))
    }

    async fn ask(&self, url: &Url) -> Result<KeySet, FetchError> {
        let mut request =
            self.client.get_or_init(client).get(url.as_str()).insert_header(("Accept", "application/json"));
        if let Some(Host::Ipv6(address)) = url.host() {
            // awc hands "[::1]" to the resolver as a name.
            request = request.address(SocketAddr::from((address, url.port_or_known_default().unwrap_or(443))));
        }
        let mut answer = request.send().await.map_err(of_sending)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        // One more than allowed, which is then refused as too much.
        let body = answer.body().limit(MAX_KEY_SET_BYTES + 1).await;
        let body = body.map_err(|error| match error {
            awc::error::PayloadError::Overflow => KeySetError::TooBig.into(),
            error => FetchError::Body(error.to_string()),
        })?;
        Ok(KeySet::parse(&body)?)
    }
}

fn of_sending(error: SendRequestError) -> FetchError {
    match error {
        SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => FetchError::Late,
        SendRequestError::Connect(ConnectError::Io(error)) => FetchError::Connect(error.to_string()),
        error => FetchError::Connect(error.to_string()),
    }
}

/// Reads a key set out of a file.
pub fn read_file(file: &Path) -> Result<KeySet, FetchError> {
    let mut text = Vec::new();
    File::open(file)?.take(MAX_KEY_SET_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok(KeySet::parse(&text)?)
}

fn client() -> Client {
    let connector = Connector::new().timeout(FETCH_TIMEOUT).handshake_timeout(FETCH_TIMEOUT);
    let connector = match tls() {
        Ok(config) => connector.rustls_0_23(Arc::new(config)),
        // Without randomness or protocol versions there is no https, which the first request will tell.
        Err(error) => {
            log::error!(error:%; "issuers cannot be asked over https");
            connector
        }
    };
    Client::builder()
        .connector(connector)
        .timeout(FETCH_TIMEOUT)
        .disable_redirects()
        .add_default_header(("User-Agent", concat!("folkmoot/", env!("CARGO_PKG_VERSION"))))
        .finish()
}

/// Believes the authorities of this machine.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let roots = trust::authorities_of_machine().unwrap_or_else(|| {
        log::warn!("this machine knows no authorities (Debian: the package ca-certificates), so no issuer is believed");
        RootCertStore::empty()
    });
    trust::client_config(roots)
}
