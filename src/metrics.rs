//! What is counted, and under which names.
//!
//! Handles are made once and used where the events happen; rendering is `http/metrics.rs`. No label names a user or a
//! group: their number is the clients' choice, and a time series each would be a leak.

mod count;
mod histogram;
mod limit;
mod webhook;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

pub use self::count::{Counter, Gauge, Peak};
pub use self::histogram::{Counts, Histogram};
pub use self::limit::Limit;
pub use self::webhook::WebhookOutcome;
use crate::clock;
use crate::error::DisconnectKind;

macro_rules! metrics {
    ($($kind:ident $field:ident $name:literal $text:literal)*) => {
        /// Handles on everything that is counted; cheap to clone.
        #[derive(Clone)]
        pub struct Metrics(Arc<Handles>);

        /// The handles themselves.
        pub struct Handles {
            exporter: PrometheusHandle,
            is_shown: bool,
            limits: [Counter; Limit::ALL.len()],
            closes: [Counter; DisconnectKind::ALL.len()],
            webhooks: [Counter; WebhookOutcome::ALL.len()],
            /// The most that waited for one connection since it was last taken; told as `outbound_queue_high`.
            pub queue_peak: Peak,
            $(#[doc = $text] pub $field: metrics!(@type $kind),)*
        }

        impl Metrics {
            fn made(is_shown: bool) -> Self {
                let recorder = PrometheusBuilder::new().build_recorder();
                let exporter = recorder.handle();
                metrics::with_local_recorder(&recorder, || {
                    $(metrics!(@describe $kind $name $text);)*
                    let (limits, closes, queue_peak) = (limit_counters(), close_counters(), Peak::default());
                    let webhooks = webhook_counters();
                    tell_of_the_build();
                    let handles = Handles {
                        exporter,
                        is_shown,
                        limits,
                        closes,
                        webhooks,
                        queue_peak,
                        $($field: metrics!(@make $kind $name),)*
                    };
                    Metrics(Arc::new(handles))
                })
            }

            /// Everything in the Prometheus text format.
            pub fn render(&self) -> String {
                $(metrics!(@show self.$field, $kind);)*
                self.0.limits.iter().chain(&self.0.closes).chain(&self.0.webhooks).for_each(Counter::show);
                let mut text = self.0.exporter.render();
                $(metrics!(@write text, self.$field, $kind $name $text);)*
                text
            }
        }
    };
    (@type counter) => { Counter };
    (@type gauge) => { Gauge };
    (@type histogram) => { Histogram };
    (@make counter $name:literal) => { Counter::new(counter!($name)) };
    (@make gauge $name:literal) => { Gauge::new(gauge!($name)) };
    (@make histogram $name:literal) => { Histogram::default() };
    (@describe counter $name:literal $text:literal) => { describe_counter!($name, $text) };
    (@describe gauge $name:literal $text:literal) => { describe_gauge!($name, $text) };
    (@describe histogram $name:literal $text:literal) => {};
    (@show $self:ident.$field:ident, histogram) => {};
    (@show $self:ident.$field:ident, $kind:ident) => { $self.0.$field.show() };
    (@write $out:ident, $self:ident.$field:ident, histogram $name:literal $text:literal) => {
        $self.0.$field.write($name, $text, &mut $out)
    };
    (@write $out:ident, $self:ident.$field:ident, $kind:ident $name:literal $text:literal) => {};
}

metrics! {
    gauge connections "folkmoot_connections" "Connections that are open now."
    gauge users "folkmoot_users" "Users who have a connection now."
    gauge groups "folkmoot_groups" "Groups that have a member or are declared."
    counter connections_opened "folkmoot_connections_opened_total" "Connections that were accepted."
    counter connections_closed "folkmoot_connections_closed_total" "Connections that ended, however."
    gauge suspended "folkmoot_connections_suspended" "Reliable connections that wait for their peer to come back; they count as open."
    counter recoveries "folkmoot_recoveries_total" "Reliable connections that have gone on by another socket."
    counter recoveries_refused "folkmoot_recoveries_refused_total" "Attempts to go on with a reliable connection that were refused."
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
    counter key_refreshes "folkmoot_key_set_refreshes_total" "Times that the keys of an issuer of tokens were asked for, in vain or not."
    counter key_refresh_failures "folkmoot_key_set_refresh_failures_total" "Times that they were asked for in vain."
    gauge key_sets_stale "folkmoot_key_sets_stale" "Issuers whose keys were last asked for in vain; those that are known count on."
    gauge outbound_queue_high "folkmoot_outbound_queue_high_bytes" "Bytes that waited for one connection, at the most in the last minute."
    histogram delivery "folkmoot_delivery_seconds" "From a message that is let in to the end of the turn in which a worker has written it: one observation for each worker that has a receiver."
    histogram registry_lag "folkmoot_registry_lag_seconds" "How long a message waited for its hub, asked of each hub once a second."
    histogram fanout_lag "folkmoot_fanout_lag_seconds" "How long a message waited for its worker, asked of each worker once a second."
    gauge hook_queue "folkmoot_hook_queue_events" "Events that hooks and announcements have not been told yet."
    gauge database_in_use "folkmoot_database_connections_in_use" "Connections to the user store's database that somebody uses."
    gauge database_idle "folkmoot_database_connections_idle" "Connections to the user store's database that nobody uses."
    gauge start_time "process_start_time_seconds" "When the server started, in seconds since 1970."
    counter tls_handshake_failures "folkmoot_tls_handshake_failures_total" "TLS handshakes that failed, took too long or were given up for others."
    counter hook_failures "folkmoot_hook_failures_total" "Hook calls that panicked, were late or were not made because the queue was full."
    gauge webhook_backlog "folkmoot_webhook_backlog_events" "Events that webhooks have not been told yet."
    counter webhook_retries "folkmoot_webhook_retries_total" "Requests to webhooks that were sent again."
    counter webhook_dropped "folkmoot_webhook_dropped_total" "What webhooks were not told or asked: too much waited for them, or they did not answer."
    histogram webhook_seconds "folkmoot_webhook_seconds" "How long webhooks took to answer, or not to."
}

fn limit_counters() -> [Counter; Limit::ALL.len()] {
    const NAME: &str = "folkmoot_limits_reached_total";
    describe_counter!(NAME, "What clients were refused, or ended for, because of a limit, by the limit.");
    Limit::ALL.map(|limit| Counter::new(counter!(NAME, "limit" => limit.name())))
}

fn webhook_counters() -> [Counter; WebhookOutcome::ALL.len()] {
    const NAME: &str = "folkmoot_webhook_requests_total";
    describe_counter!(NAME, "Requests to webhooks, by outcome: accepted (2xx), refused (another status), failed.");
    WebhookOutcome::ALL.map(|outcome| Counter::new(counter!(NAME, "outcome" => outcome.name())))
}

fn close_counters() -> [Counter; DisconnectKind::ALL.len()] {
    const NAME: &str = "folkmoot_closes_total";
    describe_counter!(NAME, "Connections that ended, by close code and reason; 1006 are those that broke.");
    DisconnectKind::ALL.map(|kind| {
        let code = kind.close_code().to_string();
        Counter::new(counter!(NAME, "code" => code, "reason" => kind.name()))
    })
}

fn tell_of_the_build() {
    const NAME: &str = "folkmoot_build_info";
    describe_gauge!(NAME, "Always 1; which version this is stands in the label.");
    gauge!(NAME, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

impl Metrics {
    /// A new set of counters, all at zero, independent of any other server in the process.
    pub fn new() -> Self {
        let metrics = Metrics::made(true);
        metrics.start_time.set(clock::seconds(SystemTime::now()));
        metrics
    }

    /// A set that nobody is shown, for those who watch the server: what they cause must not be what they see.
    pub fn aside() -> Self {
        Metrics::made(false)
    }

    /// Whether what is counted here is shown.
    pub fn is_shown(&self) -> bool {
        self.0.is_shown
    }

    /// Counts that somebody ran into a limit.
    pub fn reached(&self, limit: Limit) {
        if let Some(counter) = self.0.limits.get(limit as usize) {
            counter.increment(1);
        }
    }

    /// Counts a request to a webhook.
    pub fn webhook_answered(&self, outcome: WebhookOutcome) {
        if let Some(counter) = self.0.webhooks.get(outcome as usize) {
            counter.increment(1);
        }
    }

    /// Counts the end of a connection.
    pub fn closed(&self, kind: DisconnectKind) {
        self.connections_closed.increment(1);
        if let Some(counter) = self.0.closes.get(kind as usize) {
            counter.increment(1);
        }
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
    fn every_outcome_of_a_webhook_is_counted_under_its_own_name() {
        let metrics = Metrics::new();
        for outcome in WebhookOutcome::ALL {
            metrics.webhook_answered(outcome);
            let counted = format!("folkmoot_webhook_requests_total{{outcome=\"{}\"}} 1\n", outcome.name());
            assert!(metrics.render().contains(&counted), "{outcome:?} is not counted");
        }
    }

    #[test]
    fn every_end_is_counted_under_its_code_and_reason() {
        let metrics = Metrics::new();
        for kind in DisconnectKind::ALL {
            metrics.closed(kind);
            let labels = format!("code=\"{}\",reason=\"{}\"", kind.close_code(), kind.name());
            let counted = format!("folkmoot_closes_total{{{labels}}} 1\n");
            assert!(metrics.render().contains(&counted), "{kind:?} is not counted");
        }
        assert_eq!(metrics.connections_closed.get(), DisconnectKind::ALL.len() as u64);
    }

    #[test]
    fn two_sets_of_metrics_do_not_mix() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.joins.increment(3);
        one.connections.increment(2);
        assert!(one.render().contains("folkmoot_joins_total 3"));
        assert!(one.render().contains("folkmoot_connections 2"));
        assert!(other.render().contains("folkmoot_joins_total 0"));
    }
}
