//! The second listener, `server.internal`: plain HTTP for what operators ask.

use std::net::TcpListener;

use super::StartError;
use super::listen::listener;
use crate::config::Config;
use crate::http::services::InternalListener;

/// Binds the second listener, where the configuration wants one.
///
/// # Errors
/// [`StartError::Bind`] for an address that cannot be listened on.
pub fn bind(config: &Config) -> Result<Option<(TcpListener, InternalListener)>, StartError> {
    let Some(address) = config.server.internal.address() else { return Ok(None) };
    let socket = listener(address, config.heartbeat.tcp_user_timeout).map_err(|error| StartError::Bind {
        setting: "server.internal",
        address,
        error,
    })?;
    let address = socket.local_addr()?;
    Ok(Some((socket, InternalListener { address, exclusive: config.server.internal.exclusive })))
}
