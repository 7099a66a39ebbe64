//! Requests whose body nobody reads to its end: their connections are closed behind the answer.
//!
//! actix-http does so where the length of a body is told. Of a chunked one that nobody wants it goes on reading, also
//! when the answer is out, for as long as the sender likes: none of its timers runs meanwhile. It decides by whether the
//! body still has a reader then, so here each chunked body has one until its answer is out.

use std::cell::RefCell;
use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::{HttpMessage, Payload, Request, Response};
use actix_service::{Service, ServiceFactory, apply_fn_factory};
use bytes::Bytes;
use futures_util::{Stream, stream};

/// The same service, which keeps the bodies of requests until they are answered.
pub fn closed_behind_answer<S, B>(
    app: S,
) -> impl ServiceFactory<
    Request,
    Config = S::Config,
    Response = Response<BoxBody>,
    Error = S::Error,
    InitError = S::InitError,
    Service: 'static,
    Future: 'static,
> + use<S, B>
where
    S: ServiceFactory<Request> + 'static,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    apply_fn_factory(app, |mut request: Request, app: &S::Service| {
        let kept = keep(&mut request);
        let answer = app.call(request);
        async move {
            let answer: Response<B> = answer.await?.into();
            Ok(answer.map_body(|_, body| match kept {
                Some(kept) => BoxBody::new(Answer { body: body.boxed(), _kept: kept }),
                None => body.boxed(),
            }))
        }
    })
}

/// A body with a second owner besides whoever reads it.
type Kept = Rc<RefCell<Payload>>;

fn keep(request: &mut Request) -> Option<Kept> {
    // What cannot be read is not chunked, and is refused before it comes here.
    if !request.chunked().unwrap_or_default() {
        return None;
    }
    let kept = Rc::new(RefCell::new(request.take_payload()));
    let read = kept.clone();
    let chunks = stream::poll_fn(move |cx| Pin::new(&mut *read.borrow_mut()).poll_next(cx));
    *request.payload() = Payload::Stream { payload: Box::pin(chunks) };
    Some(kept)
}

/// The body of an answer, which keeps that of its request.
struct Answer {
    body: BoxBody,
    _kept: Kept,
}

impl MessageBody for Answer {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.get_mut().body.as_pin_mut().poll_next(cx)
    }
}
