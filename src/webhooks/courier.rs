//! The actor that sends every request to a webhook, on a thread that serves nothing else.
//!
//! Each webhook has tasks of its own, so one that is slow or dead holds up only those who wait for it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Arbiter, Context, Handler, Message};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout_at};

use super::Rules;
use super::answer::{Answer, Unusable};
use super::client::{Client, Request, Response, SendError};
use super::endpoint::{Endpoint, Validity};
use super::letter::Letter;
use super::pledge::Pledge;
use crate::metrics::{Metrics, WebhookOutcome};

/// How long a webhook may take to say whether it wants to hear from us.
const VALIDATION_TIMEOUT: Duration = Duration::from_secs(10);
/// When one that refused is asked again.
const REFUSED_FOR: Duration = Duration::from_secs(60);
/// When one that was not there is asked again: it may be starting, as we are.
const AWAY_FOR: Duration = Duration::from_secs(2);
/// Pauses before what nobody waits for is tried again; the last one holds for all that follow.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(5)];
/// What is read of an answer that says nothing but its status.
const UNREAD_ANSWER: usize = 64 << 10;

/// Why a webhook has not answered a question.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Too many wait for its answers.
    #[error("has as many questions to answer as webhooks.concurrency allows")]
    Busy,
    /// It has not said that it wants to hear from us.
    #[error("{0}")]
    Invalid(std::borrow::Cow<'static, str>),
    /// There was no answer in time.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The answer makes no sense.
    #[error("gave an answer that cannot be used: {0}")]
    Unusable(#[from] Unusable),
    /// It says no.
    #[error("answers {0}")]
    Status(StatusCode),
    /// The server is about to end.
    #[error("is asked nothing any more, because the server ends")]
    Ending,
}

/// Sends letters.
pub struct Courier(Rc<Post>);

/// What all tasks of the courier share.
struct Post {
    client: Client,
    rules: Arc<ArcSwap<Rules>>,
    metrics: Metrics,
}

/// A question that somebody waits for.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ask {
    /// Who is asked.
    pub endpoint: Arc<Endpoint>,
    /// What.
    pub letter: Letter,
    /// Its place among those who wait.
    pub place: OwnedSemaphorePermit,
    /// What follows if the answer is yes.
    pub pledge: Option<Pledge>,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Reply>,
}

/// The answer to a question, with the pledge that came with it.
pub type Reply = (Result<Answer, NoAnswer>, Option<Pledge>);

/// There are letters in a lane at which nobody is at work.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Run {
    /// Whose lane.
    pub endpoint: Arc<Endpoint>,
    /// Which.
    pub lane: usize,
}

/// Has a webhook asked whether it wants to hear from us, before there is anything to say.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Validate(pub Arc<Endpoint>);

impl Courier {
    /// For the thread that it is started on.
    pub fn new(rules: Arc<ArcSwap<Rules>>, metrics: Metrics) -> Self {
        Courier(Rc::new(Post { client: Client::new(), rules, metrics }))
    }
}

impl Actor for Courier {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        // The arbiter is the courier's own.
        if let Some(arbiter) = Arbiter::try_current() {
            arbiter.stop();
        }
    }
}

impl Handler<Ask> for Courier {
    type Result = ();

    fn handle(&mut self, ask: Ask, _: &mut Self::Context) {
        let post = self.0.clone();
        actix_rt::spawn(async move {
            let Ask { endpoint, letter, place, mut pledge, reply } = ask;
            let answer = post.deliver(&endpoint, &letter, endpoint.limits.max_answer_bytes).await;
            drop(place);
            if let (Ok(answer), Some(pledge)) = (&answer, &mut pledge)
                && answer.status.is_success()
            {
                pledge.give();
            }
            // Whoever asked may be gone; the pledge then goes with the answer.
            drop(reply.send((answer, pledge)));
        });
    }
}

impl Handler<Run> for Courier {
    type Result = ();

    fn handle(&mut self, Run { endpoint, lane }: Run, _: &mut Self::Context) {
        let post = self.0.clone();
        actix_rt::spawn(async move {
            while let Some(letter) = endpoint.next(lane) {
                post.deliver_for_sure(&endpoint, &letter).await;
                endpoint.done();
            }
        });
    }
}

impl Handler<Validate> for Courier {
    type Result = ();

    fn handle(&mut self, Validate(endpoint): Validate, _: &mut Self::Context) {
        if endpoint.begin_to_ask() {
            let post = self.0.clone();
            actix_rt::spawn(async move { post.validate(&endpoint).await });
        }
    }
}

impl Post {
    /// Tries until the letter has arrived, or it is not worth trying any more.
    async fn deliver_for_sure(self: &Rc<Self>, endpoint: &Arc<Endpoint>, letter: &Letter) {
        let mut pauses = (0..endpoint.limits.retries).map(|tried| PAUSES.get(tried).unwrap_or(&PAUSES[2]));
        loop {
            let failed = match self.deliver(endpoint, letter, UNREAD_ANSWER).await {
                Ok(answer) if answer.status.is_success() => return,
                // It has arrived, whatever it is answered with.
                Err(NoAnswer::Send(SendError::TooBig)) => return,
                Ok(answer) => (NoAnswer::Status(answer.status), is_worth_trying_again(answer.status)),
                Err(error) => (error, true),
            };
            match (failed, pauses.next()) {
                ((_, true), Some(pause)) => {
                    self.metrics.webhook_retries.increment(1);
                    tokio::time::sleep(*pause).await;
                }
                ((why, _), _) => {
                    self.metrics.webhook_dropped.increment(1);
                    let event = letter.what.name();
                    return endpoint
                        .complain(format_args!("{why}; what it is not told now ({event}) it will not be told later"));
                }
            }
        }
    }

    /// Sends a letter once.
    async fn deliver(
        self: &Rc<Self>,
        endpoint: &Arc<Endpoint>,
        letter: &Letter,
        most: usize,
    ) -> Result<Answer, NoAnswer> {
        let began = Instant::now();
        let deadline = began + endpoint.limits.timeout;
        self.validated(endpoint, deadline).await?;
        let headers = {
            let rules = self.rules.load();
            letter.headers(&rules.signer, &rules.origin)
        };
        let (url, body) = (endpoint.url(letter.what.name()), letter.body.clone());
        let sent = self.client.send(Request { method: Method::POST, url, headers, body }, most, deadline).await;
        self.metrics.webhook_seconds.observe(began.elapsed());
        self.metrics.webhook_answered(match &sent {
            Ok(response) if response.status.is_success() => WebhookOutcome::Accepted,
            Ok(_) => WebhookOutcome::Refused,
            Err(_) => WebhookOutcome::Failed,
        });
        read(endpoint, sent?)
    }

    /// Waits until it is known that the webhook wants to hear from us.
    async fn validated(self: &Rc<Self>, endpoint: &Arc<Endpoint>, deadline: Instant) -> Result<(), NoAnswer> {
        if endpoint.begin_to_ask() {
            let (post, endpoint) = (self.clone(), endpoint.clone());
            // A task of its own: whoever asked first may not wait for it to the end.
            actix_rt::spawn(async move { post.validate(&endpoint).await });
        }
        let mut validity = endpoint.validity.subscribe();
        let known = timeout_at(deadline, validity.wait_for(|validity| !matches!(validity, Validity::Asking))).await;
        match known {
            Ok(Ok(known)) => match &*known {
                Validity::Refused { why, .. } => Err(NoAnswer::Invalid(why.clone())),
                Validity::Valid | Validity::Unknown | Validity::Asking => Ok(()),
            },
            Ok(Err(_)) | Err(_) => Err(SendError::Late.into()),
        }
    }

    /// Asks a webhook whether it wants to hear from us, as nobody may be made to send requests to others.
    async fn validate(&self, endpoint: &Endpoint) {
        let origin = self.rules.load().origin.clone();
        let mut answer = self.ask_for_validity(endpoint, Method::OPTIONS, &origin).await;
        // Some frameworks have no OPTIONS.
        if matches!(&answer, Ok(response) if response.status == StatusCode::NOT_FOUND) {
            answer = self.ask_for_validity(endpoint, Method::GET, &origin).await;
        }
        let refused = |after: Duration, why: String| {
            endpoint.complain(format_args!("{why}"));
            Validity::Refused { again: std::time::Instant::now() + after, why: why.into() }
        };
        let validity = match answer {
            Ok(response) if response.status.is_success() && allows(&response, &origin) => {
                log::info!(hub:% = endpoint.hub, url:% = endpoint.config.url; "a webhook wants to hear from this server");
                Validity::Valid
            }
            Ok(response) if response.status.is_success() => refused(
                REFUSED_FOR,
                format!(
                    "has not said that it wants to hear from this server: no 'WebHook-Allowed-Origin: {origin}', and no '*'"
                ),
            ),
            Ok(response) if response.status.is_server_error() => refused(
                AWAY_FOR,
                format!("answers {} when it is asked whether it wants to hear from this server", response.status),
            ),
            Ok(response) => refused(
                REFUSED_FOR,
                format!("answers {} when it is asked whether it wants to hear from this server", response.status),
            ),
            Err(error) => refused(AWAY_FOR, error.to_string()),
        };
        endpoint.validity.send_replace(validity);
    }

    async fn ask_for_validity(&self, endpoint: &Endpoint, method: Method, origin: &str) -> Result<Response, SendError> {
        let mut headers = vec![(HeaderName::from_static("ce-awpsversion"), HeaderValue::from_static("1.0"))];
        if let Ok(origin) = HeaderValue::from_str(origin) {
            headers.push((HeaderName::from_static("webhook-request-origin"), origin));
        }
        let request = Request { method, url: endpoint.url("validate"), headers, body: Bytes::new() };
        self.client.send(request, UNREAD_ANSWER, Instant::now() + VALIDATION_TIMEOUT).await
    }
}

/// Whether an answer names this server, or everybody.
fn allows(response: &Response, origin: &str) -> bool {
    let lines = response.headers.get_all("webhook-allowed-origin").filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).any(|one| one == "*" || one.eq_ignore_ascii_case(origin))
}

/// The same statuses as the Web PubSub emulator's, and 429.
fn is_worth_trying_again(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

fn read(endpoint: &Endpoint, response: Response) -> Result<Answer, NoAnswer> {
    let text = |name: &str| response.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let state = text("ce-connectionstate");
    if state.as_ref().is_some_and(|state| state.len() > endpoint.limits.max_state_bytes) {
        return Err(Unusable::State.into());
    }
    Ok(Answer { status: response.status, content_type: text("content-type"), state, body: response.body })
}
