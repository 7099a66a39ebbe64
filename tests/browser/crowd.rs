//! Thousands of connections that do nothing but be there: a socket each, and no thread. They come with tokens of their
//! own, which put them into their groups.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::client::Unshaken;
use super::process::PATIENCE;
use super::token::Token;

/// Who connect at the same time.
const THREADS: usize = 8;
/// Where nearly everybody is.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Somebody of a crowd.
pub struct Person {
    /// The user.
    pub user: String,
    /// The groups to be put into.
    pub groups: Vec<String>,
    /// From where they come.
    pub address: IpAddr,
}

impl Person {
    /// Somebody of this machine.
    pub fn new(user: impl Into<String>, groups: Vec<String>) -> Self {
        Person { user: user.into(), groups, address: HERE }
    }

    /// Connects to the hub `chat` and waits for the greeting.
    pub fn connect(&self, server: SocketAddr) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if self.address != HERE {
            socket.bind(&SocketAddr::new(self.address, 0).into()).unwrap();
        }
        socket.connect(&server.into()).unwrap();
        let mut stream = Unshaken(socket.into());
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let audience = format!("http://{server}/client/hubs/chat");
        let token =
            Token::new(&audience).claim("sub", self.user.as_str()).claim("webpubsub.group", self.groups.clone());
        let request = format!(
            "GET /client/hubs/chat HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {token}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let (mut heard, mut part) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&heard).contains("\"connected\"") {
            let length = stream.read(&mut part).unwrap();
            assert!(length > 0, "refused: {}", String::from_utf8_lossy(&heard));
            heard.extend_from_slice(&part[..length]);
        }
        stream.0
    }
}

/// How many connections there may be at the most with what the system lends this process, and the server another time.
pub fn most_connections() -> usize {
    // Other tests of this process have some open too, and so has the server.
    rlimit::increase_nofile_limit(u64::MAX).unwrap().saturating_sub(1000) as usize
}

/// Connects a crowd; they are there until dropped.
pub fn gather(server: SocketAddr, count: usize, person: impl Fn(usize) -> Person + Sync) -> Vec<TcpStream> {
    let (next, crowd) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let number = next.fetch_add(1, Ordering::Relaxed)
                    && number < count
                {
                    let stream = person(number).connect(server);
                    crowd.lock().unwrap().push(stream);
                }
            });
        }
    });
    crowd.into_inner().unwrap()
}

/// People who come and go as fast as they are let, until dropped.
pub struct Bustle {
    is_over: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Bustle {
    /// Each person comes, joins nothing besides their groups, and goes; `pause` lies between two of a thread.
    pub fn begin(
        server: SocketAddr,
        pause: Duration,
        person: impl Fn(usize) -> Person + Send + Sync + 'static,
    ) -> Self {
        let (is_over, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let person = Arc::new(person);
        let threads = (0..THREADS / 2).map(|_| {
            let (is_over, rounds, person) = (is_over.clone(), rounds.clone(), person.clone());
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    drop(person(rounds.fetch_add(1, Ordering::Relaxed)).connect(server));
                    thread::sleep(pause);
                }
            })
        });
        let threads = threads.collect();
        Bustle { is_over, rounds, threads }
    }

    /// How many have come so far.
    pub fn rounds(&self) -> usize {
        self.rounds.load(Ordering::Relaxed)
    }
}

impl Drop for Bustle {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let failed = thread.join().is_err();
            assert!(!failed || thread::panicking(), "somebody who came was refused");
        }
    }
}
