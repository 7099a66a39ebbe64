//! Ordinary HTTP, close enough to the wire to send what a client library would not.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::DEADLINE;

/// An answer, its body in full.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, status line included.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of a header line, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Reads an answer until the server closes.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Answer {
        let mut bytes = Vec::new();
        timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("the answer does not end").unwrap();
        Answer::parse(&String::from_utf8(bytes).unwrap())
    }

    /// Takes the text of an answer apart.
    pub fn parse(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// Makes a request on a connection of its own and reads the answer.
pub async fn http(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    http_over(TcpStream::connect(address).await.unwrap(), method, path, headers, body).await
}

/// Makes a request on a connection that is open and reads the answer.
pub async fn http_over(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    request += "\r\n";
    request += body;
    exchange(stream, request.as_bytes()).await
}

/// Sends bytes and reads the answer.
pub async fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    exchange(TcpStream::connect(address).await.unwrap(), bytes).await
}

/// The same on a connection that is open.
pub async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> Answer {
    stream.write_all(bytes).await.unwrap();
    Answer::read(&mut stream).await
}
