//! Talks to a running server over its HTTP API, as whoever has the access key.
//!
//! Each request has a token of its own, good for its URL and a minute. Redirects are not followed and the links of
//! answers are not believed: a token goes nowhere but to the server that was named.

mod error;
mod path;

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use awc::{Client, Connector};
use bytes::Bytes;
use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};

use self::error::RemoteError;
pub(super) use self::path::ApiPath;
use super::{Failure, place, text, tls};
use crate::auth::host::BaseUrl;
use crate::auth::token::Tokens;
use crate::config::Config;
use crate::ids::HubName;

/// Largest answer that is read: a page of users with as much data as the store takes.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Entries asked for at a time.
const PAGE: u64 = 200;
/// How long a request's own token is good: as long as clocks may differ, and the way takes.
const TOKEN_TTL: Duration = Duration::from_secs(60);

/// What the commands' help ends with.
pub(super) const EXIT_STATUS: &str = "\
The request is signed with the access key of the configuration, or the one in its data folder: run this where the server \
runs, as its user, or set FOLKMOOT__AUTH__ACCESS_KEYS.

Exit status: 0 done; 1 failed, such as a group that does not exist; 69 the server cannot be reached; 77 it refuses the \
access key.";

/// Which server, and how long to wait for it.
#[derive(Debug, Args)]
pub(super) struct RemoteArgs {
    /// The server [default: where the configuration has it listen]
    #[arg(long, value_name = "URL", value_parser = BaseUrl::parse, help_heading = "Server")]
    url: Option<BaseUrl>,
    /// The hub [default: hubs.default]
    #[arg(long, value_parser = HubName::parse, help_heading = "Server")]
    hub: Option<HubName>,
    /// Believe the authorities in this PEM file instead of those of the system (https)
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    ca: Option<PathBuf>,
    /// How long to wait for an answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = text::some_time, help_heading = "Server")]
    timeout: Duration,
}

/// A server that can be asked.
pub(super) struct Remote {
    client: Client,
    base: BaseUrl,
    hub: HubName,
    tokens: Tokens,
}

/// What a server answered, if it was no refusal.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A page of a listing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    value: Vec<Map<String, Value>>,
    continuation_token: Option<String>,
    next_link: Option<String>,
}

/// Runs what a command asks of a server.
pub(super) fn run(
    args: &RemoteArgs,
    config: &Config,
    command: impl AsyncFnOnce(Remote) -> anyhow::Result<()>,
) -> Result<(), Failure> {
    let done = actix_rt::System::new().block_on(async { command(Remote::new(args, config)?).await });
    super::unless_nobody_reads(done).map_err(|error| match error.downcast::<RemoteError>() {
        Ok(error) => Failure { status: error.status(), message: error.to_string() },
        Err(error) => error.into(),
    })
}

impl Remote {
    fn new(args: &RemoteArgs, config: &Config) -> anyhow::Result<Self> {
        let base = args.url.clone().map_or_else(|| place::api_url(config), Ok)?;
        let connector = Connector::new().timeout(args.timeout).handshake_timeout(args.timeout);
        let connector = match base.secure {
            true => connector.rustls_0_23(Arc::new(tls::client_config(args.ca.as_deref())?)),
            false => connector,
        };
        let client = Client::builder()
            .connector(connector)
            .timeout(args.timeout)
            .disable_redirects()
            .add_default_header(("User-Agent", concat!("folkmoot/", env!("CARGO_PKG_VERSION"))))
            .finish();
        let hub = args.hub.clone().unwrap_or_else(|| config.hubs.default.clone());
        let tokens = Tokens::new(&place::access_keys(config)?, config.auth.clock_skew);
        Ok(Remote { client, base, hub, tokens })
    }

    /// The path of the hub that is meant.
    pub(super) fn hub(&self) -> ApiPath {
        ApiPath::of_hub(&self.hub)
    }

    /// Asks, and hands on what is no refusal.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: ApiPath,
        body: Option<(&'static str, Bytes)>,
    ) -> anyhow::Result<Answer> {
        let (url, audience) = path.urls(&self.base);
        let claims = Map::from_iter([("aud".to_owned(), Value::from(audience))]);
        let token = self.tokens.issue(claims, TOKEN_TTL, SystemTime::now())?.token;
        let mut request = self.client.request(method, url).bearer_auth(token);
        if let Some(address) = self.literal_ipv6() {
            // awc hands "[::1]" to the resolver as a name.
            request = request.address(address);
        }
        let sent = match body {
            Some((media_type, body)) => request.content_type(media_type).send_body(body),
            None => request.send(),
        };
        let mut response = sent.await.map_err(|error| RemoteError::of_sending(&self.base, error))?;
        let body = response.body().limit(MAX_ANSWER_BYTES).await;
        let body =
            body.map_err(|error| RemoteError::Answer { url: self.base.to_string(), reason: error.to_string() })?;
        let answer = Answer { status: response.status(), headers: response.headers().clone(), body };
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(RemoteError::of_answer(&self.base, answer.status, &answer.headers, &answer.body).into())
    }

    fn literal_ipv6(&self) -> Option<SocketAddr> {
        let address = self.base.host.host().strip_prefix('[')?.strip_suffix(']')?;
        Some((address.parse::<Ipv6Addr>().ok()?, self.base.host.port_for(self.base.secure)).into())
    }

    /// Reads a listing page by page, at most `limit` entries of it; none is read before those before it are written.
    pub(super) async fn pages(
        &self,
        path: ApiPath,
        limit: Option<u64>,
        mut write: impl FnMut(&[Map<String, Value>]) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut left = limit.unwrap_or(u64::MAX);
        let mut continuation: Option<String> = None;
        while left > 0 {
            let mut page = path.clone().query("maxpagesize", &left.min(PAGE).to_string());
            if let Some(token) = &continuation {
                page = page.query("continuationToken", token);
            }
            let answer = self.ask(Method::GET, page, None).await?;
            let unreadable = |error: serde_json::Error| RemoteError::Answer {
                url: self.base.to_string(),
                reason: format!("it is no listing ({error})"),
            };
            let mut page: Page = serde_json::from_slice(&answer.body).map_err(unreadable)?;
            if page.value.is_empty() {
                // Whatever it says of further ones: nobody wants to ask for empty pages for ever.
                return Ok(());
            }
            page.value.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= page.value.len() as u64;
            write(&page.value)?;
            let next = page.continuation_token.or_else(|| path::continuation_of(page.next_link.as_deref()?));
            if next.is_none() || next == continuation {
                return Ok(());
            }
            continuation = next;
        }
        Ok(())
    }
}
