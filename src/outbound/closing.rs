//! How a connection is closed so that the peer learns why.
//!
//! Close frame, end of writing, then what the peer still sends is read and thrown away for a moment: unread input would
//! turn the close into a reset, which may cost the peer the reason (RFC 6455, 7.1.1).

use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use super::{Frame, Link};

/// How long a peer may take for the last frames, its own close and the end of the connection.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much of what it still sends is read.
const DISCARD_BYTES: usize = 64 * 1024;

/// Writes `last` behind everything that is queued, then ends the connection; returns when the socket may be dropped.
///
/// A peer that has closed already sends nothing more, so nothing is waited for then.
pub async fn close(link: Rc<Link>, last: Vec<Frame>, peer_closed: bool) {
    if !link.seal(last) {
        return;
    }
    if !link.written(PATIENCE).await {
        // A stalled peer: no close frame can reach it.
        link.abandon();
        return;
    }
    let ended = async {
        std::future::poll_fn(|cx| link.io().borrow_mut().poll_shutdown(cx)).await?;
        let mut buffer = [0; 1024];
        let mut left = DISCARD_BYTES;
        std::future::poll_fn(|cx| {
            loop {
                match link.io().borrow_mut().poll_read(cx, &mut buffer) {
                    Poll::Ready(Ok(count)) if count > 0 && count < left => left -= count,
                    Poll::Ready(Ok(_)) => return Poll::Ready(Ok(())),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending if peer_closed => return Poll::Ready(Ok(())),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    };
    // However it ends, the socket is dropped now: there is nobody left to tell.
    let _: Result<std::io::Result<()>, _> = timeout(PATIENCE, ended).await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::Future;
    use std::io;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use bytes::Bytes;

    use super::*;
    use crate::metrics::Metrics;
    use crate::outbound::{LinkSettings, OutboundLimits, SlowConsumers};
    use crate::transport::Transport;

    /// A socket whose peer takes everything and says nothing; it writes down what happens to it.
    struct Silent(Rc<RefCell<Vec<&'static str>>>);

    impl Transport for Silent {
        fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            self.0.borrow_mut().push("read");
            Poll::Pending
        }

        fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().push("write");
            Ok(bytes.len())
        }

        fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.0.borrow_mut().push("shut down");
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn the_end_of_a_peer_is_waited_for_unless_it_has_closed_first() {
        for peer_closed in [false, true] {
            let happened = Rc::default();
            let settings = Rc::new(LinkSettings {
                limits: OutboundLimits { bytes: 100, messages: 10 },
                write_timeout: PATIENCE,
                requests_in_flight: 1,
                metrics: Metrics::new(),
            });
            let link = Rc::new(Link::new(Silent(Rc::clone(&happened)), settings, SlowConsumers::Close));
            let last = vec![Frame::from(Bytes::from_static(b"close"))];
            let closed = pin!(close(link, last, peer_closed)).poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(closed.is_ready(), peer_closed);
            assert_eq!(*happened.borrow(), ["write", "shut down", "read"]);
        }
    }
}
