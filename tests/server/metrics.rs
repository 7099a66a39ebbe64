//! `/metrics`, read by a parser of Prometheus: names, units, texts, and that each figure moves when its thing happens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use folkmoot::{Hooks, Hub, Joined, Left, Server, User};
use prometheus_parse::{Scrape, Value};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::support::{DEADLINE, Setup, TestServer, on_both_transports};

on_both_transports! {
    ends_are_counted_by_code_and_reason,
    users_are_counted_once_however_many_connections_they_have,
    a_delivery_is_observed_once_for_each_message_and_worker,
    what_waits_for_one_connection_is_told_until_a_minute_later,
}

async fn scrape(server: &TestServer) -> Scrape {
    let body = server.http("GET", "/metrics", &[], "").await.body;
    Scrape::parse(body.lines().map(|line| Ok(line.to_owned()))).unwrap()
}

/// The metric that a sample belongs to: a histogram has two further samples.
fn family(name: &str) -> &str {
    let part = ["_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
    part.filter(|family| family.ends_with("_seconds")).unwrap_or(name)
}

#[tokio::test]
async fn every_metric_has_a_text_a_type_a_name_with_its_unit_and_a_closed_set_of_labels() {
    let server = Setup::new().start().await;
    let scrape = scrape(&server).await;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let mut names = BTreeSet::new();
    for sample in &scrape.samples {
        let name = family(&sample.metric);
        names.insert(name.to_owned());
        assert!(scrape.docs.get(name).is_some_and(|text| text.ends_with('.')), "{name} has no text");
        assert!(name.starts_with("folkmoot_") || name == "process_start_time_seconds", "{name}");
        assert!(!["_ms", "_milliseconds", "_kb", "_percent"].iter().any(|unit| name.ends_with(unit)), "{name}");
        let kind = match &sample.value {
            Value::Counter(_) => "counter",
            Value::Gauge(_) => "gauge",
            Value::Histogram(buckets) => {
                assert!(buckets.last().is_some_and(|last| last.less_than.is_infinite()), "{name}");
                assert!(buckets.is_sorted_by(|a, b| a.less_than < b.less_than && a.count <= b.count), "{name}");
                "histogram"
            }
            Value::Untyped(_) if sample.metric != name => "histogram",
            other => panic!("{name} has no type: {other:?}"),
        };
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        assert_eq!(kind == "histogram", page.contains(&format!("| `{name}` | histogram")), "{name}");
        let labels: BTreeSet<_> = sample.labels.keys().map(String::as_str).collect();
        let expected: &[&str] = match name {
            "folkmoot_limits_reached_total" => &["limit"],
            "folkmoot_closes_total" => &["code", "reason"],
            "folkmoot_build_info" => &["version"],
            "folkmoot_webhook_requests_total" => &["outcome"],
            // Nothing is counted by user or by group.
            _ => &[],
        };
        assert_eq!(labels, expected.iter().copied().collect(), "{name}");
        assert!(page.contains(&format!("| `{name}` | {kind} |")), "docs/metrics.md lacks {name}, a {kind}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `folkmoot_") || line.starts_with("| `process_"));
    assert_eq!(rows.count(), names.len(), "docs/metrics.md has a metric that does not exist, or one twice");
}

#[tokio::test]
async fn the_build_and_the_start_are_told() {
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let server = Setup::new().start().await;
    let build = format!("folkmoot_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(server.metric(&build).await, 1.0);
    let start = server.metric("process_start_time_seconds").await;
    assert!(start >= before as f64 && start < before as f64 + 3600.0, "{start} and not {before}");
}

async fn ends_are_counted_by_code_and_reason(setup: Setup) {
    let server = setup.start().await;
    server.demo(1).await.close(Some(1000)).await;
    let mut broken = server.demo(2).await;
    broken.send_text("no JSON").await;
    server.demo(3).await.abort();
    for labels in [
        r#"code="1000",reason="closed by client""#,
        r#"code="1007",reason="invalid data""#,
        r#"code="1006",reason="lost""#,
    ] {
        server.metric_becomes(&format!("folkmoot_closes_total{{{labels}}}"), 1.0).await;
    }
    server.metric_becomes("folkmoot_connections_closed_total", 3.0).await;
    assert_eq!(server.metric(r#"folkmoot_closes_total{code="1008",reason="kicked"}"#).await, 0.0);
}

async fn users_are_counted_once_however_many_connections_they_have(setup: Setup) {
    let server = setup.start().await;
    let (mut first, mut second, mut anna) = (server.demo(1).await, server.demo(1).await, server.demo(2).await);
    server.metric_becomes("folkmoot_users", 2.0).await;
    first.close(Some(1000)).await;
    anna.close(Some(1000)).await;
    server.metric_becomes("folkmoot_users", 1.0).await;
    second.close(Some(1000)).await;
    server.metric_becomes("folkmoot_users", 0.0).await;
}

async fn a_delivery_is_observed_once_for_each_message_and_worker(setup: Setup) {
    let server = setup.config(|config| config.server.workers = 1).start().await;
    let mut members = Vec::new();
    for _ in 0..5 {
        let mut member = server.demo(1).await;
        member.join("all").await;
        members.push(member);
    }
    assert_eq!(server.metric("folkmoot_delivery_seconds_count").await, 0.0);
    for number in 0..3 {
        members[0].publish("all", &number.to_string()).await;
    }
    // The mounted server has two workers, whatever the configuration says.
    server.run(|_| ()).await;
    let observed = timeout(DEADLINE, async {
        loop {
            let observed = server.metric("folkmoot_delivery_seconds_count").await;
            if observed >= 3.0 {
                return observed;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let observed = observed.await.expect("the deliveries are not observed");
    assert!(observed <= 6.0, "{observed} for 3 messages on at most 2 workers");
    let sum = server.metric("folkmoot_delivery_seconds_sum").await;
    assert!(sum > 0.0 && sum < 3.0 * DEADLINE.as_secs_f64(), "{sum}");
}

async fn what_waits_for_one_connection_is_told_until_a_minute_later(setup: Setup) {
    let setup = setup.config(|config| {
        config.limits.max_frame_bytes = 1 << 18;
        config.limits.max_message_bytes = 1 << 18;
        config.limits.outbound_bytes = 1 << 20;
        config.limits.bytes_per_second = 1 << 34;
        config.limits.messages_per_second = 1 << 20;
    });
    let server = setup.start().await;
    let (mut talker, mut stuck) = (server.demo(1).await, server.demo(2).await);
    stuck.join("loud").await;
    let message = "x".repeat(60_000);
    let slow = r#"folkmoot_closes_total{code="1008",reason="slow consumer"}"#;
    let flooded = timeout(DEADLINE, async {
        while server.metric(slow).await == 0.0 {
            talker.publish("loud", &message).await;
        }
    });
    flooded.await.expect("who does not read is never too slow");
    assert_eq!(server.metric("folkmoot_slow_consumers_total").await, 1.0);
    let told = timeout(DEADLINE, async {
        loop {
            let high = server.metric("folkmoot_outbound_queue_high_bytes").await;
            // An earlier sample may have seen the beginning of it.
            if high > (1 << 19) as f64 {
                return high;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let high = told.await.expect("the queue is not told");
    assert!(high <= (1 << 20) as f64, "{high}");
    talker.close(Some(1000)).await;
}

#[tokio::test]
async fn hubs_and_workers_tell_how_long_a_message_waits_and_the_store_its_connections() {
    let server = Setup::new().start().await;
    let mut mark = server.demo(1).await;
    let told = timeout(DEADLINE, async {
        for name in [
            "folkmoot_registry_lag_seconds_count",
            "folkmoot_fanout_lag_seconds_count",
            "folkmoot_database_connections_idle",
        ] {
            while server.metric(name).await == 0.0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    told.await.expect("something is not told");
    assert!(server.metric("folkmoot_registry_lag_seconds_sum").await < DEADLINE.as_secs_f64());
    mark.ask_ok(json!({"type": "listGroups"})).await;
}

/// Waits until it may go on when it is told of a join, and fails when it is told of a leave.
struct Hesitant(Arc<Semaphore>);

impl Hooks<User> for Hesitant {
    async fn client_added(&self, _: &Hub<User>, _: &Joined<User>) {
        let _ = self.0.acquire().await;
    }

    async fn client_removed(&self, _: &Hub<User>, _: &Left<User>) {
        panic!("a hook that fails");
    }
}

#[tokio::test]
async fn what_hooks_have_not_been_told_is_counted_and_so_are_their_failures() {
    let may_go_on = Arc::new(Semaphore::new(0));
    let hesitant = Hesitant(may_go_on.clone());
    let setup = Setup::new().config(|config| {
        config.limits.handshake_timeout = Duration::from_secs(60);
        config.hooks.timeout = Duration::from_secs(60);
    });
    let server = setup.start_with(|config| Server::new(config).hooks(hesitant)).await;
    let mut mark = server.demo(1).await;
    for group in ["a", "b", "c"] {
        mark.join(group).await;
    }
    let joins = server.metric("folkmoot_joins_total").await;
    // The first is under way.
    server.metric_becomes("folkmoot_hook_queue_events", joins - 1.0).await;
    may_go_on.add_permits(100);
    server.metric_becomes("folkmoot_hook_queue_events", 0.0).await;
    assert_eq!(server.metric("folkmoot_hook_failures_total").await, 0.0);
    mark.leave("a").await;
    server.metric_becomes("folkmoot_hook_failures_total", 1.0).await;
}
