//! Why a server could not be asked, or refused, in sentences that say what to do.

use std::io;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use awc::error::{ConnectError, SendRequestError};
use serde_json::Value;

use crate::auth::host::BaseUrl;
use crate::cli::text::printable;
use crate::cli::{EXIT_DENIED, EXIT_FAILURE, EXIT_UNAVAILABLE};

/// Longest part of an answer that is repeated where it is not what was expected.
const MAX_REPEATED_CHARS: usize = 300;

/// Why there is no answer of use.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemoteError {
    #[error(
        "nothing listens at {url}: is the server running? Start it with `folkmoot serve`, or name another by --url"
    )]
    Refused { url: String },
    #[error("{url} cannot be reached: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("{url} does not answer in time; --timeout gives it longer")]
    Late { url: String },
    #[error(
        "{url} is not believed to be the server ({reason}); name the authority that signed its certificate by --ca FILE"
    )]
    Untrusted { url: String, reason: String },
    #[error("what answers at {url} speaks no HTTP ({reason}); is it https?")]
    Foreign { url: String, reason: String },
    #[error("what answers at {url} ({status}) is not the API of a Folkmoot; is it another address (--url), or https?")]
    Strange { url: String, status: StatusCode },
    #[error("the answer of {url} cannot be read: {reason}")]
    Answer { url: String, reason: String },
    #[error(
        "the server at {url} does not take this access key: run this where its data folder is, with its configuration \
         (-c FILE), or set auth.access_keys (it said: {said})"
    )]
    Key { url: String, said: String },
    #[error("the server at {url} refuses this: {said}")]
    Denied { url: String, said: String },
    #[error(
        "there is no HTTP API at {url}: name the server by --url, or its internal listener where server.internal keeps \
         the API to itself"
    )]
    NoApi { url: String },
    #[error("the server at {url} cannot do this now: {said}")]
    Unavailable { url: String, said: String },
    #[error("{said}")]
    Failed { said: String },
}

impl RemoteError {
    /// The status that the program ends with.
    pub(super) fn status(&self) -> u8 {
        match self {
            RemoteError::Refused { .. }
            | RemoteError::Unreachable { .. }
            | RemoteError::Late { .. }
            | RemoteError::Untrusted { .. }
            | RemoteError::Foreign { .. }
            | RemoteError::Strange { .. }
            | RemoteError::NoApi { .. }
            | RemoteError::Unavailable { .. } => EXIT_UNAVAILABLE,
            RemoteError::Key { .. } | RemoteError::Denied { .. } => EXIT_DENIED,
            RemoteError::Answer { .. } | RemoteError::Failed { .. } => EXIT_FAILURE,
        }
    }

    /// Of a request that got no answer.
    pub(super) fn of_sending(base: &BaseUrl, error: SendRequestError) -> Self {
        let url = base.to_string();
        match error {
            SendRequestError::Connect(ConnectError::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                RemoteError::Refused { url }
            }
            SendRequestError::Connect(ConnectError::Io(error)) => {
                let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                match of_tls {
                    Some(rustls::Error::InvalidCertificate(reason)) => {
                        RemoteError::Untrusted { url, reason: reason.to_string() }
                    }
                    _ => RemoteError::Unreachable { url, reason: error.to_string() },
                }
            }
            SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => RemoteError::Late { url },
            SendRequestError::Connect(error) => RemoteError::Unreachable { url, reason: error.to_string() },
            SendRequestError::Response(error) => RemoteError::Foreign { url, reason: error.to_string() },
            error => RemoteError::Unreachable { url, reason: error.to_string() },
        }
    }

    /// Of an answer that is a refusal.
    pub(super) fn of_answer(base: &BaseUrl, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let url = base.to_string();
        let ours = headers.contains_key("x-ms-error-code");
        let said = sentence(body);
        if let (false, None) = (ours || status == StatusCode::NOT_FOUND || status.is_server_error(), &said) {
            return RemoteError::Strange { url, status };
        }
        let said = said.unwrap_or_else(|| status.to_string());
        match status {
            StatusCode::UNAUTHORIZED => RemoteError::Key { url, said },
            StatusCode::FORBIDDEN => RemoteError::Denied { url, said },
            StatusCode::NOT_FOUND if !ours => RemoteError::NoApi { url },
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                RemoteError::Unavailable { url, said }
            }
            _ => RemoteError::Failed { said },
        }
    }
}

/// What an answer says for a person.
fn sentence(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let said = answer.get("message").or_else(|| answer.get("detail"))?.as_str()?;
    let said: String = said.chars().take(MAX_REPEATED_CHARS).collect();
    Some(printable(&said).into_owned())
}
