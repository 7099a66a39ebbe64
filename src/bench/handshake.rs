//! The opening of one connection: a TCP connection, an HTTP request, and the server's answer to it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use super::{BenchError, Target};

/// Most bytes of an answer's head, or of a refusal's words, that are read.
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// Connections from one source address to one server: a machine has about 28,000 ports for them.
const PORTS_OF_AN_ADDRESS: usize = 20_000;

/// The first address that the target's name stands for.
pub async fn resolve(target: &Target) -> Result<SocketAddr, BenchError> {
    let unreachable = |error| BenchError::Unreachable { address: target.to_string(), error };
    let mut found = lookup_host(target.address()).await.map_err(unreachable)?;
    found.next().ok_or_else(|| unreachable(io::Error::other("the name stands for no address")))
}

/// Opens connection `number` (from 0): the stream, and what the server sent behind its answer.
pub async fn open(target: &Target, address: SocketAddr, number: usize) -> Result<(TcpStream, Vec<u8>), BenchError> {
    let unreachable = |error| BenchError::Unreachable { address: address.to_string(), error };
    let mut stream = connect(address, number).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    stream.write_all(target.request()).await.map_err(unreachable)?;
    let mut answer = Vec::with_capacity(512);
    let head = loop {
        if let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n") {
            break end + 4;
        }
        if answer.len() > MAX_ANSWER_BYTES || stream.read_buf(&mut answer).await.map_err(unreachable)? == 0 {
            return Err(BenchError::NotFolkmoot("it does not answer in HTTP".to_owned()));
        }
    };
    let rest = answer.split_off(head);
    let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    match status(&head) {
        Some(101) if head.contains("sec-websocket-protocol:") => Ok((stream, rest)),
        Some(101) => Err(BenchError::NotFolkmoot("it does not speak json.webpubsub.azure.v1".to_owned())),
        Some(status) => {
            let detail = refusal(&mut stream, rest).await;
            Err(BenchError::Refused { number: number + 1, status, detail })
        }
        None => Err(BenchError::NotFolkmoot("it does not answer in HTTP".to_owned())),
    }
}

/// From another loopback address where one would run out of ports.
async fn connect(address: SocketAddr, number: usize) -> io::Result<TcpStream> {
    match (address, u8::try_from(number / PORTS_OF_AN_ADDRESS)) {
        (SocketAddr::V4(v4), Ok(nth @ 1..=200)) if v4.ip().is_loopback() => {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 1, nth)), 0))?;
            socket.connect(address).await
        }
        _ => TcpStream::connect(address).await,
    }
}

fn status(head: &str) -> Option<u16> {
    head.strip_prefix("http/1.1 ")?.get(..3)?.parse().ok()
}

/// The server's own words, out of its problem document.
async fn refusal(stream: &mut TcpStream, mut body: Vec<u8>) -> String {
    loop {
        if let Ok(problem) = serde_json::from_slice::<Value>(&body) {
            let words = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or("no reason is given");
            // What is to be done follows as the next sentence.
            return words.trim_end_matches('.').to_owned();
        }
        if body.len() > MAX_ANSWER_BYTES || !matches!(stream.read_buf(&mut body).await, Ok(1..)) {
            return "no reason is given".to_owned();
        }
    }
}
