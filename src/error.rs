//! The two tables of what can go wrong: [`ErrorCode`] for acks, [`Disconnect`] for closing.
//!
//! Each layer has its own small error type and turns it into a row of these tables in one `From`. Names and numbers are
//! part of the protocol: a row may be added, but a name never gets another meaning. How a row is written on the wire is
//! the protocol layer's business.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Longest reason in a close frame, in bytes: a control frame carries 125, two of which are the code (RFC 6455, 5.5).
pub const MAX_CLOSE_REASON_BYTES: usize = 123;

/// Why a frame was refused: the `error.name` of an ack.
///
/// ```
/// use folkmoot::ErrorCode;
///
/// assert_eq!(ErrorCode::Forbidden.name(), "Forbidden");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The frame could not be understood; the same frame will never succeed.
    BadRequest,
    /// An `ackId` that already succeeded on this connection; nothing was done again.
    Duplicate,
    /// The connection has no role for it.
    Forbidden,
    /// It failed on our side; trying again may help.
    InternalServerError,
    /// One of the limits (groups of a connection, masks, scans) is reached; the connection stays.
    LimitReached,
    /// The group does not exist, the mask matches nothing, or nobody handles the event.
    NotFound,
    /// A hook or another node did not answer in time; whether it took effect is unknown.
    Timeout,
}

impl ErrorCode {
    /// Name on the wire, default sentence, whether sending the same again may succeed.
    const fn row(self) -> (&'static str, &'static str, bool) {
        match self {
            Self::BadRequest => ("BadRequest", "The frame is not valid.", false),
            Self::Duplicate => ("Duplicate", "A frame with this ackId has already succeeded.", false),
            Self::Forbidden => ("Forbidden", "The connection may not do this.", false),
            Self::InternalServerError => ("InternalServerError", "The server failed to do this.", true),
            Self::LimitReached => ("LimitReached", "A limit of the server is reached.", true),
            Self::NotFound => ("NotFound", "There is no such group, or nobody handles this.", false),
            Self::Timeout => ("Timeout", "There was no answer in time.", true),
        }
    }

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// What an ack says when nothing more precise is known.
    pub const fn sentence(self) -> &'static str {
        self.row().1
    }

    /// Whether the same frame may succeed later.
    pub const fn is_transient(self) -> bool {
        self.row().2
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What announcements and hooks call the end of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaveReason {
    /// The connection left the group and lives on.
    Left,
    /// The connection ended.
    Disconnected,
    /// The connection was put out by somebody.
    Kicked,
    /// The peer was silent, or took no data, for too long.
    Timeout,
}

impl LeaveReason {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            LeaveReason::Left => "left",
            LeaveReason::Disconnected => "disconnected",
            LeaveReason::Kicked => "kicked",
            LeaveReason::Timeout => "timeout",
        }
    }
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for LeaveReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The ways in which a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisconnectKind {
    /// The client sent a close frame.
    ClosedByClient,
    /// The API closed it.
    ClosedByServer,
    /// This node is going away.
    GoingAway,
    /// The connection broke without a close frame, so no close frame of ours can be written either.
    Lost,
    /// The peer broke the WebSocket protocol.
    ProtocolError,
    /// A binary frame on a JSON subprotocol.
    UnsupportedData,
    /// Text that is not UTF-8, or a frame that is not valid and has no `ackId`.
    InvalidData,
    /// A frame or message beyond the size limit.
    TooBig,
    /// A message of a raw client that nobody handles.
    Unhandled,
    /// The outbound queue is full.
    SlowConsumer,
    /// The peer took no data for too long.
    WriteTimeout,
    /// The peer answered no ping.
    PingTimeout,
    /// An administrator put it out.
    Kicked,
    /// The user was disabled.
    UserDisabled,
    /// The user was removed from the store.
    UserRemoved,
    /// The token expired, in a hub that enforces it.
    TokenExpired,
    /// More frames, or more refused ones, than allowed.
    RateLimit,
    /// Too many connections of the server, the hub or the user.
    ConnectionLimit,
    /// The session to be recovered is unknown, over, or not this client's.
    RecoveryRefused,
    /// The same connection goes on by another socket.
    Displaced,
    /// The session broke inside the server.
    SessionLost,
}

/// One row of the table of close codes.
struct Row {
    code: u16,
    name: &'static str,
    sentence: &'static str,
    reconnect: bool,
    leave: LeaveReason,
}

impl DisconnectKind {
    /// Every kind, in the order of the table.
    pub const ALL: [DisconnectKind; 21] = [
        Self::ClosedByClient,
        Self::ClosedByServer,
        Self::GoingAway,
        Self::Lost,
        Self::ProtocolError,
        Self::UnsupportedData,
        Self::InvalidData,
        Self::TooBig,
        Self::Unhandled,
        Self::SlowConsumer,
        Self::WriteTimeout,
        Self::PingTimeout,
        Self::Kicked,
        Self::UserDisabled,
        Self::UserRemoved,
        Self::TokenExpired,
        Self::RateLimit,
        Self::ConnectionLimit,
        Self::RecoveryRefused,
        Self::Displaced,
        Self::SessionLost,
    ];

    const fn row(self) -> Row {
        use LeaveReason::{Disconnected, Kicked, Timeout};
        const fn row(
            code: u16,
            name: &'static str,
            reconnect: bool,
            leave: LeaveReason,
            sentence: &'static str,
        ) -> Row {
            Row { code, name, sentence, reconnect, leave }
        }
        match self {
            Self::ClosedByClient => row(1000, "closed by client", false, Disconnected, "closed by the client"),
            Self::ClosedByServer => {
                row(1000, "closed by server", false, Disconnected, "closed by the application server")
            }
            Self::GoingAway => row(1001, "going away", true, Disconnected, "the server is going away"),
            // 1006 is what an endpoint reports to itself; it never stands in a frame (RFC 6455, 7.4.1).
            Self::Lost => row(1006, "lost", true, Disconnected, "the connection was lost"),
            Self::ProtocolError => row(1002, "protocol error", false, Disconnected, "WebSocket protocol error"),
            Self::UnsupportedData => {
                row(1003, "unsupported data", false, Disconnected, "this subprotocol takes no binary frames")
            }
            Self::InvalidData => row(1007, "invalid data", false, Disconnected, "the frame is not valid"),
            Self::TooBig => row(1009, "too big", false, Disconnected, "the message is too big"),
            Self::Unhandled => row(1011, "unhandled", false, Disconnected, "nobody handles this message"),
            Self::SlowConsumer => {
                row(1008, "slow consumer", true, Disconnected, "slow consumer: the outbound queue is full")
            }
            Self::WriteTimeout => row(1008, "write timeout", true, Timeout, "write timeout: the peer takes no data"),
            Self::PingTimeout => row(1008, "ping timeout", true, Timeout, "ping timeout: the peer does not answer"),
            Self::Kicked => row(1008, "kicked", false, Kicked, "kicked by an administrator"),
            Self::UserDisabled => row(1008, "user disabled", false, Kicked, "the user is disabled"),
            Self::UserRemoved => row(1008, "user removed", false, Kicked, "the user was removed"),
            Self::TokenExpired => row(1008, "token expired", true, Disconnected, "the token has expired"),
            Self::RateLimit => row(1008, "rate limit", true, Disconnected, "rate limit: too many frames"),
            Self::ConnectionLimit => row(1008, "connection limit", true, Disconnected, "too many connections"),
            Self::RecoveryRefused => {
                row(1008, "recovery refused", true, Disconnected, "the session cannot be recovered; connect anew")
            }
            Self::Displaced => row(1008, "displaced", false, Disconnected, "the connection goes on by another socket"),
            // Not 1011: after 1008 an SDK connects anew at once, after anything else it first tries to recover.
            Self::SessionLost => row(1008, "session lost", true, Disconnected, "the session failed inside the server"),
        }
    }

    /// What logs and metrics call it.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it is the network that has ended and not the connection: a reliable one waits for its peer to come back.
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::Lost | Self::WriteTimeout | Self::PingTimeout)
    }

    /// The close code (RFC 6455, 7.4).
    pub const fn close_code(self) -> u16 {
        self.row().code
    }
}

/// Why a connection ends: a row of the table, and a sentence for the peer.
///
/// ```
/// use folkmoot::{Disconnect, DisconnectKind};
///
/// let full = Disconnect::new(DisconnectKind::SlowConsumer);
/// assert_eq!(full.close_code(), 1008);
/// assert_eq!(full.reason(), "slow consumer: the outbound queue is full");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    kind: DisconnectKind,
    message: Cow<'static, str>,
}

impl Disconnect {
    /// An end with the table's own sentence.
    pub const fn new(kind: DisconnectKind) -> Self {
        Disconnect { kind, message: Cow::Borrowed(kind.row().sentence) }
    }

    /// An end with a sentence that knows more.
    pub fn with_message(kind: DisconnectKind, message: impl Into<Cow<'static, str>>) -> Self {
        Disconnect { kind, message: message.into() }
    }

    /// This node is going away; the peer should come back, to whichever node, after `retry_after`.
    pub fn going_away(retry_after: Duration) -> Self {
        let sentence = DisconnectKind::GoingAway.row().sentence;
        let message = format!("{sentence}; retry_after_ms={}", retry_after.as_millis());
        Disconnect::with_message(DisconnectKind::GoingAway, message)
    }

    /// The row of the table.
    pub const fn kind(&self) -> DisconnectKind {
        self.kind
    }

    /// What logs and metrics call it.
    pub const fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The close code (RFC 6455, 7.4).
    pub const fn close_code(&self) -> u16 {
        self.kind.close_code()
    }

    /// The whole sentence, for the `disconnected` frame.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The sentence as far as a close frame has room for it.
    pub fn reason(&self) -> &str {
        let end = self.message.floor_char_boundary(MAX_CLOSE_REASON_BYTES);
        self.message.get(..end).unwrap_or_default()
    }

    /// Whether it makes sense for the peer to connect again by itself.
    pub const fn should_reconnect(&self) -> bool {
        self.kind.row().reconnect
    }

    /// What announcements call it.
    pub const fn leave_reason(&self) -> LeaveReason {
        self.kind.row().leave
    }
}

impl From<DisconnectKind> for Disconnect {
    fn from(kind: DisconnectKind) -> Self {
        Disconnect::new(kind)
    }
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.close_code(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_end_has_a_name_of_its_own_and_a_reason_that_fits() {
        let names: HashSet<_> = DisconnectKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), DisconnectKind::ALL.len());
        for kind in DisconnectKind::ALL {
            let disconnect = Disconnect::new(kind);
            assert_eq!(disconnect.reason(), disconnect.message(), "{kind:?} has a sentence that is cut");
        }
    }

    #[test]
    fn a_reason_is_cut_at_a_character() {
        // 61 × 2 bytes are 122; the next é would end at byte 124.
        let long = Disconnect::with_message(DisconnectKind::InvalidData, "é".repeat(100));
        assert_eq!(long.reason(), "é".repeat(61));
        assert_eq!(long.message(), "é".repeat(100));
    }

    #[test]
    fn kick_and_disable_close_with_1008_because_an_sdk_would_recover_after_1000() {
        for kind in [DisconnectKind::Kicked, DisconnectKind::UserDisabled, DisconnectKind::UserRemoved] {
            let disconnect = Disconnect::new(kind);
            assert_eq!((disconnect.close_code(), disconnect.leave_reason()), (1008, LeaveReason::Kicked));
            assert!(!disconnect.should_reconnect());
        }
        assert_eq!(DisconnectKind::ClosedByServer.close_code(), 1000);
    }

    #[test]
    fn going_away_tells_when_to_come_back() {
        let drain = Disconnect::going_away(Duration::from_millis(1500));
        assert_eq!(drain.reason(), "the server is going away; retry_after_ms=1500");
        assert_eq!((drain.close_code(), drain.should_reconnect()), (1001, true));
    }

    #[test]
    fn silence_is_announced_as_a_timeout() {
        for kind in [DisconnectKind::PingTimeout, DisconnectKind::WriteTimeout] {
            assert_eq!(Disconnect::new(kind).leave_reason().name(), "timeout");
        }
    }
}
