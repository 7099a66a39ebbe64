//! What systemd is told of a server that it started with `Type=notify-reload`.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;

use crate::process::{PATIENCE, Workplace};

/// The socket on which a supervisor listens, and a folder whose programs are told of it.
fn supervised() -> (UnixDatagram, Workplace) {
    let workplace = Workplace::empty();
    let path = workplace.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let workplace = workplace.env("NOTIFY_SOCKET", path.to_str().unwrap());
    (socket, workplace)
}

/// The next thing that the supervisor is told, line by line.
fn told(socket: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 1024];
    let length = loop {
        match socket.recv(&mut buffer) {
            // As the end of a child does (`client::Unshaken`).
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            length => break length.unwrap(),
        }
    };
    String::from_utf8(buffer[..length].to_vec()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_supervisor_is_told_of_the_start_of_reloads_and_of_the_end() {
    let (socket, workplace) = supervised();
    let mut server = workplace.serve(&[]);
    assert_eq!(told(&socket), ["READY=1"]);

    server.signal("HUP");
    let reloading = told(&socket);
    assert_eq!(reloading[0], "RELOADING=1");
    let time = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(time.parse::<u64>().unwrap() > 0);
    assert_eq!(told(&socket), ["READY=1", "STATUS="]);

    server.signal("TERM");
    assert_eq!(told(&socket), ["STOPPING=1"]);
    assert!(server.wait().success());
}

#[test]
fn a_reload_that_is_refused_is_over_too() {
    let (socket, workplace) = supervised();
    let server = workplace.serve(&[]);
    assert_eq!(told(&socket), ["READY=1"]);

    std::fs::write(workplace.path().join("config.yaml"), "serve: {}\n").unwrap();
    server.signal("HUP");
    assert_eq!(told(&socket)[0], "RELOADING=1");
    let refused = "STATUS=The last reload was refused (the log says why); what was before goes on";
    assert_eq!(told(&socket), ["READY=1", refused]);
    server.wait_for("nothing is changed");

    std::fs::write(workplace.path().join("config.yaml"), "").unwrap();
    server.signal("HUP");
    assert_eq!(told(&socket)[0], "RELOADING=1");
    assert_eq!(told(&socket), ["READY=1", "STATUS="]);
}

#[test]
fn a_supervisor_that_is_gone_stops_nobody() {
    let (socket, workplace) = supervised();
    drop(socket);
    let mut server = workplace.serve(&[]);
    server.wait_for("the supervisor cannot be told");
    server.signal("TERM");
    assert!(server.wait().success());
}
