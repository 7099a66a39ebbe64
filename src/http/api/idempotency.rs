//! Requests that are sent twice and done once: `Idempotency-Key`.
//!
//! Who does not hear an answer sends the request again with the same key, and gets the answer to the first. Only what was
//! done is remembered: a refused request may be sent again, and then may succeed. A key counts for one method and path, so
//! that back ends that do different things need not know of each other's keys. Bounded in number and age; beyond it the
//! oldest is forgotten, as if it had been used longer ago.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use aws_lc_rs::digest;

use super::ApiError;
use super::body::METADATA_PREFIX;
use crate::http::Problem;

/// The header that names a request.
const KEY: &str = "idempotency-key";
/// Longest key.
const MAX_KEY_BYTES: usize = 255;
/// Tells that the request was done before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The key of a request, if it has one.
pub(super) fn key_of(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let mut lines = request.headers().get_all(KEY);
    let Some(line) = lines.next() else { return Ok(None) };
    let key = line.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_KEY_BYTES && lines.next().is_none());
    let key = key.ok_or_else(|| {
        ApiError::bad_request(format!("Idempotency-Key is one text of 1 to {MAX_KEY_BYTES} visible characters."))
    })?;
    Ok(Some(key.to_owned()))
}

/// A hash of several parts, each with its length in front, so that no part can be taken for two.
struct Parts(digest::Context);

impl Parts {
    fn new() -> Self {
        Parts(digest::Context::new(&digest::SHA256))
    }

    fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    fn finish(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        bytes
    }
}

/// What a request is found by: its key, and what it is used for. A hash, because a path may be long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Use([u8; 32]);

impl Use {
    /// The use of a key in a request.
    pub(super) fn of(request: &HttpRequest, key: &str) -> Self {
        let mut parts = Parts::new();
        for part in [request.method().as_str(), request.path(), key] {
            parts.add(part);
        }
        Use(parts.finish())
    }
}

/// What makes two requests with the same key the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of all that counts beside the method and path: how it is to be done, and what it brings.
    pub(super) fn of(request: &HttpRequest, body: &[u8]) -> Self {
        let mut parts = Parts::new();
        parts.add(request.query_string());
        let counts = |name: &str| name == "content-type" || name.starts_with(METADATA_PREFIX);
        let mut headers: Vec<_> = request.headers().iter().filter(|(name, _)| counts(name.as_str())).collect();
        // In the order of their names; of those with the same name, as they came.
        headers.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in headers {
            parts.add(name.as_str());
            parts.add(value.as_bytes());
        }
        parts.add(body);
        Fingerprint(parts.finish())
    }
}

/// How far a request is whose key is known.
pub(super) enum Begun {
    /// It is new, and is to be done now.
    Now(Ticket),
    /// It was done.
    Before(Done),
    /// Somebody is about to do it.
    Running,
    /// The key was used for another request.
    Other,
}

/// The answer to a request that was done. Those have no bodies.
#[derive(Debug, Clone)]
pub(super) struct Done {
    status: StatusCode,
    headers: HeaderMap,
}

impl Done {
    /// What an answer tells, where it tells of something that was done.
    pub(super) fn of(answer: &HttpResponse) -> Option<Self> {
        answer.status().is_success().then(|| Done { status: answer.status(), headers: answer.headers().clone() })
    }

    /// The same answer again.
    pub(super) fn again(self) -> HttpResponse {
        let mut answer = HttpResponse::new(self.status);
        *answer.headers_mut() = self.headers;
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        answer
    }
}

/// The requests that were done a moment ago, shared by all workers.
#[derive(Default)]
pub(crate) struct DoneOnce(Mutex<Keys>);

#[derive(Default)]
struct Keys {
    by_use: HashMap<Use, Entry>,
    /// By age. What was not done in the end stands here until it is its turn, so there are no fewer than above.
    order: VecDeque<(Use, u64)>,
    /// The number of the last request.
    last: u64,
}

struct Entry {
    number: u64,
    fingerprint: Fingerprint,
    began: Instant,
    done: Option<Done>,
}

impl Keys {
    fn forget_oldest(&mut self) {
        if let Some((key, number)) = self.order.pop_front() {
            self.forget(key, number);
        }
    }

    fn forget(&mut self, key: Use, number: u64) {
        if self.by_use.get(&key).is_some_and(|entry| entry.number == number) {
            self.by_use.remove(&key);
        }
    }

    fn is_over(&self, now: Instant, life: Duration) -> bool {
        let oldest = self.order.front().map(|(key, number)| (self.by_use.get(key), number));
        oldest.is_some_and(|(entry, number)| {
            // One that was not done, or whose key was used again since, holds up nobody.
            entry.is_none_or(|entry| entry.number != *number || now.duration_since(entry.began) >= life)
        })
    }
}

impl DoneOnce {
    /// Begins a request, unless its key is known. `most` keys are known, each for `life`.
    pub(super) fn begin(
        self: &Arc<Self>,
        key: Use,
        fingerprint: Fingerprint,
        now: Instant,
        (most, life): (usize, Duration),
    ) -> Begun {
        let mut keys = self.keys();
        while keys.is_over(now, life) {
            keys.forget_oldest();
        }
        if let Some(known) = keys.by_use.get(&key) {
            return match &known.done {
                _ if known.fingerprint != fingerprint => Begun::Other,
                Some(done) => Begun::Before(done.clone()),
                None => Begun::Running,
            };
        }
        while keys.order.len() >= most {
            keys.forget_oldest();
        }
        keys.last += 1;
        let number = keys.last;
        keys.order.push_back((key, number));
        keys.by_use.insert(key, Entry { number, fingerprint, began: now, done: None });
        Begun::Now(Ticket { all: self.clone(), key, number })
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        // Whoever panicked with it in hand left it whole: nothing in here can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being done. Dropped, it was not.
pub(super) struct Ticket {
    all: Arc<DoneOnce>,
    key: Use,
    number: u64,
}

impl Ticket {
    /// Remembers the answer.
    pub(super) fn done(self, done: Done) {
        let mut keys = self.all.keys();
        if let Some(entry) = keys.by_use.get_mut(&self.key).filter(|entry| entry.number == self.number) {
            entry.done = Some(done);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut keys = self.all.keys();
        if keys.by_use.get(&self.key).is_some_and(|entry| entry.number == self.number && entry.done.is_none()) {
            keys.by_use.remove(&self.key);
        }
    }
}

/// Why a request with a known key is not answered as the first was: it is another one, or the first is under way.
pub(super) fn refusal(is_another: bool) -> ApiError {
    if is_another {
        let other = "This Idempotency-Key was used for another request to this path; a new request needs a new key.";
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, other).into();
    }
    let running = "The request with this Idempotency-Key is still being carried out.";
    let mut problem = Problem::new(StatusCode::CONFLICT, running);
    problem.retry_after = Some(Duration::from_secs(1));
    problem.into()
}

/// The body of a request, for those that have none.
pub(super) const NO_BODY: Bytes = Bytes::new();

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const LIFE: Duration = Duration::from_secs(60);

    fn print(number: u8) -> Fingerprint {
        Fingerprint([number; 32])
    }

    fn key(name: &str) -> Use {
        Use::of(&TestRequest::post().uri("/api/hubs/a/:send").to_http_request(), name)
    }

    fn accepted() -> Done {
        Done::of(&HttpResponse::Accepted().insert_header(("x", "1")).finish()).unwrap()
    }

    /// What `begin` says, in a word.
    fn word(begun: &Begun) -> &'static str {
        match begun {
            Begun::Now(_) => "now",
            Begun::Before(_) => "before",
            Begun::Running => "running",
            Begun::Other => "other",
        }
    }

    #[test]
    fn a_request_is_done_once_and_answered_twice() {
        let (all, now) = (Arc::new(DoneOnce::default()), Instant::now());
        let begin = |number| all.begin(key("key"), print(number), now, (10, LIFE));
        let Begun::Now(ticket) = begin(1) else { panic!("not begun") };
        assert_eq!((word(&begin(1)), word(&begin(2))), ("running", "other"));
        ticket.done(accepted());
        let Begun::Before(done) = begin(1) else { panic!("not known") };
        let again = done.again();
        assert_eq!((again.status(), again.headers().len()), (StatusCode::ACCEPTED, 2));
        assert_eq!(word(&begin(2)), "other");
    }

    #[test]
    fn what_was_not_done_may_be_tried_again() {
        let (all, now) = (Arc::new(DoneOnce::default()), Instant::now());
        let begin = |number| all.begin(key("key"), print(number), now, (10, LIFE));
        drop(begin(1));
        assert_eq!(word(&begin(2)), "now");
        assert!(Done::of(&HttpResponse::NotFound().finish()).is_none());
    }

    #[test]
    fn keys_are_forgotten_when_they_are_old_or_too_many() {
        let (all, now) = (Arc::new(DoneOnce::default()), Instant::now());
        let done = |name: &str, at| match all.begin(key(name), print(1), at, (3, LIFE)) {
            Begun::Now(ticket) => ticket.done(accepted()),
            begun => panic!("{name} is {}", word(&begun)),
        };
        let known = |name: &str, at| word(&all.begin(key(name), print(1), at, (3, LIFE))) == "before";
        for name in ["a", "b", "c"] {
            done(name, now);
        }
        assert!(known("a", now + LIFE - Duration::from_secs(1)));
        done("d", now);
        assert!(known("b", now) && known("d", now) && !known("a", now));
        assert!(!known("c", now + LIFE));
        // Those that fail do not add up either.
        for number in 0..100 {
            drop(all.begin(key(&number.to_string()), print(1), now, (3, LIFE)));
        }
        let keys = all.keys();
        assert!(keys.order.len() <= 3 && keys.by_use.len() <= 3, "{}", keys.order.len());
    }

    #[test]
    fn a_key_that_is_used_again_does_not_end_with_its_first_use() {
        let (all, now) = (Arc::new(DoneOnce::default()), Instant::now());
        drop(all.begin(key("a"), print(1), now, (3, LIFE)));
        let Begun::Now(ticket) = all.begin(key("a"), print(2), now + LIFE / 2, (3, LIFE)) else { panic!("not begun") };
        ticket.done(accepted());
        assert_eq!(word(&all.begin(key("a"), print(2), now + LIFE, (3, LIFE))), "before");
    }

    #[test]
    fn requests_differ_by_all_that_counts_and_nothing_else() {
        let request = |path: &str, header: (&'static str, &'static str)| {
            TestRequest::post().uri(path).insert_header(header).to_http_request()
        };
        let text = ("content-type", "text/plain");
        let first = Fingerprint::of(&request("/api/hubs/a/:send?x=1", text), b"x");
        let traced =
            TestRequest::post().uri("/api/hubs/a/:send?x=1").insert_header(text).insert_header(("date", "now"));
        assert_eq!(first, Fingerprint::of(&traced.to_http_request(), b"x"));
        for other in [
            Fingerprint::of(&request("/api/hubs/a/:send?x=2", text), b"x"),
            Fingerprint::of(&request("/api/hubs/a/:send?x=1", ("content-type", "application/json")), b"x"),
            Fingerprint::of(&request("/api/hubs/a/:send?x=1", ("x-webpubsub-metadata-a", "text/plain")), b"x"),
            Fingerprint::of(&request("/api/hubs/a/:send?x=1", text), b"y"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_key_counts_for_one_method_and_path() {
        let of = |request: TestRequest, key: &str| Use::of(&request.to_http_request(), key);
        let put = |path: &str| TestRequest::put().uri(path);
        assert_eq!(of(put("/api/a?x=1"), "1"), of(put("/api/a?x=2"), "1"));
        for other in [
            of(put("/api/b"), "1"),
            of(TestRequest::delete().uri("/api/a"), "1"),
            of(put("/api/a"), "2"),
            of(put("/api/"), "a1"),
        ] {
            assert_ne!(of(put("/api/a"), "1"), other);
        }
    }

    #[test]
    fn a_key_is_one_short_text() {
        let key = |keys: &[&str]| {
            let mut request = TestRequest::post();
            for key in keys {
                request = request.append_header((KEY, *key));
            }
            key_of(&request.to_http_request()).ok()
        };
        let long = "k".repeat(MAX_KEY_BYTES + 1);
        assert_eq!((key(&[]), key(&["a b"])), (Some(None), Some(Some("a b".to_owned()))));
        for bad in [&[""][..], &["a", "a"], &["ä"], &[long.as_str()]] {
            assert_eq!(key(bad), None, "{bad:?}");
        }
    }
}
