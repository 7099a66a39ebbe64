//! The HTTP client of webhooks: one request, one answer, within bounds.

use std::cell::OnceCell;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use awc::error::PayloadError;
use awc::{Client as Awc, Connector};
use bytes::Bytes;
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::transport::trust;

/// How long a connection waits for its next request. Node closes its own after five seconds, and a request that crosses
/// that would be lost.
const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Its time has passed.
    #[error("takes too long")]
    Late,
    /// The way there, or back, is broken.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// More than may be read.
    #[error("answers with more than webhooks.max_answer_bytes")]
    TooBig,
    /// Nobody there can be believed.
    #[error("cannot be asked by https: {0}")]
    Tls(String),
}

/// The answer, whatever it says.
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its header lines.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// What is sent.
pub struct Request {
    /// How.
    pub method: Method,
    /// Where to.
    pub url: String,
    /// Its header lines.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: Bytes,
}

/// Sends requests from the thread that it was made on.
pub struct Client {
    plain: Awc,
    /// Made with the first request that needs it: reading the authorities of the machine takes a while.
    tls: OnceCell<Result<Awc, String>>,
}

impl Client {
    /// A client that follows no redirect: what it sends is for one server alone.
    pub fn new() -> Self {
        Client { plain: build(None), tls: OnceCell::new() }
    }

    /// Sends a request and reads the answer, up to so many bytes of its body.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, request: Request, most: usize, deadline: Instant) -> Result<Response, SendError> {
        let Request { method, url, headers, body } = request;
        let client = self.client_for(&url)?;
        let address = literal_ipv6(&url);
        let mut request = client.request(method, url);
        for line in headers {
            request = request.insert_header(line);
        }
        if let Some(address) = address {
            // awc hands "[::1]" to the resolver as a name.
            request = request.address(address);
        }
        let exchange = async {
            let sent = request.send_body(body).await;
            let mut response = sent.map_err(|error| SendError::Unreachable(error.to_string()))?;
            let body = response.body().limit(most).await.map_err(|error| match error {
                PayloadError::Overflow => SendError::TooBig,
                error => SendError::Unreachable(error.to_string()),
            })?;
            Ok(Response { status: response.status(), headers: response.headers().clone(), body })
        };
        timeout_at(deadline, exchange).await.unwrap_or(Err(SendError::Late))
    }

    fn client_for(&self, url: &str) -> Result<&Awc, SendError> {
        let is_https = url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        if !is_https {
            return Ok(&self.plain);
        }
        let made = self.tls.get_or_init(|| tls_config().map(|config| build(Some(config))));
        made.as_ref().map_err(|error| SendError::Tls(error.clone()))
    }
}

fn build(tls: Option<ClientConfig>) -> Awc {
    let connector = Connector::new()
        // One server that is slow must take no connection from another; how many there are is bounded for each webhook.
        .limit(Semaphore::MAX_PERMITS)
        .conn_keep_alive(KEEP_ALIVE);
    let connector = match tls {
        Some(config) => connector.rustls_0_23(Arc::new(config)),
        None => connector,
    };
    Awc::builder()
        .connector(connector)
        .disable_timeout()
        .disable_redirects()
        .add_default_header(("User-Agent", concat!("folkmoot/", env!("CARGO_PKG_VERSION"))))
        .finish()
}

/// Believes the authorities of this machine.
fn tls_config() -> Result<ClientConfig, String> {
    let none = "this machine knows no authorities (Debian: the package ca-certificates)";
    trust::client_config(trust::authorities_of_machine().ok_or(none)?).map_err(|error| error.to_string())
}

fn literal_ipv6(url: &str) -> Option<SocketAddr> {
    let url = Url::parse(url).ok()?;
    let address: Ipv6Addr = url.host_str()?.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    Some((address, url.port_or_known_default()?).into())
}
