//! Why a run could not be made, and what to do about it.

use std::io;

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The URL is none that can be used.
    #[error("'{url}' cannot be used: {why}")]
    Url {
        /// What was given, without a password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// No connection came about.
    #[error("{address} cannot be reached: {error}{}", hint_of_io(error))]
    Unreachable {
        /// Who was called.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// The server refused the handshake.
    #[error("the server refused connection {number} with {status}: {detail}{}", hint_of_status(*status))]
    Refused {
        /// Which of the connections, from 1.
        number: usize,
        /// The status of HTTP.
        status: u16,
        /// The server's own words.
        detail: String,
    },
    /// What answered is no Folkmoot.
    #[error("what answers there is not Folkmoot: {0}")]
    NotFolkmoot(String),
    /// The server said no to a request.
    #[error("the server refused to {what}: {name}: {message}{}", hint_of_ack(name))]
    Denied {
        /// What was asked for.
        what: &'static str,
        /// The name of the error.
        name: String,
        /// The server's own words.
        message: String,
    },
    /// A connection ended that was needed.
    #[error("a connection was lost: {0}")]
    Lost(String),
    /// Nothing came.
    #[error("{what} did not come within {seconds} s; the server is busier than that, or it is stuck")]
    Late {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        seconds: u64,
    },
    /// Interrupted before there was anything to tell.
    #[error("interrupted before anything was measured")]
    Interrupted,
    /// The process whose figures were asked for cannot be looked at.
    #[error("process {pid} cannot be looked at: {error}; --pid is the server's process id, on this machine (Linux)")]
    Process {
        /// Its id.
        pid: u32,
        /// Why.
        error: io::Error,
    },
}

fn hint_of_io(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            ". Nobody listens there: start the server (folkmoot), or give its URL (folkmoot bench SCENARIO URL)"
        }
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => {
            ". No local port is free towards it: use fewer members, or wait a minute for those of the last run"
        }
        // EMFILE and ENFILE have no kind of their own.
        _ if matches!(error.raw_os_error(), Some(23 | 24)) => {
            ". Each connection takes a file descriptor: raise the limit (ulimit -n), or use fewer members"
        }
        _ => "",
    }
}

fn hint_of_status(status: u16) -> &'static str {
    match status {
        401 => {
            ". Give a login (--login NAME and --password-env VARIABLE or --password-stdin) or a token (--token-env VARIABLE)"
        }
        403 => {
            ". The user may not enter this hub, or demo users come from elsewhere; give another login or another hub's URL"
        }
        404 => ". The URL of a hub is ws://HOST:PORT/client/hubs/NAME, that of the default hub ws://HOST:PORT/ws",
        429 => {
            ". A limit of the server for one user or one address: see limits.connections_per_user and \
             limits.connections_per_address of its configuration, or use fewer --members; or too many logins failed lately"
        }
        503 => {
            ". A limit of the server: see limits.connections, limits.pending_handshakes and auth.hashing.waiting of its \
             configuration, or use fewer --members or a smaller --inflight"
        }
        _ => "",
    }
}

fn hint_of_ack(name: &str) -> &'static str {
    match name {
        "Forbidden" => {
            ". The user needs the roles webpubsub.joinLeaveGroup and webpubsub.sendToGroup (folkmoot user add --role, or the \
             hub's default_roles)"
        }
        "LimitReached" => ". A limit of the server's configuration (limits.*); raise it, or ask for less",
        _ => "",
    }
}
