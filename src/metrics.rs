//! What is counted, and under which names.
//!
//! Handles are made once and used where the events happen; rendering is `http/metrics.rs`. No label names a user or a
//! group: their number is the clients' choice, and a time series each would be a leak.

use std::fmt;
use std::sync::Arc;

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

macro_rules! metrics {
    ($($kind:ident $field:ident $name:literal $text:literal)*) => {
        /// Handles on everything that is counted; cheap to clone.
        #[derive(Clone)]
        pub struct Metrics(Arc<Handles>);

        /// The handles themselves.
        pub struct Handles {
            exporter: PrometheusHandle,
            $(#[doc = $text] pub $field: metrics!(@type $kind),)*
        }

        impl Metrics {
            /// A new set of counters, all at zero, independent of any other server in the process.
            pub fn new() -> Self {
                let recorder = PrometheusBuilder::new().build_recorder();
                let exporter = recorder.handle();
                metrics::with_local_recorder(&recorder, || {
                    $(metrics!(@describe $kind $name $text);)*
                    Metrics(Arc::new(Handles { exporter, $($field: metrics!(@make $kind $name),)* }))
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
    counter hook_failures "folkmoot_hook_failures_total" "Hook calls that panicked, were late or were not made because the queue was full."
}

impl Metrics {
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
    fn two_sets_of_metrics_do_not_mix() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.joins.increment(3);
        one.connections.increment(2.0);
        assert!(one.render().contains("folkmoot_joins_total 3"));
        assert!(one.render().contains("folkmoot_connections 2"));
        assert!(other.render().contains("folkmoot_joins_total 0"));
    }
}
