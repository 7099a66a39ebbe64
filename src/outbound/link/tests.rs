//! A transport that sends nothing before it is waited for: what is held back goes out, and in its order.

use bytes::Bytes;

use super::*;
use crate::outbound::Queued;

/// Takes everything and sends nothing before it is waited for, as TLS does when the socket is full.
#[derive(Default)]
struct Hoarder {
    held: Rc<Cell<usize>>,
    sent: Rc<Cell<usize>>,
    /// How often it is waited for in vain.
    patience: usize,
}

impl Transport for Hoarder {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.held.get() > 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.held.set(bytes.len());
        Ok(bytes.len())
    }

    fn holds_back(&self) -> bool {
        self.held.get() > 0
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.patience > 0 {
            self.patience -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.sent.set(self.sent.get() + self.held.take());
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A link over a hoarder, and how many bytes that has sent.
fn link() -> (Rc<Link>, Rc<Cell<usize>>) {
    let settings = Rc::new(LinkSettings {
        limits: OutboundLimits { bytes: 1000, messages: 10 },
        write_timeout: Duration::from_secs(60),
        requests_in_flight: 1,
        metrics: Metrics::new(),
    });
    let io = Hoarder { patience: 3, ..Hoarder::default() };
    let sent = io.sent.clone();
    (Rc::new(Link::new(io, settings, SlowConsumers::Close)), sent)
}

fn frame() -> Frame {
    Frame::from(Bytes::from_static(b"frame"))
}

#[actix_rt::test]
async fn what_a_transport_holds_back_is_sent_though_nothing_follows() {
    let (link, sent) = link();
    let mut scratch = Scratch::default();
    link.push(frame(), &mut scratch);
    link.flush(&mut scratch);
    assert!(!link.is_at_rest() && sent.get() == 0);
    while !link.is_at_rest() {
        tokio::task::yield_now().await;
    }
    assert_eq!(sent.get(), frame().len());
}

#[actix_rt::test]
async fn so_is_what_of_a_batch_is_held_back() {
    let (link, sent) = link();
    let mut batch = Batch::default();
    let item = batch.add(Queued { frame: frame(), is_announcement: false, until: Moment::NEVER });
    let run = batch.extend(Run::default(), item);
    assert_eq!(link.deliver(run, &mut batch, &mut Scratch::default()).frames, 1);
    while !link.is_at_rest() {
        tokio::task::yield_now().await;
    }
    assert_eq!(sent.get(), frame().len());
}

#[actix_rt::test]
async fn what_is_queued_behind_what_is_held_back_goes_out_behind_it() {
    let (link, sent) = link();
    let mut scratch = Scratch::default();
    for _ in 0..3 {
        link.push(frame(), &mut scratch);
        link.flush(&mut scratch);
    }
    assert!(link.written(Duration::from_secs(20)).await);
    assert_eq!(sent.get(), 3 * frame().len());
}

#[actix_rt::test]
async fn the_last_frame_is_written_when_the_transport_has_sent_it() {
    let (link, sent) = link();
    assert!(link.seal([frame()]));
    assert!(link.written(Duration::from_secs(20)).await);
    assert_eq!(sent.get(), frame().len());
}

#[actix_rt::test]
async fn a_socket_that_is_displaced_keeps_nothing_and_one_that_takes_nothing_is_not_waited_for() {
    let (displaced, _) = link();
    let mut scratch = Scratch::default();
    for _ in 0..3 {
        displaced.push(frame(), &mut scratch);
        displaced.flush(&mut scratch);
    }
    assert_eq!(displaced.waiting().0, 2);
    assert!(!displaced.displace(), "it would be waited for");
    assert_eq!(displaced.waiting(), (0, 0));
    let (idle, _) = link();
    assert!(idle.displace(), "an idle peer is not told");
}
