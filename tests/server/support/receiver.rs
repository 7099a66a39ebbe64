//! The application behind the server: an HTTP server of a test, which notes what it is sent and answers as it is told.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::DEADLINE;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub uri: String,
    headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Seen {
    /// A header line, if there is one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A header line that must be there.
    pub fn header(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("there is no {name} in {self:?}"))
    }

    /// The event that it tells of.
    pub fn event(&self) -> &str {
        self.header("ce-eventname")
    }

    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// What is answered.
#[derive(Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    held: Option<Arc<Semaphore>>,
    pause: Duration,
}

impl Reply {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Reply { status, headers: Vec::new(), body: String::new(), held: None, pause: Duration::ZERO }
    }

    /// 200 with a body.
    pub fn ok(content_type: &str, body: impl Into<String>) -> Self {
        Reply::status(200).saying(body).with("Content-Type", content_type)
    }

    /// With a body whose type is not told.
    pub fn saying(self, body: impl Into<String>) -> Self {
        Reply { body: body.into(), ..self }
    }

    /// With another status.
    pub fn but(self, status: u16) -> Self {
        Reply { status, ..self }
    }

    /// With a further header line.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Given only after a while.
    pub fn after(self, pause: Duration) -> Self {
        Reply { pause, ..self }
    }

    /// Given only when there is a permit.
    pub fn held(self, until: &Arc<Semaphore>) -> Self {
        Reply { held: Some(until.clone()), ..self }
    }
}

/// Says that everybody may send events.
pub fn welcome() -> Reply {
    Reply::status(200).with("WebHook-Allowed-Origin", "*")
}

type Answer = Arc<Mutex<dyn FnMut(&Seen) -> Reply + Send>>;

/// An application that runs until it is dropped.
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    seen: mpsc::UnboundedReceiver<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One that wants to hear from everybody and says 204 to all.
    pub async fn start() -> Self {
        Receiver::answering(|_| Reply::status(204)).await
    }

    /// One that wants to hear from everybody and answers events so.
    pub async fn answering(mut answer: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Receiver::of_all(move |seen| if seen.method == Method::OPTIONS { welcome() } else { answer(seen) }).await
    }

    /// One that answers everything so, its validation too.
    pub async fn of_all(answer: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Receiver::at(TcpListener::bind("127.0.0.1:0").unwrap(), answer).await
    }

    /// The same at an address that is bound already.
    pub async fn at(listener: TcpListener, answer: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let answer: Answer = Arc::new(Mutex::new(answer));
        let (seen, receiver) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, ready) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    let (answer, seen) = (answer.clone(), seen.clone());
                    App::new().default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
                        receive(answer.clone(), seen.clone(), request, body)
                    }))
                });
                let server = server.workers(1).disable_signals().shutdown_timeout(0).listen(listener).unwrap().run();
                let handle = server.handle();
                actix_rt::spawn(server);
                let _ = started.send(());
                let _ = stopped.await;
                handle.stop(false).await;
            });
        });
        ready.await.unwrap();
        Receiver { address, seen: receiver, stop: Some(stop), thread: Some(thread) }
    }

    /// Its address, with a path that tells hub and event.
    pub fn url(&self) -> String {
        format!("http://{}/{{hub}}/{{event}}", self.address)
    }

    /// The next event that comes.
    pub async fn next(&mut self) -> Seen {
        loop {
            let seen = self.next_of_all().await;
            if seen.method == Method::POST {
                return seen;
            }
        }
    }

    /// The next request that comes, of whatever kind.
    pub async fn next_of_all(&mut self) -> Seen {
        timeout(DEADLINE, self.seen.recv()).await.expect("the webhook heard nothing").unwrap()
    }

    /// Whether nothing has come that was not read.
    pub fn is_silent(&mut self) -> bool {
        self.seen.try_recv().is_err()
    }

    /// The next event, which is this one.
    pub async fn expect(&mut self, event: &str) -> Seen {
        let seen = self.next().await;
        assert_eq!(seen.event(), event, "{seen:?}");
        seen
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn receive(
    answer: Answer,
    seen: mpsc::UnboundedSender<Seen>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let this = Seen {
        method: request.method().clone(),
        uri: request.uri().to_string(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let reply = (answer.lock().unwrap())(&this);
    let _ = seen.send(this);
    tokio::time::sleep(reply.pause).await;
    if let Some(held) = reply.held {
        // A test that has ended waits for nobody.
        let _ = timeout(DEADLINE, held.acquire()).await.map(|permit| permit.map(|permit| permit.forget()));
    }
    let mut response = HttpResponse::build(StatusCode::from_u16(reply.status).unwrap());
    for (name, value) in reply.headers {
        response.append_header((name, value));
    }
    // As the application says, or not at all.
    response.no_chunking(reply.body.len() as u64).streaming(futures_util::stream::once(std::future::ready(Ok::<
        _,
        std::convert::Infallible,
    >(
        web::Bytes::from(reply.body),
    ))))
}
