//! The limits that a client can run into, as a closed set of label values.

/// What a client can run into: the `limit` of `folkmoot_limits_reached_total`, mostly by the last part of its key. Slow consumers have a
/// counter of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// A frame or a message is too big.
    MaxMessageBytes,
    /// A message has too many fragments.
    MaxFragments,
    /// JSON is nested too deep.
    JsonDepth,
    /// Messages of one connection.
    MessagesPerSecond,
    /// Bytes of one connection.
    BytesPerSecond,
    /// Connections in total.
    Connections,
    /// Connections of one user.
    ConnectionsPerUser,
    /// Connections of one address.
    ConnectionsPerAddress,
    /// Connections that are no WebSocket yet.
    HttpConnections,
    /// Handshakes under way, those of TLS too.
    PendingHandshakes,
    /// A handshake, or a login's form, that takes too long.
    HandshakeTimeout,
    /// Groups of one connection.
    GroupsPerConnection,
    /// Masks of one connection.
    MasksPerConnection,
    /// Groups of one hub.
    GroupsPerHub,
    /// Masks of one hub.
    MasksPerHub,
    /// The cost of masks and counts.
    MaskScanPerSecond,
    /// Hubs that are not declared.
    MaxUndeclared,
    /// Data of one user.
    MaxRecordBytes,
    /// Logins that wait.
    LoginsWaiting,
    /// Groups and patterns that one connection has roles or permissions for.
    PermissionsPerConnection,
    /// What a reliable connection has not acknowledged.
    ReliableBuffer,
}

impl Limit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Limit; 21] = [
        Self::MaxMessageBytes,
        Self::MaxFragments,
        Self::JsonDepth,
        Self::MessagesPerSecond,
        Self::BytesPerSecond,
        Self::Connections,
        Self::ConnectionsPerUser,
        Self::ConnectionsPerAddress,
        Self::HttpConnections,
        Self::PendingHandshakes,
        Self::HandshakeTimeout,
        Self::GroupsPerConnection,
        Self::MasksPerConnection,
        Self::GroupsPerHub,
        Self::MasksPerHub,
        Self::MaskScanPerSecond,
        Self::MaxUndeclared,
        Self::MaxRecordBytes,
        Self::LoginsWaiting,
        Self::PermissionsPerConnection,
        Self::ReliableBuffer,
    ];

    /// The value of the label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxMessageBytes => "max_message_bytes",
            Self::MaxFragments => "max_fragments",
            Self::JsonDepth => "json_depth",
            Self::MessagesPerSecond => "messages_per_second",
            Self::BytesPerSecond => "bytes_per_second",
            Self::Connections => "connections",
            Self::ConnectionsPerUser => "connections_per_user",
            Self::ConnectionsPerAddress => "connections_per_address",
            Self::HttpConnections => "http_connections",
            Self::PendingHandshakes => "pending_handshakes",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::GroupsPerConnection => "groups_per_connection",
            Self::MasksPerConnection => "masks_per_connection",
            Self::GroupsPerHub => "groups_per_hub",
            Self::MasksPerHub => "masks_per_hub",
            Self::MaskScanPerSecond => "mask_scan_per_second",
            Self::MaxUndeclared => "max_undeclared",
            Self::MaxRecordBytes => "max_record_bytes",
            Self::LoginsWaiting => "logins_waiting",
            Self::PermissionsPerConnection => "permissions_per_connection",
            Self::ReliableBuffer => "reliable_buffer",
        }
    }
}
