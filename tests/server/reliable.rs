//! The reliable subprotocol: numbers, and connections that go on by another socket.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;

use super::support::reliable::{Reliable, texts};
use super::support::{Setup, TestServer, on_both_transports, text_to};

on_both_transports! {
    a_reliable_connection_is_given_a_token_and_numbers_from_one_on,
    what_was_sent_while_a_client_was_away_comes_when_it_is_back_and_in_order,
    what_is_acknowledged_does_not_come_again,
    every_socket_can_be_lost_in_turn_and_workers_change,
    a_socket_that_seems_to_be_alive_is_displaced_and_its_end_ends_nothing,
    thousands_of_messages_survive_cuts_without_loss_or_repetition,
}

async fn a_reliable_connection_is_given_a_token_and_numbers_from_one_on(setup: Setup) {
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    let mut plain = server.demo(2).await;
    assert_eq!(plain.greeting["reconnectionToken"], Value::Null);
    mark.client.join("a").await;
    plain.join("a").await;
    for number in 1..=3 {
        plain.publish("a", "hello").await;
        let frame = mark.client.expect_message("a", "hello").await;
        assert_eq!(frame["sequenceId"], number);
        assert_eq!(plain.expect_message("a", "hello").await["sequenceId"], Value::Null);
    }
    // Keys stand in the order of the reference, the number last; acks and pongs have none.
    plain.publish("a", "x").await;
    let text = mark.client.next_text().await;
    assert!(text.ends_with(r#""dataType":"text","data":"x","sequenceId":4}"#), "{text}");
    mark.client.send_json(json!({"type": "ping"})).await;
    mark.client.expect(json!({"type": "pong"})).await;
}

async fn what_was_sent_while_a_client_was_away_comes_when_it_is_back_and_in_order(setup: Setup) {
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    let mut sender = server.demo(2).await;
    sender.publish("a", "before").await;
    mark.client.expect_message("a", "before").await;
    mark.cut(&server).await;
    for text in ["one", "two", "three"] {
        sender.publish("a", text).await;
    }
    let mut back = mark.recover(&server).await;
    // What it had not acknowledged comes again, and has the numbers that it had.
    let frames = back.read(4).await;
    assert_eq!(texts(&frames), ["before", "one", "two", "three"]);
    assert_eq!(frames.iter().map(|frame| frame["sequenceId"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    sender.publish("a", "after").await;
    assert_eq!(back.client.expect_message("a", "after").await["sequenceId"], 5);
    // It is the same member as before, and can do what it could do.
    back.client.publish("a", "mine").await;
    back.client.expect_message("a", "mine").await;
    back.client.expect_silence().await;
}

async fn what_is_acknowledged_does_not_come_again(setup: Setup) {
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    for text in ["one", "two", "three"] {
        mark.client.publish("a", text).await;
    }
    mark.read(3).await;
    mark.acknowledge(2).await;
    mark.cut(&server).await;
    let mut back = mark.recover(&server).await;
    assert_eq!(texts(&back.read(1).await), ["three"]);
    // One that has everything is sent nothing.
    back.acknowledge(3).await;
    back.cut(&server).await;
    let mut back = back.recover(&server).await;
    back.client.expect_silence().await;
}

async fn every_socket_can_be_lost_in_turn_and_workers_change(setup: Setup) {
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    let mut sender = server.demo(2).await;
    for round in 1..=12 {
        mark.cut(&server).await;
        sender.publish("a", &round.to_string()).await;
        mark = mark.recover(&server).await;
        assert_eq!(texts(&mark.read(1).await), [round.to_string()]);
        mark.acknowledge(round).await;
    }
    assert_eq!(server.metric("folkmoot_recoveries_total").await, 12.0);
    assert_eq!(server.metric("folkmoot_connections").await, 2.0);
}

async fn a_socket_that_seems_to_be_alive_is_displaced_and_its_end_ends_nothing(setup: Setup) {
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    for round in 1..=6 {
        let mut next = mark.handshake(&server).connect_again().await;
        // Its close frame is the last that the old socket brings.
        let close = loop {
            if let Message::Close(close) = mark.client.next().await {
                break close.expect("a code");
            }
        };
        assert_eq!((u16::from(close.code), close.reason.contains("another socket")), (1008, true), "{close:?}");
        next.client.publish("a", "still here").await;
        // Never acknowledged, so all of them come each time.
        let frames = next.read(round).await;
        assert_eq!(frames.last().unwrap()["sequenceId"], round as u64);
        mark = next;
    }
    server.metric_becomes("folkmoot_connections", 1.0).await;
    assert_eq!(server.metric("folkmoot_connections_suspended").await, 0.0);
}

/// Publishes run all the time while the reader loses its socket again and again.
async fn thousands_of_messages_survive_cuts_without_loss_or_repetition(setup: Setup) {
    const MESSAGES: u64 = 3000;
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    let mut sender = server.demo(2).await;
    // No more are on their way than may be unacknowledged.
    let room = Semaphore::new(600);
    let publish = async {
        for number in 1..=MESSAGES {
            room.acquire().await.unwrap().forget();
            if number % 50 == 0 {
                sender.publish("a", &number.to_string()).await;
            } else {
                sender.send_json(text_to("a", &number.to_string())).await;
            }
        }
    };
    let read = async {
        let (mut received, mut cuts) = (0, 0);
        while received < MESSAGES {
            let frame = mark.client.next_json().await;
            let number = frame["sequenceId"].as_u64().unwrap_or_else(|| panic!("no message: {frame}"));
            // What comes again is known by its number; what is missing would leave a gap.
            if number <= received {
                continue;
            }
            assert_eq!((number, frame["data"].as_str()), (received + 1, Some(&*number.to_string())), "{frame}");
            received = number;
            if received % 100 == 0 {
                mark.acknowledge(received).await;
                room.add_permits(100);
            }
            if received % 250 == 17 {
                cuts += 1;
                // Some are still read from when the next is there.
                mark = if cuts % 3 == 0 {
                    mark.handshake(&server).connect_again().await
                } else {
                    mark.cut_and_recover(&server).await
                };
            }
        }
        cuts
    };
    let (cuts, ()) = tokio::join!(read, publish);
    assert!(cuts >= 12, "{cuts} cuts");
    assert_eq!(server.metric("folkmoot_connections").await, 2.0);
}

/// A publish is observed once by each worker that has a receiver, which tells whether the two receivers share one.
#[tokio::test]
async fn a_connection_goes_on_by_the_same_worker_and_by_another() {
    let server = Setup::new().start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    let mut fixed = server.demo(2).await;
    fixed.join("a").await;
    let mut workers = Vec::new();
    while !(workers.contains(&1.0) && workers.contains(&2.0)) {
        assert!(workers.len() < 100, "always the same worker");
        let before = server.metric("folkmoot_delivery_seconds_count").await;
        fixed.publish("a", "x").await;
        fixed.expect_message("a", "x").await;
        let frame = mark.read(1).await.remove(0);
        mark.acknowledge(frame["sequenceId"].as_u64().unwrap()).await;
        workers.push(settled(&server).await - before);
        mark = mark.cut_and_recover(&server).await;
        // What was not acknowledged in time comes again.
        mark.client.drain().await;
    }
}

/// How many turns were observed, when no more are.
async fn settled(server: &TestServer) -> f64 {
    let mut before = -1.0;
    loop {
        let now = server.metric("folkmoot_delivery_seconds_count").await;
        if now == before {
            return now;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
