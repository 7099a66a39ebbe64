//! Why a server does not start, in sentences for the operator.

use std::io;
use std::net::SocketAddr;

use super::CertificateError;
use crate::config::ConfigErrors;
use crate::http::SettingsError;
use crate::users::StoreError;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is not valid. A configuration that was loaded is; one that was put together may not be.
    #[error("the configuration is not valid: {0}")]
    Config(#[from] ConfigErrors),
    /// The address cannot be listened on.
    #[error("{setting}: cannot listen on {address}: {}", explain(setting, .error))]
    Bind {
        /// The section of the configuration that it comes from.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// TLS itself cannot be used.
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// The user store cannot be opened.
    #[error("the user store cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// The access keys, a URL, a trusted proxy or the keys of an issuer cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The threads of the server or of the hooks could not be started.
    #[error("the server's threads cannot be started: {0}")]
    Threads(#[from] io::Error),
}

fn explain(setting: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program uses this port; stop it, or choose another with --set {setting}.port=…")
        }
        io::ErrorKind::PermissionDenied => "this port needs more rights; choose one above 1023".to_owned(),
        io::ErrorKind::AddrNotAvailable => format!("this machine has no such address; see {setting}.bind"),
        _ => error.to_string(),
    }
}
