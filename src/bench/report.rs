//! What a run found, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::histogram::Histogram;
use super::publishing::Outcome;
use super::tally::Tally;

/// What a run found. Absent is what the scenario does not measure, or could not.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Which scenario it was.
    pub scenario: &'static str,
    /// Whom it was against.
    pub target: String,
    /// How many connections there were, publishers that are no members not counted.
    pub members: usize,
    /// How many groups they were in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
    /// What was asked for was not done to the end.
    pub interrupted: bool,
    /// What was published and delivered.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// How the connections came.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub connects: Option<Connects>,
    /// The server's memory.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// What belongs to one scenario alone.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
    /// Time of processors that the server used while it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu_seconds: Option<f64>,
    /// The same of this program: near one per thread, it was this program that set the pace.
    pub generator_cpu_seconds: f64,
    /// How long the measurement took.
    pub seconds: f64,
    /// Connections that ended before we ended them.
    pub lost_connections: u64,
    /// Why the first of them did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_because: Option<String>,
}

/// What was published and delivered.
#[derive(Debug, Serialize)]
pub struct Traffic {
    /// Bytes of a message's text.
    pub payload_bytes: usize,
    /// Messages that were sent.
    pub published: u64,
    /// Messages that came, one for each member that a message was for.
    pub deliveries: u64,
    /// Messages that never came.
    pub missing: u64,
    /// Messages that came out of order or twice, as far as was looked at.
    pub order_errors: u64,
    /// Deliveries in a second.
    pub deliveries_per_second: f64,
    /// Deliveries for each second of processor that the server used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliveries_per_server_cpu_second: Option<f64>,
    /// From publish to delivery.
    pub latency_ms: Quantiles,
}

/// How the connections came.
#[derive(Debug, Serialize)]
pub struct Connects {
    /// Connections in a second.
    pub connects_per_second: f64,
    /// Connections for each second of processor that the server used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connects_per_server_cpu_second: Option<f64>,
    /// From the first packet to the ack of the join.
    pub connect_ms: Quantiles,
}

/// The server's resident memory.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Before there was a connection.
    pub server_bytes_before: u64,
    /// With all connections idle.
    pub server_bytes_idle: u64,
    /// The difference, for each connection.
    pub bytes_per_connection: u64,
    /// The same after the messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_connection_after_traffic: Option<u64>,
    /// What the server used of a processor while nothing was asked of it.
    pub idle_cpu_percent: f64,
}

/// Times that a share of all did not exceed, in milliseconds.
#[derive(Debug, Default, Serialize)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// All but one of a hundred.
    pub p99: f64,
    /// All.
    pub max: f64,
}

impl From<&Histogram> for Quantiles {
    fn from(times: &Histogram) -> Self {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| milliseconds(times.quantile(share)));
        Quantiles { p50, p90, p99, max: milliseconds(times.max()) }
    }
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// How many in a second of processor, rounded; nothing where it was too little for a clock of 10 ms.
pub(super) fn per_second(count: u64, time: Duration) -> Option<f64> {
    (time >= Duration::from_millis(50)).then(|| (count as f64 / time.as_secs_f64()).round())
}

impl Report {
    /// Notes what became of the messages.
    pub(super) fn note(&mut self, outcome: &Outcome, payload_bytes: usize, tally: &Tally) {
        self.traffic = Some(Traffic {
            payload_bytes,
            published: outcome.published,
            deliveries: outcome.deliveries,
            missing: outcome.missing,
            order_errors: tally.order_errors(),
            deliveries_per_second: (outcome.deliveries as f64 / outcome.took.as_secs_f64().max(1e-6)).round(),
            deliveries_per_server_cpu_second: outcome.server_cpu.and_then(|cpu| per_second(outcome.deliveries, cpu)),
            latency_ms: Quantiles::from(&tally.latency),
        });
        self.seconds = outcome.took.as_secs_f64();
        self.server_cpu_seconds = outcome.server_cpu.map(|cpu| cpu.as_secs_f64());
        self.generator_cpu_seconds = outcome.own_cpu.as_secs_f64();
    }

    /// Notes what became of the connections. The last thing before they are sent home.
    pub(super) fn note_losses(&mut self, tally: &Tally) {
        self.lost_connections = tally.lost();
        self.lost_because = tally.first_loss().map(str::to_owned);
    }

    /// What the server must not have done; empty when all is well.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(Traffic { missing, order_errors, .. }) = self.traffic {
            if missing > 0 {
                faults.push(format!("{missing} deliveries never came"));
            }
            if order_errors > 0 {
                faults.push(format!("{order_errors} messages came out of order"));
            }
        }
        if self.lost_connections > 0 {
            let why = self.lost_because.as_deref().unwrap_or("nobody knows why");
            faults.push(format!("{} connections were lost (the first: {why})", self.lost_connections));
        }
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups.map(|groups| format!(" in {}", counted(groups as u64, "group"))).unwrap_or_default();
        writeln!(f, "{}: {}{groups} at {}", self.scenario, counted(self.members as u64, "member"), self.target)?;
        if self.interrupted {
            writeln!(f, "  interrupted; this is what there was until then")?;
        }
        if let Some(traffic) = &self.traffic {
            row(f, "published", format!("{} messages of {} bytes", grouped(traffic.published), traffic.payload_bytes))?;
            let share = format!("{} in {:.1} s", grouped(traffic.deliveries), self.seconds);
            row(f, "deliveries", format!("{share}, {} a second", grouped(traffic.deliveries_per_second as u64)))?;
            row(f, "latency", &traffic.latency_ms)?;
        }
        if let Some(connects) = &self.connects {
            row(f, "connects", format!("{} a second", grouped(connects.connects_per_second as u64)))?;
            row(f, "connect and join", &connects.connect_ms)?;
        }
        if let Some(memory) = &self.memory {
            memory.fmt(f)?;
        }
        for (name, value) in &self.more {
            row(f, &name.replace('_', " "), value)?;
        }
        if let Some(cpu) = self.server_cpu_seconds {
            let each = |name: &str, of: Option<f64>| of.map(|of| format!(", {} {name} for each", grouped(of as u64)));
            let deliveries = self.traffic.as_ref().and_then(|traffic| traffic.deliveries_per_server_cpu_second);
            let connects = self.connects.as_ref().and_then(|connects| connects.connects_per_server_cpu_second);
            let each = each("deliveries", deliveries).or(each("connects", connects)).unwrap_or_default();
            row(f, "server", format!("{cpu:.2} CPU-seconds{each}"))?;
        }
        row(f, "this program", format!("{:.2} CPU-seconds", self.generator_cpu_seconds))?;
        match &self.faults()[..] {
            [] => row(f, "checks", "nothing missing, nothing out of order, no connection lost"),
            faults => row(f, "FAILED", faults.join("; ")),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        let (before, idle) = (mib(self.server_bytes_before), mib(self.server_bytes_idle));
        row(f, "server memory", format!("{before} before, {idle} with all connections idle"))?;
        row(f, "a connection", format!("{} bytes", grouped(self.bytes_per_connection)))?;
        if let Some(after) = self.bytes_per_connection_after_traffic {
            row(f, "after traffic", format!("{} bytes", grouped(after)))?;
        }
        row(f, "idle", format!("{:.2} % of a processor", self.idle_cpu_percent))
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quantiles { p50, p90, p99, max } = self;
        write!(f, "p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, longest {max:.1} ms")
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:20} {value}")
}

fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A number with its thousands told apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn each_kind_of_fault_is_told_and_none_where_there_is_none() {
        let mut report = Report::default();
        assert!(report.faults().is_empty());
        let tally = Tally::new(1);
        tally.lose("closed with 1008: slow consumer".to_owned());
        let outcome = Outcome { published: 2, deliveries: 1, missing: 1, ..Outcome::default() };
        report.note(&outcome, 128, &tally);
        report.note_losses(&tally);
        let said = report.to_string();
        assert!(said.contains("FAILED") && said.contains("1 deliveries never came"), "{said}");
        assert!(said.contains("1 connections were lost (the first: closed with 1008: slow consumer)"), "{said}");
    }
}
