//! A connection inside a foreign `actix_web::HttpServer`: the response body is the writer, the request's payload the
//! reader, and the handshake is that of actix-web-actors.
//!
//! Heavier than a socket of our own: bytes go through the buffers of actix-http on their way. That crate polls a body
//! only while its write buffer has room, so what a stalled peer leaves is held here, in bounded pieces, and the session
//! notices by `WouldBlock`. actix-web-actors is no longer developed; this file is what its end may cost us.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{self, HandshakeError};
use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;

use super::Transport;

/// Most bytes that wait for actix-http to take them.
const PIPE_BYTES: usize = 64 * 1024;
/// Most bytes handed over at once: actix-http keeps a write buffer as large as what it was once given.
const SLICE_BYTES: usize = 8 * 1024;

/// Answers a handshake that was let in; the transport can be used before the answer is sent.
///
/// `subprotocol` is echoed as it is, so it must be one that the request offers.
///
/// # Errors
/// [`HandshakeError`] for a request that is no handshake.
pub fn accept(
    request: &HttpRequest,
    payload: web::Payload,
    subprotocol: Option<&str>,
) -> Result<(HttpResponse, BodyTransport), HandshakeError> {
    let mut response = ws::handshake(request)?;
    if let Some(subprotocol) = subprotocol {
        response.insert_header((SEC_WEBSOCKET_PROTOCOL, subprotocol));
    }
    let pipe = Rc::new(RefCell::new(Pipe::default()));
    let response = response.streaming(Body(pipe.clone()));
    Ok((response, BodyTransport { pipe, payload, chunk: Bytes::new() }))
}

/// What was written and not yet taken. Empty it owns no memory.
#[derive(Default)]
struct Pipe {
    bytes: BytesMut,
    state: State,
    /// Waits for bytes to take.
    taker: Option<Waker>,
    /// Waits for room.
    writer: Option<Waker>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Nothing more will be written; what is here is still to be taken.
    Finished,
    /// One of the two sides is gone.
    Broken,
}

impl Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.state != State::Open {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(PIPE_BYTES - self.bytes.len());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.bytes.extend_from_slice(bytes.get(..count).unwrap_or_default());
        wake(&mut self.taker);
        Ok(count)
    }

    /// Ready when half of the pipe is free, so that a writer is not woken for every slice.
    fn poll_room(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match self.state {
            State::Open if self.bytes.len() > PIPE_BYTES / 2 => {
                self.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Open => Poll::Ready(Ok(())),
            State::Finished | State::Broken => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// `None` is the end, of a broken pipe too: an error would be for actix-http to log, and there is nothing to mend.
    fn poll_take(&mut self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        if self.bytes.is_empty() {
            if self.state != State::Open {
                return Poll::Ready(None);
            }
            self.taker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let slice = self.bytes.split_to(self.bytes.len().min(SLICE_BYTES)).freeze();
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
        if self.bytes.len() <= PIPE_BYTES / 2 {
            wake(&mut self.writer);
        }
        Poll::Ready(Some(slice))
    }

    fn finish(&mut self) {
        if self.state == State::Open {
            self.state = State::Finished;
            wake(&mut self.taker);
        }
    }

    fn break_off(&mut self) {
        self.state = State::Broken;
        self.bytes = BytesMut::new();
        wake(&mut self.taker);
        wake(&mut self.writer);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// The end of the pipe that actix-http takes from.
struct Body(Rc<RefCell<Pipe>>);

impl Stream for Body {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_take(cx).map(|slice| slice.map(Ok))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.0.borrow_mut().break_off();
    }
}

/// The bytes of one connection of a foreign server.
pub struct BodyTransport {
    pipe: Rc<RefCell<Pipe>>,
    payload: web::Payload,
    /// What was read and did not fit.
    chunk: Bytes,
}

impl Transport for BodyTransport {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        while self.chunk.is_empty() {
            match ready!(Pin::new(&mut self.payload).poll_next(cx)) {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(0)),
            }
        }
        let count = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        if self.chunk.is_empty() {
            // An empty slice would keep the memory of the whole.
            self.chunk = Bytes::new();
        }
        Poll::Ready(Ok(count))
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.borrow_mut().write(bytes)
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.borrow_mut().poll_room(cx)
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // actix-http takes the rest and then ends its side of the connection.
        self.pipe.borrow_mut().finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for BodyTransport {
    fn drop(&mut self) {
        let mut pipe = self.pipe.borrow_mut();
        if pipe.state != State::Finished {
            pipe.break_off();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(std::sync::atomic::AtomicUsize);

    impl Wake for Woken {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(std::sync::atomic::Ordering::Relaxed)
        }
    }

    fn take(pipe: &mut Pipe) -> Bytes {
        match pipe.poll_take(&Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(bytes)) => bytes,
            other => panic!("expected bytes, not {other:?}"),
        }
    }

    #[test]
    fn a_full_pipe_takes_what_fits_then_nothing_and_wakes_the_writer_when_half_is_free() {
        let mut pipe = Pipe::default();
        let bytes: Vec<u8> = (0..PIPE_BYTES + 10).map(|at| at as u8).collect();
        assert_eq!(pipe.write(&bytes).unwrap(), PIPE_BYTES);
        assert_eq!(pipe.write(&bytes).unwrap_err().kind(), io::ErrorKind::WouldBlock);

        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        assert!(pipe.poll_room(&Context::from_waker(&waker)).is_pending());
        let mut taken = Vec::new();
        while woken.times() == 0 {
            let slice = take(&mut pipe);
            assert!(slice.len() <= SLICE_BYTES);
            taken.extend_from_slice(&slice);
        }
        assert_eq!(taken.len(), PIPE_BYTES / 2);
        assert!(pipe.poll_room(&Context::from_waker(&waker)).is_ready());
        while !pipe.bytes.is_empty() {
            taken.extend_from_slice(&take(&mut pipe));
        }
        assert_eq!(taken, bytes[..PIPE_BYTES]);
        assert_eq!(pipe.bytes.capacity(), 0);
    }

    #[test]
    fn what_was_written_before_the_end_is_still_taken() {
        let mut pipe = Pipe::default();
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        assert!(pipe.poll_take(&Context::from_waker(&waker)).is_pending());
        pipe.write(b"bye").unwrap();
        assert_eq!(woken.times(), 1);
        pipe.finish();
        assert_eq!(pipe.write(b"more").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(take(&mut pipe), "bye");
        assert!(matches!(pipe.poll_take(&Context::from_waker(&waker)), Poll::Ready(None)));
    }

    #[test]
    fn a_dropped_body_fails_writes_and_wakes_whoever_waits_for_room() {
        let pipe = Rc::new(RefCell::new(Pipe::default()));
        let body = Body(pipe.clone());
        pipe.borrow_mut().write(&[0; PIPE_BYTES]).unwrap();
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        assert!(pipe.borrow_mut().poll_room(&Context::from_waker(&waker)).is_pending());
        drop(body);
        assert_eq!(woken.times(), 1);
        assert_eq!(pipe.borrow_mut().write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(pipe.borrow().bytes.is_empty());
    }
}
