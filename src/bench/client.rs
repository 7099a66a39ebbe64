//! One client: a task that reads, and what others say through it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::acks::Acks;
use super::frames::{self, Kind};
use super::marker::Stamp;
use super::tally::{Sampler, Tally};
use super::{BenchError, Target, handshake};

/// How long an answer may take before the run is given up.
pub const PATIENCE: Duration = Duration::from_secs(60);

thread_local! {
    /// What one read takes at most; shared by all clients of a thread.
    static CHUNK: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// What becomes of the messages that a client hears.
pub enum Hears {
    /// Nothing: publishers, which `*` reaches through groups that the server put them into.
    Nothing,
    /// They are counted.
    Counted,
    /// They are looked at, too.
    Sampled(Sampler),
}

/// The answer to a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ack {
    ack_id: u64,
    success: bool,
    error: Option<AckError>,
}

#[derive(Debug, Deserialize)]
struct AckError {
    name: String,
    message: String,
}

/// A connection that is open.
pub struct Client {
    number: u32,
    /// Marked messages so far.
    sent: AtomicU32,
    stream: TcpStream,
    /// A frame is written whole before the next begins.
    writing: tokio::sync::Mutex<()>,
    next_ack: AtomicU64,
    answers: Mutex<HashMap<u64, oneshot::Sender<Ack>>>,
    /// We want it to end.
    leaving: AtomicBool,
    reader: Mutex<Option<AbortHandle>>,
}

impl Client {
    /// Opens a connection and waits until the server has said `connected`.
    pub async fn connect(
        target: &Target,
        address: SocketAddr,
        number: usize,
        tally: &Arc<Tally>,
        hears: Hears,
    ) -> Result<Arc<Self>, BenchError> {
        let late = |_| BenchError::Late { what: "the answer to a handshake", seconds: PATIENCE.as_secs() };
        let opening = timeout(PATIENCE, handshake::open(target, address, number));
        let (stream, rest) = opening.await.map_err(late)??;
        let client = Arc::new(Client {
            number: number as u32,
            sent: AtomicU32::new(0),
            stream,
            writing: tokio::sync::Mutex::default(),
            next_ack: AtomicU64::new(1),
            answers: Mutex::default(),
            leaving: AtomicBool::new(false),
            reader: Mutex::default(),
        });
        let (greeted, greeting) = oneshot::channel();
        let acks = target.is_reliable().then(Acks::default);
        let ear = Ear { tally: tally.clone(), hears, acks, greeted: Some(greeted) };
        let reader = tokio::spawn(client.clone().read(ear, rest)).abort_handle();
        *client.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader);
        match timeout(PATIENCE, greeting).await.map_err(late)? {
            Ok(()) => Ok(client),
            Err(_) => Err(lost(tally)),
        }
    }

    /// Which of the run's clients it is.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The number of its next marked message.
    pub fn next_number(&self) -> u32 {
        self.sent.fetch_add(1, Ordering::Relaxed)
    }

    /// Joins a group, or a mask.
    pub async fn join(&self, tally: &Tally, group: &str) -> Result<(), BenchError> {
        self.ask(tally, "join a group", |ack| format!(r#"{{"type":"joinGroup","group":"{group}","ackId":{ack}}}"#))
            .await
    }

    /// Publishes a text without a mark, and waits for the ack.
    pub async fn publish_acked(&self, tally: &Tally, group: &str) -> Result<(), BenchError> {
        self.publish_text_acked(tally, group, "hello").await
    }

    /// Publishes a marked text of `len` bytes, and waits for the ack.
    pub async fn publish_marked_acked(&self, tally: &Tally, group: &str, len: usize) -> Result<(), BenchError> {
        let stamp = Stamp { publisher: self.number, number: self.next_number(), at: tally.now() };
        let mut text = Vec::with_capacity(64 + len);
        tally.marker.write(&mut text, stamp, len);
        self.publish_text_acked(tally, group, &String::from_utf8_lossy(&text)).await
    }

    async fn publish_text_acked(&self, tally: &Tally, group: &str, text: &str) -> Result<(), BenchError> {
        self.ask(tally, "send to a group", |ack| {
            format!(
                r#"{{"type":"sendToGroup","group":"{group}","dataType":"text","data":"{text}","noEcho":true,"ackId":{ack}}}"#
            )
        })
        .await
    }

    /// Publishes a text of `len` bytes, for which no ack is asked.
    pub async fn publish(&self, tally: &Tally, group: &str, stamp: Stamp, len: usize) -> io::Result<()> {
        let mut text = Vec::with_capacity(128 + group.len() + len);
        text.extend_from_slice(br#"{"type":"sendToGroup","group":""#);
        text.extend_from_slice(group.as_bytes());
        text.extend_from_slice(br#"","dataType":"text","noEcho":true,"data":""#);
        tally.marker.write(&mut text, stamp, len);
        text.extend_from_slice(b"\"}");
        self.write(Kind::Text, &text).await
    }

    /// Says goodbye, as far as that is possible without waiting, and ends the connection.
    pub fn close(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        let mut frame = Vec::new();
        frames::write(&mut frame, Kind::Close, &1000_u16.to_be_bytes(), [1, 2, 3, 4]);
        let _: io::Result<usize> = self.stream.try_write(&frame);
        if let Some(reader) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            reader.abort();
        }
    }

    async fn ask(&self, tally: &Tally, what: &'static str, text: impl Fn(u64) -> String) -> Result<(), BenchError> {
        let ack_id = self.next_ack.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(ack_id, answered);
        self.write(Kind::Text, text(ack_id).as_bytes()).await.map_err(|_| lost(tally))?;
        let late = |_| BenchError::Late { what: "an ack", seconds: PATIENCE.as_secs() };
        let ack = timeout(PATIENCE, answer).await.map_err(late)?.map_err(|_| lost(tally))?;
        match ack.error {
            _ if ack.success => Ok(()),
            Some(AckError { name, message }) => Err(BenchError::Denied { what, name, message }),
            None => Err(BenchError::NotFolkmoot("an ack of failure names no error".to_owned())),
        }
    }

    async fn write(&self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        frames::write(&mut frame, kind, payload, [0x5A, 0xA5, 0x3C, 0xC3]);
        let _whole = self.writing.lock().await;
        let mut rest = &frame[..];
        while !rest.is_empty() {
            match self.stream.try_write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stream.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads until the end, of which it tells.
    async fn read(self: Arc<Self>, mut ear: Ear, mut partial: Vec<u8>) {
        let end = loop {
            let heard = self.read_once(&mut ear, &mut partial);
            match heard {
                Ok(Some(Heard { pings, end: None })) => {
                    for ping in pings {
                        // A broken connection is noticed by the next read.
                        let _: io::Result<()> = self.write(Kind::Pong, &ping).await;
                    }
                }
                Ok(Some(Heard { end: Some(end), .. })) => break end,
                Ok(None) => {
                    if let Err(error) = self.more(&ear).await {
                        break error.to_string();
                    }
                }
                Err(error) => break error.to_string(),
            }
            if let Some(frame) = ear.acks.as_mut().and_then(|acks| acks.take(Instant::now())) {
                let _: io::Result<()> = self.write(Kind::Text, frame.as_bytes()).await;
            }
        };
        if !self.leaving.load(Ordering::Relaxed) {
            ear.tally.lose(end);
        }
        // Whoever waits for an answer is told by the drop of its sender.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits until there is more, or something to be acknowledged.
    async fn more(&self, ear: &Ear) -> io::Result<()> {
        match ear.acks.as_ref().and_then(Acks::due) {
            Some(due) => timeout_at(due, self.stream.readable()).await.unwrap_or(Ok(())),
            None => self.stream.readable().await,
        }
    }

    /// Takes what is there; `None` when that is nothing.
    fn read_once(&self, ear: &mut Ear, partial: &mut Vec<u8>) -> io::Result<Option<Heard>> {
        CHUNK.with_borrow_mut(|chunk| {
            let len = match self.stream.try_read(chunk) {
                Ok(0) => return Err(io::Error::other("the server ended the connection without a close frame")),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // What came behind the handshake is looked at before anything else is there.
                    return if partial.is_empty() { Ok(None) } else { self.look_at_kept(ear, partial) };
                }
                Err(error) => return Err(error),
            };
            let fresh = chunk.get(..len).unwrap_or_default();
            if partial.is_empty() {
                let mut input = fresh;
                let heard = self.hear(ear, &mut input)?;
                partial.extend_from_slice(input);
                return Ok(Some(heard));
            }
            partial.extend_from_slice(fresh);
            Ok(Some(self.hear_kept(ear, partial)?))
        })
    }

    /// As `hear_kept`, but nothing new has come: what is no whole frame has to wait.
    fn look_at_kept(&self, ear: &mut Ear, partial: &mut Vec<u8>) -> io::Result<Option<Heard>> {
        let before = partial.len();
        let heard = self.hear_kept(ear, partial)?;
        Ok((partial.len() < before).then_some(heard))
    }

    fn hear_kept(&self, ear: &mut Ear, partial: &mut Vec<u8>) -> io::Result<Heard> {
        let mut input = &partial[..];
        let heard = self.hear(ear, &mut input)?;
        let rest = input.len();
        // Memory of a large frame is not kept for small ones.
        *partial = if rest == 0 { Vec::new() } else { partial.split_off(partial.len() - rest) };
        Ok(heard)
    }

    fn hear(&self, ear: &mut Ear, input: &mut &[u8]) -> io::Result<Heard> {
        let (mut heard, mut deliveries) = (Heard::default(), 0);
        while let Some((kind, payload)) = frames::next(input).map_err(io::Error::other)? {
            match kind {
                Kind::Text => deliveries += u64::from(self.hear_text(ear, payload)),
                Kind::Ping => heard.pings.push(payload.to_vec()),
                Kind::Close => heard.end = Some(frames::close_reason(payload)),
                Kind::Binary | Kind::Pong => {}
            }
        }
        if deliveries > 0 {
            ear.tally.count(deliveries);
        }
        Ok(heard)
    }

    /// Whether it is a message of this run.
    fn hear_text(&self, ear: &mut Ear, text: &[u8]) -> bool {
        if text.starts_with(br#"{"type":"ack""#) {
            let answers = || self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(ack) = serde_json::from_slice::<Ack>(text)
                && let Some(answered) = answers().remove(&ack.ack_id)
            {
                // Nobody may wait any more.
                let _: Result<(), Ack> = answered.send(ack);
            }
            return false;
        }
        if let Some(greeted) = ear.greeted.take() {
            let _: Result<(), ()> = greeted.send(());
        }
        if let Some(acks) = &mut ear.acks {
            acks.hear(text, Instant::now());
        }
        if let Hears::Nothing = ear.hears {
            return false;
        }
        let Some(stamp) = ear.tally.marker.read(text) else { return false };
        if let Hears::Sampled(sampler) = &ear.hears {
            sampler.hear(&ear.tally, stamp);
        }
        true
    }
}

/// What one read brought besides messages.
#[derive(Default)]
struct Heard {
    pings: Vec<Vec<u8>>,
    end: Option<String>,
}

/// Where a client's reading goes.
struct Ear {
    tally: Arc<Tally>,
    hears: Hears,
    /// Of a reliable client.
    acks: Option<Acks>,
    greeted: Option<oneshot::Sender<()>>,
}

/// A connection that was needed has ended; the tally mostly knows why.
fn lost(tally: &Tally) -> BenchError {
    BenchError::Lost(tally.first_loss().unwrap_or("the server ended it").to_owned())
}
