//! What a client sends, as a stream of whole messages for its session.
//!
//! The next chunk is read only when the messages of the last one are handled, and nothing is yielded while the gate is
//! shut: a fast sender waits in its own socket. The stream ends when anybody asks for the connection's end.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::error::{Disconnect, DisconnectKind};
use crate::metrics::Metrics;
use crate::outbound::{Link, Moment};
use crate::transport::decoder::{Decoder, Inbound, Violation};

/// How much is read at once, into one buffer per worker.
const CHUNK_BYTES: usize = 16 * 1024;

thread_local! {
    static CHUNK: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK_BYTES]);
}

/// The messages of one client.
pub struct Frames {
    link: Rc<Link>,
    decoder: Decoder,
    metrics: Metrics,
    /// What was read but not yet decoded.
    rest: Vec<u8>,
    /// How much of `rest` is decoded.
    decoded: usize,
}

impl Frames {
    /// A stream over a link; `early` is what arrived together with the handshake.
    pub fn new(link: Rc<Link>, decoder: Decoder, early: Vec<u8>, metrics: Metrics) -> Self {
        Frames { link, decoder, metrics, rest: early, decoded: 0 }
    }

    fn decode_rest(&mut self) -> Result<Option<Inbound>, Violation> {
        let mut input = self.rest.get_mut(self.decoded..).unwrap_or_default();
        let before = input.len();
        let inbound = self.decoder.decode(&mut input);
        self.decoded += before - input.len();
        if self.decoded >= self.rest.len() {
            self.rest = Vec::new();
            self.decoded = 0;
        }
        inbound
    }

    /// Reads one chunk and decodes the first message in it; `Ok(None)` asks for another turn.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Inbound>, Disconnect>> {
        CHUNK.with_borrow_mut(|chunk| {
            let count = match ready!(self.link.poll_read(cx, chunk, Moment::now())) {
                Ok(count) if count > 0 => count,
                Ok(_) | Err(_) => return Poll::Ready(Err(DisconnectKind::Lost.into())),
            };
            self.metrics.bytes_in.increment(count as u64);
            let mut input = chunk.get_mut(..count).unwrap_or_default();
            let inbound = self.decoder.decode(&mut input);
            if matches!(inbound, Ok(Some(_))) && !input.is_empty() {
                self.rest = input.to_vec();
            }
            Poll::Ready(inbound.map_err(Disconnect::from))
        })
    }
}

impl Stream for Frames {
    type Item = Result<Inbound, Disconnect>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.link.is_ending() {
                return Poll::Ready(None);
            }
            self.link.gate.register(cx);
            if !self.link.gate.is_open() {
                return Poll::Pending;
            }
            let inbound = match self.rest.is_empty() {
                true => ready!(self.poll_chunk(cx)),
                false => self.decode_rest().map_err(Disconnect::from),
            };
            if let Some(item) = inbound.transpose() {
                return Poll::Ready(Some(item));
            }
        }
    }
}

impl From<Violation> for Disconnect {
    fn from(violation: Violation) -> Self {
        let kind = match violation.close_code() {
            1007 => DisconnectKind::InvalidData,
            1009 => DisconnectKind::TooBig,
            _ => DisconnectKind::ProtocolError,
        };
        Disconnect::with_message(kind, violation.to_string())
    }
}
