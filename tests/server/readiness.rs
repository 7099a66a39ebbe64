//! `/ready`: whether the user store is reachable, asked so that nobody can load it by asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use folkmoot::users::{PasswordHash, StoreError, StoreFuture, StoredUser, UserRecord, UserStore};
use folkmoot::{Server, UserId};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{Answer, DEADLINE, Setup, TestServer};

/// A store that is there or not, and counts how often it is asked for that.
#[derive(Default)]
struct Doubtful {
    gone: AtomicBool,
    asked: AtomicUsize,
}

impl Doubtful {
    fn nothing<T: Send>(&self) -> StoreFuture<'_, T> {
        Box::pin(async { Err(StoreError::Unavailable("it knows nobody".into())) })
    }
}

impl UserStore for Doubtful {
    fn find<'a>(&'a self, _: &'a UserId) -> StoreFuture<'a, Option<StoredUser>> {
        self.nothing()
    }
    fn insert<'a>(&'a self, _: &'a UserRecord, _: &'a PasswordHash) -> StoreFuture<'a, ()> {
        self.nothing()
    }
    fn update<'a>(&'a self, _: &'a UserRecord) -> StoreFuture<'a, ()> {
        self.nothing()
    }
    fn set_password<'a>(&'a self, _: &'a UserId, _: &'a PasswordHash) -> StoreFuture<'a, ()> {
        self.nothing()
    }
    fn set_disabled<'a>(&'a self, _: &'a UserId, _: bool) -> StoreFuture<'a, ()> {
        self.nothing()
    }
    fn remove<'a>(&'a self, _: &'a UserId) -> StoreFuture<'a, ()> {
        self.nothing()
    }
    fn list<'a>(&'a self, _: Option<&'a UserId>, _: u32) -> StoreFuture<'a, Vec<UserRecord>> {
        self.nothing()
    }
    fn revision(&self) -> StoreFuture<'_, i64> {
        Box::pin(async { Ok(1) })
    }
    fn ping(&self) -> StoreFuture<'_, ()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let gone = self.gone.load(Ordering::Relaxed);
        Box::pin(async move { if gone { Err(StoreError::Unavailable("the cable is cut".into())) } else { Ok(()) } })
    }
    fn describe(&self) -> String {
        "a store in a test".into()
    }
}

async fn start(store: &Arc<Doubtful>) -> TestServer {
    let store = store.clone();
    Setup::new().start_with(move |config| Server::new(config).store(store)).await
}

/// Asks until the status is this one.
async fn ready_becomes(server: &TestServer, status: u16) -> Answer {
    let asking = timeout(DEADLINE, async {
        loop {
            let answer = server.http("GET", "/ready", &[], "").await;
            if answer.status == status {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    asking.await.expect("the answer of /ready does not change")
}

#[tokio::test]
async fn a_store_that_is_gone_makes_the_server_not_ready_and_one_that_is_back_ready_again() {
    let store = Arc::new(Doubtful::default());
    let server = start(&store).await;
    ready_becomes(&server, 200).await;
    store.gone.store(true, Ordering::Relaxed);
    let gone = ready_becomes(&server, 503).await.json();
    assert_eq!((&gone["ready"], &gone["draining"], &gone["store"]), (&json!(false), &json!(false), &json!(false)));
    let reasons = gone["reasons"].as_array().unwrap();
    assert!(reasons.len() == 1 && reasons[0].as_str().unwrap().contains("the cable is cut"), "{gone}");
    // Who may not look is told no reason.
    let proxied = server.http("GET", "/ready", &[("X-Forwarded-For", "203.0.113.9")], "").await;
    assert_eq!((proxied.status, proxied.json()), (503, json!({"ready": false})));
    // A process that lives is not one to be started anew for it.
    assert_eq!(server.http("GET", "/health", &[], "").await.status, 200);
    store.gone.store(false, Ordering::Relaxed);
    let back = ready_becomes(&server, 200).await.json();
    assert_eq!(back, json!({"ready": true, "draining": false, "store": true}));
}

#[tokio::test]
async fn the_store_is_asked_once_a_second_however_many_ask_the_server() {
    let store = Arc::new(Doubtful::default());
    let server = start(&store).await;
    let began = std::time::Instant::now();
    let asking = (0..50).map(|_| server.http("GET", "/ready", &[], ""));
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let asked = store.asked.load(Ordering::Relaxed);
    assert!(asked as u64 <= 1 + began.elapsed().as_secs(), "{asked} times in {:?}", began.elapsed());
}
