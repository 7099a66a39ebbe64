//! The wall clock jumps: somebody sets it, or a virtual machine wakes up.
//!
//! `libfaketime` (Debian package `faketime`) stands between the server and the system's clock.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, basic, http, publish};
use crate::notes::skipped;
use crate::process::{Program, Workplace, eventually};

fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.map_while(Result::ok).map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}

/// A clock that a test sets.
struct Clock<'a> {
    file: PathBuf,
    server: &'a Program,
}

impl Clock<'_> {
    /// Sets it to so many seconds beside the right time, and waits until the server has noticed.
    fn set(&self, seconds: i64) {
        set(&self.file, seconds);
        eventually("the server has another time", || {
            let expires = token(self.server)["expiresAt"].as_i64().unwrap();
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed();
            // `auth.token_ttl` is five minutes.
            (expires - now - 300 - seconds).abs() <= 5
        });
    }
}

/// Replaced as a whole, since it is read all the time.
fn set(file: &Path, seconds: i64) {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn token(server: &Program) -> Value {
    let login = basic("user-2", "password-2");
    let (status, body) = http(server.address, "POST /auth/token", &[("Authorization", &login)], "");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn with_token(server: &Program, token: &Value) -> Result<Client, u16> {
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    Client::try_connect(server.address, &[("Authorization", &bearer)])
}

#[test]
fn a_clock_that_jumps_disconnects_nobody_and_tokens_are_held_to_it_with_leeway() {
    let Some(library) = library() else {
        return skipped("a_clock_that_jumps", "libfaketime is not installed (apt-get install faketime)");
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clock");
    set(&file, 0);
    let workplace = Workplace::demo()
        .env("LD_PRELOAD", library.to_str().unwrap())
        .env("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    let settings =
        ["heartbeat.ping_interval=1s", "heartbeat.pong_timeout=1s", "hubs.declared.chat.announcements.enabled=false"];
    let settings: Vec<_> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let server = workplace.serve(&settings);
    let clock = Clock { file, server: &server };
    let early = token(&server);
    let mut members =
        vec![Client::connect(server.address, "user-1", "password-1"), with_token(&server, &early).unwrap()];
    let mut number = 0;
    let mut all_go_on = || {
        // As long as several heartbeats take.
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            number += 1;
            for member in &mut members {
                assert_eq!(member.ask(publish("nobody", "is here"), number)["success"], true);
            }
        }
    };
    let day = 24 * 60 * 60;
    clock.set(day);
    all_go_on();
    assert_eq!(with_token(&server, &early).err(), Some(401), "it ended long ago");
    let of_tomorrow = token(&server);
    assert!(with_token(&server, &of_tomorrow).is_ok());
    clock.set(-day);
    all_go_on();
    // A token says when it ends, five minutes after it was made; `auth.clock_skew` is thirty seconds.
    clock.set(0);
    all_go_on();
    for (seconds, expected) in [(-20, None), (310, None), (400, Some(401))] {
        let fresh = {
            clock.set(0);
            token(&server)
        };
        clock.set(seconds);
        assert_eq!(with_token(&server, &fresh).err(), expected, "{seconds} s later");
    }
}
