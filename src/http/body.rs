//! The bodies of ordinary requests, within bounds of size and time.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Payload};
use tokio::time::timeout;

use super::{Problem, Services};
use crate::metrics::Limit;
use crate::user::UserData;

/// Reads a body, which is a `what`, of at most `most` bytes, within the time that a handshake may take: a body that never
/// ends is one more way to say nothing.
///
/// # Errors
/// 408, 413, and 400 for a body that breaks off.
pub async fn read<U: UserData>(
    services: &Services<U>,
    body: Payload,
    what: &'static str,
    most: usize,
) -> Result<Bytes, Problem> {
    let patience = services.config().limits.handshake_timeout;
    let late = |_| {
        let late = Problem::new(StatusCode::REQUEST_TIMEOUT, format!("The {what} did not come in time."));
        services.over(Limit::HandshakeTimeout, late)
    };
    let read = timeout(patience, body.to_bytes_limited(most)).await.map_err(late)?;
    let too_large = format!("The {what} has more than {most} bytes.");
    let read = read.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, too_large))?;
    read.map_err(|_| Problem::bad_request(format!("The {what} could not be read.")))
}
