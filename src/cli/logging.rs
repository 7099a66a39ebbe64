//! Log lines on standard error: time (UTC), level, module, message, then the fields as `key=value`; or the same as JSON.
//!
//! What a client chose (a login, a group) can be in a field, so nothing in a line can break it or imitate another.

mod json;

use std::fmt::{self, Display, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use env_logger::Builder;
use log::kv::{self, Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::text::is_unprintable;
use crate::config::{LogConfig, LogFormat};

/// How much of our own is logged where `RUST_LOG` does not say it; a reload may change it.
static LEVEL: AtomicUsize = AtomicUsize::new(LevelFilter::Info as usize);

/// Turns logging on. `RUST_LOG`, where set, wins over the level; a second call changes nothing but that.
pub(super) fn init(config: &LogConfig) {
    let mut builder = Builder::new();
    let filters = std::env::var("RUST_LOG").ok().filter(|filters| !filters.trim().is_empty());
    match &filters {
        Some(filters) => builder.parse_filters(filters),
        // What is left out is decided by `Sparing`.
        None => builder.filter_level(LevelFilter::Trace),
    };
    let follows_level = filters.is_none();
    let as_json = is_json(config.format, io::stderr().is_terminal());
    builder.format(move |out, record| {
        if as_json {
            let time = out.timestamp_millis();
            return json::write_line(out, time, record);
        }
        let (time, style) = (out.timestamp_millis(), out.default_level_style(record.level()));
        write_line(out, time, format_args!("{style}{:<5}{style:#}", record.level()), record)
    });
    let logger = builder.build();
    let most = logger.filter();
    // Fails where a logger is installed already, which then keeps its job.
    if log::set_boxed_logger(Box::new(Sparing { logger, follows_level, accept_failed: Mutex::default() })).is_ok() {
        log::set_max_level(most);
    }
    if follows_level {
        set_level(config.level);
    }
}

/// What a terminal shows is read by people; everything else is collected by programs.
fn is_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}

/// Logs this much from now on, unless `RUST_LOG` says it.
pub(super) fn set_level(level: LevelFilter) {
    LEVEL.store(level as usize, Ordering::Relaxed);
    if std::env::var_os("RUST_LOG").is_none_or(|filters| filters.is_empty()) {
        log::set_max_level(level);
    }
}

/// Whether something of this level and module is logged at `level`. The libraries below us tell at `info` what they are
/// doing, which tells an operator nothing.
fn is_logged(metadata: &Metadata<'_>, level: usize) -> bool {
    let ours = metadata.target() == "folkmoot" || metadata.target().starts_with("folkmoot::");
    let most = match metadata.target() {
        _ if ours => level,
        REQUESTS if level < LevelFilter::Debug as usize => LevelFilter::Off as usize,
        _ => level.min(LevelFilter::Warn as usize),
    };
    metadata.level() as usize <= most
}

/// Which module calls each request that is malformed an error. It is its sender's, and anybody can send thousands.
const REQUESTS: &str = "actix_http::h1::dispatcher";

/// Which module complains of connections that cannot be accepted.
const ACCEPT: &str = "actix_server::accept";
/// How often it is heard. While the process has no descriptors left, it complains twice a second.
const ACCEPT_INTERVAL: Duration = Duration::from_secs(60);

/// A logger that is told some things again and again, and writes them once in a while.
struct Sparing<L> {
    logger: L,
    follows_level: bool,
    accept_failed: Mutex<Option<Instant>>,
}

impl<L> Sparing<L> {
    fn is_repeated(&self, record: &Record<'_>, now: Instant) -> bool {
        if record.target() != ACCEPT || record.level() > Level::Warn {
            return false;
        }
        let mut last = self.accept_failed.lock().unwrap_or_else(PoisonError::into_inner);
        let repeated = last.is_some_and(|last| now.saturating_duration_since(last) < ACCEPT_INTERVAL);
        if !repeated {
            *last = Some(now);
        }
        repeated
    }
}

impl<L: Log> Log for Sparing<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        (!self.follows_level || is_logged(metadata, LEVEL.load(Ordering::Relaxed))) && self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) && !self.is_repeated(record, Instant::now()) {
            self.logger.log(record);
        }
    }

    fn flush(&self) {
        self.logger.flush();
    }
}

fn write_line(out: &mut impl Write, time: impl Display, level: impl Display, record: &Record<'_>) -> io::Result<()> {
    let mut line = String::new();
    let written = write!(line, "{time} {level} {} ", record.target())
        .and_then(|()| write!(Escaped { out: &mut line, is_value: false }, "{}", record.args()))
        .is_ok()
        && record.key_values().visit(&mut Fields(&mut line)).is_ok();
    if !written {
        // A value's own `Display` failed; what there is of the line is still worth reading.
        line.push_str(" …");
    }
    line.push('\n');
    out.write_all(line.as_bytes())
}

/// Writes what could steer a terminal (line ends, control sequences, turns of direction) as escapes.
///
/// In a value the backslash too: before a quote of the value's own, it would make that quote the end of the value.
struct Escaped<'a> {
    out: &'a mut String,
    is_value: bool,
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if is_unprintable(c) || (self.is_value && c == '\\') {
                write!(self.out, "{}", c.escape_default())?
            } else {
                self.out.push(c)
            }
        }
        Ok(())
    }
}

/// Appends ` key=value`, the value in quotes where it would otherwise not end where it seems to.
struct Fields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut text = String::new();
        write!(Escaped { out: &mut text, is_value: true }, "{value}")?;
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || matches!(c, '=' | '"')) {
            write!(self.0, " {key}=\"{}\"", text.replace('"', "\\\""))?;
        } else {
            write!(self.0, " {key}={text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, fields: &[(&str, &str)]) -> String {
        let mut out = Vec::new();
        let mut record = Record::builder();
        record.target("folkmoot::session").key_values(&fields);
        write_line(&mut out, "2026-11-23T04:06:14Z", "INFO", &record.args(format_args!("{message}")).build()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_stand_behind_the_message() {
        assert_eq!(
            line("connected", &[("connection.id", "0af3"), ("group.name", "sales/europe")]),
            "2026-11-23T04:06:14Z INFO folkmoot::session connected connection.id=0af3 group.name=sales/europe\n"
        );
    }

    #[test]
    fn people_at_a_terminal_read_text_and_programs_json() {
        assert!(is_json(LogFormat::Auto, false) && !is_json(LogFormat::Auto, true));
        assert!(is_json(LogFormat::Json, true) && !is_json(LogFormat::Text, false));
    }

    #[test]
    fn what_the_accepting_thread_complains_of_is_told_once_in_a_while() {
        let sparing = Sparing { logger: (), follows_level: false, accept_failed: Mutex::default() };
        let error = |target| Record::builder().target(target).level(Level::Error).build();
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        assert!(!sparing.is_repeated(&error(ACCEPT), start));
        assert!(sparing.is_repeated(&error(ACCEPT), start + second));
        assert!(!sparing.is_repeated(&error("folkmoot::session"), start + second));
        assert!(!sparing.is_repeated(&error("folkmoot::session"), start + second));
        assert!(!sparing.is_repeated(&error(ACCEPT), start + ACCEPT_INTERVAL));
    }

    #[test]
    fn libraries_are_heard_from_warnings_on_and_our_own_as_the_level_says() {
        let of = |target, level| Metadata::builder().target(target).level(level).build();
        let debug = LevelFilter::Debug as usize;
        assert!(is_logged(&of("folkmoot::session", Level::Debug), debug));
        assert!(!is_logged(&of("folkmoot::session", Level::Trace), debug));
        assert!(is_logged(&of("sqlx", Level::Warn), debug) && !is_logged(&of("sqlx", Level::Info), debug));
        assert!(!is_logged(&of("folkmootish", Level::Info), debug));
        assert!(!is_logged(&of("folkmoot", Level::Error), LevelFilter::Off as usize));
        // What strangers send is no error of ours.
        assert!(!is_logged(&of(REQUESTS, Level::Error), LevelFilter::Info as usize));
        assert!(is_logged(&of(REQUESTS, Level::Error), debug));
    }

    #[test]
    fn a_value_cannot_imitate_a_field_or_a_line() {
        let forged = line(
            "refused\n2026 ERROR",
            &[
                ("user.id", "x user.admin=\"1\""),
                ("group.name", "a\n\u{1b}[31mb"),
                ("y", "x\\\" user.admin=1"),
                ("z", "a\u{202e}\u{9b}2J\u{2028}b"),
                ("x", ""),
            ],
        );
        assert_eq!(
            forged,
            "2026-11-23T04:06:14Z INFO folkmoot::session refused\\n2026 ERROR user.id=\"x user.admin=\\\"1\\\"\" \
             group.name=a\\n\\u{1b}[31mb y=\"x\\\\\\\" user.admin=1\" z=a\\u{202e}\\u{9b}2J\\u{2028}b x=\"\"\n"
        );
    }
}
