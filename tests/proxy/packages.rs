//! What else is in `packaging/`: the check of a container's health, the unit of systemd.

use std::process::Command;

use crate::notes::skipped;
use crate::process::Workplace;

fn healthcheck(port: u16) -> std::process::Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/healthcheck");
    Command::new("bash").args([script, &port.to_string()]).output().unwrap()
}

#[test]
fn the_health_check_of_the_container_knows_a_ready_server_from_none() {
    let workplace = Workplace::empty();
    let mut server = workplace.serve(&[]);
    let port = server.address.port();
    let healthy = healthcheck(port);
    assert!(healthy.status.success(), "{healthy:?}");
    assert_eq!(String::from_utf8(healthy.stdout).unwrap(), "/ready answers 200\n");
    server.signal("TERM");
    server.wait();
    assert!(!healthcheck(port).status.success());
}

#[test]
fn the_image_starts_the_server_without_demo_users_and_not_as_root() {
    let text = include_str!("../../Dockerfile");
    let last = text.rsplit("\nFROM ").next().unwrap();
    assert!(last.contains("\nUSER folkmoot\n") && last.contains("\nHEALTHCHECK "));
    // The repository's own configuration is the demo.
    assert!(!last.contains("config.yaml ") && !last.contains("COPY config"));
}

#[test]
fn systemd_accepts_the_unit_and_calls_it_hardened() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skipped("systemd_accepts_the_unit_and_calls_it_hardened", "systemd-analyze is not installed");
    }
    let dir = tempfile::tempdir().unwrap();
    let unit = include_str!("../../packaging/folkmoot.service")
        .replace("/usr/local/bin/folkmoot", env!("CARGO_BIN_EXE_folkmoot"));
    let file = dir.path().join("folkmoot.service");
    std::fs::write(&file, unit).unwrap();
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output().unwrap();
    let told = String::from_utf8(verified.stderr).unwrap();
    // It looks at the units around it too; what it says of ours has our name.
    assert!(verified.status.success() && !told.contains("folkmoot.service"), "{told}");
    let security = ["security", "--offline=true", "--threshold=20"];
    let hardened = Command::new("systemd-analyze").args(security).arg(&file).output().unwrap();
    assert!(hardened.status.success(), "{}", String::from_utf8_lossy(&hardened.stdout));
}
