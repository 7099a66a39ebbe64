//! What is counted, and under which names.
//!
//! Handles are made once and used where the events happen; rendering is `http/metrics.rs`. No label names a user or a
//! group: their number is the clients' choice, and a time series each would be a leak.

use std::fmt;
use std::sync::Arc;

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

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
}

impl Limit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Limit; 19] = [
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
        }
    }
}

macro_rules! metrics {
    ($($kind:ident $field:ident $name:literal $text:literal)*) => {
        /// Handles on everything that is counted; cheap to clone.
        #[derive(Clone)]
        pub struct Metrics(Arc<Handles>);

        /// The handles themselves.
        pub struct Handles {
            exporter: PrometheusHandle,
            limits: [Counter; Limit::ALL.len()],
            $(#[doc = $text] pub $field: metrics!(@type $kind),)*
        }

        impl Metrics {
            /// A new set of counters, all at zero, independent of any other server in the process.
            pub fn new() -> Self {
                let recorder = PrometheusBuilder::new().build_recorder();
                let exporter = recorder.handle();
                metrics::with_local_recorder(&recorder, || {
                    $(metrics!(@describe $kind $name $text);)*
                    let limits = limit_counters();
                    Metrics(Arc::new(Handles { exporter, limits, $($field: metrics!(@make $kind $name),)* }))
                })
            }
        }
    };
    (@type counter) => { Counter };
    (@type gauge) => { Gauge };
    (@make counter $name:literal) => {{
        let counter = counter!($name);
        // Rendered from the start, so that a dashboard shows zero and not nothing.
        counter.increment(0);
        counter
    }};
    (@make gauge $name:literal) => {{
        let gauge = gauge!($name);
        gauge.set(0.0);
        gauge
    }};
    (@describe counter $name:literal $text:literal) => { describe_counter!($name, $text) };
    (@describe gauge $name:literal $text:literal) => { describe_gauge!($name, $text) };
}

metrics! {
    gauge connections "folkmoot_connections" "Connections that are open now."
    gauge groups "folkmoot_groups" "Groups that have a member or are declared."
    counter connections_opened "folkmoot_connections_opened_total" "Connections that were accepted."
    counter connections_closed "folkmoot_connections_closed_total" "Connections that ended, however."
    counter handshakes_refused "folkmoot_handshakes_refused_total" "WebSocket handshakes answered with an error."
    counter joins "folkmoot_joins_total" "Memberships that began."
    counter leaves "folkmoot_leaves_total" "Memberships that ended, those of ended connections included."
    counter messages_in "folkmoot_messages_in_total" "Frames with data that clients sent."
    counter messages_out "folkmoot_messages_out_total" "Messages queued for connections."
    counter bytes_in "folkmoot_bytes_in_total" "Bytes read from connections."
    counter bytes_out "folkmoot_bytes_out_total" "Bytes written to connections."
    counter slow_consumers "folkmoot_slow_consumers_total" "Connections ended because they did not read fast enough."
    counter messages_dropped "folkmoot_messages_dropped_total" "Messages dropped for connections that do not read fast enough, in hubs that do not close them for it."
    counter heartbeat_timeouts "folkmoot_heartbeat_timeouts_total" "Connections ended because the peer fell silent."
    counter protocol_errors "folkmoot_protocol_errors_total" "Connections ended because of what the peer sent."
    counter requests_refused "folkmoot_requests_refused_total" "Client frames answered with an error, or dropped where no ack was asked for."
    counter announcements_dropped "folkmoot_announcements_dropped_total" "Announcements that were not sent to one or all members."
    counter auth_failures "folkmoot_auth_failures_total" "Credentials that were refused."
    counter auth_throttled "folkmoot_auth_throttled_total" "Logins refused because there were too many failures."
    counter tls_handshake_failures "folkmoot_tls_handshake_failures_total" "TLS handshakes that failed, took too long or were given up for others."
    counter hook_failures "folkmoot_hook_failures_total" "Hook calls that panicked, were late or were not made because the queue was full."
}

fn limit_counters() -> [Counter; Limit::ALL.len()] {
    const NAME: &str = "folkmoot_limits_reached_total";
    describe_counter!(NAME, "What clients were refused, or ended for, because of a limit, by the limit.");
    Limit::ALL.map(|limit| {
        let counter = counter!(NAME, "limit" => limit.name());
        counter.increment(0);
        counter
    })
}

impl Metrics {
    /// Counts that somebody ran into a limit.
    pub fn reached(&self, limit: Limit) {
        if let Some(counter) = self.0.limits.get(limit as usize) {
            counter.increment(1);
        }
    }

    /// Everything in the Prometheus text format.
    pub fn render(&self) -> String {
        self.0.exporter.render()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl std::ops::Deref for Metrics {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_counted_under_its_own_name() {
        let metrics = Metrics::new();
        for (number, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, number);
            metrics.reached(limit);
            let counted = format!("folkmoot_limits_reached_total{{limit=\"{}\"}} 1\n", limit.name());
            assert!(metrics.render().contains(&counted), "{limit:?} is not counted");
        }
    }

    #[test]
    fn two_sets_of_metrics_do_not_mix() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.joins.increment(3);
        one.connections.increment(2.0);
        assert!(one.render().contains("folkmoot_joins_total 3"));
        assert!(one.render().contains("folkmoot_connections 2"));
        assert!(other.render().contains("folkmoot_joins_total 0"));
    }
}
