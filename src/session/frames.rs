//! What a client sends, as a stream of whole messages for its session.
//!
//! The next chunk is read only when the messages of the last one are handled, and nothing is yielded while the gate is
//! shut: a fast sender waits in its own socket. What is sent too often or too much for its time is not handled at all, and
//! ends the connection. The stream ends when anybody asks for the connection's end.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::meter::{InboundRates, Meter};
use crate::error::{Disconnect, DisconnectKind};
use crate::metrics::{Limit, Metrics};
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
    meter: Meter,
    /// When the last chunk was read.
    read_at: Moment,
    /// The last chunk was full, so more may have waited behind it.
    more: bool,
    metrics: Metrics,
    /// What was read but not yet decoded.
    rest: Vec<u8>,
    /// How much of `rest` is decoded.
    decoded: usize,
}

impl Frames {
    /// A stream over a link; `early` is what arrived together with the handshake.
    pub fn new(link: Rc<Link>, decoder: Decoder, rates: InboundRates, early: Vec<u8>, metrics: Metrics) -> Self {
        let (meter, read_at) = (Meter::new(rates), Moment::now());
        Frames { link, decoder, meter, read_at, more: false, metrics, rest: early, decoded: 0 }
    }

    fn decode_rest(&mut self) -> Result<Option<Inbound>, Disconnect> {
        let mut input = self.rest.get_mut(self.decoded..).unwrap_or_default();
        let before = input.len();
        let inbound = self.decoder.decode(&mut input);
        let taken = before - input.len();
        self.decoded += taken;
        if self.decoded >= self.rest.len() {
            self.rest = Vec::new();
            self.decoded = 0;
        }
        self.metered(taken, inbound)
    }

    /// Holds what was decoded of `taken` bytes to the rates, before anybody works for it.
    fn metered(
        &mut self,
        taken: usize,
        inbound: Result<Option<Inbound>, Violation>,
    ) -> Result<Option<Inbound>, Disconnect> {
        self.meter.add(taken);
        let inbound = inbound.map_err(|violation| {
            match violation {
                Violation::TooBig => self.metrics.reached(Limit::MaxMessageBytes),
                Violation::TooManyFragments => self.metrics.reached(Limit::MaxFragments),
                _ => {}
            }
            Disconnect::from(violation)
        })?;
        // A farewell is not refused.
        if matches!(inbound, None | Some(Inbound::Close(_))) {
            return Ok(inbound);
        }
        // The clock is read once per chunk. While the gate was shut we did not take what came, so that time counts too.
        let now = self.read_at.max(self.link.gate.opened_at());
        match self.meter.message(now.since_start()) {
            Ok(()) => Ok(inbound),
            Err(limit) => {
                self.metrics.reached(limit);
                Err(match limit {
                    Limit::BytesPerSecond => {
                        Disconnect::with_message(DisconnectKind::RateLimit, "rate limit: too many bytes")
                    }
                    _ => DisconnectKind::RateLimit.into(),
                })
            }
        }
    }

    /// Reads one chunk and decodes the first message in it; `Ok(None)` asks for another turn.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Inbound>, Disconnect>> {
        CHUNK.with_borrow_mut(|chunk| {
            let now = Moment::now();
            let count = match ready!(self.link.poll_read(cx, chunk, now)) {
                Ok(count) if count > 0 => count,
                Ok(_) | Err(_) => return Poll::Ready(Err(DisconnectKind::Lost.into())),
            };
            if !self.more {
                self.meter.caught_up();
            }
            self.meter.kept_waiting(self.link.gate.opened_at().since(self.read_at));
            (self.read_at, self.more) = (now, count == chunk.len());
            self.metrics.bytes_in.increment(count as u64);
            let mut input = chunk.get_mut(..count).unwrap_or_default();
            let inbound = self.decoder.decode(&mut input);
            if matches!(inbound, Ok(Some(_))) && !input.is_empty() {
                self.rest = input.to_vec();
            }
            let taken = count - input.len();
            Poll::Ready(self.metered(taken, inbound))
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
                false => self.decode_rest(),
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
