//! A client of the reliable subprotocol, which can lose its socket and come back.

use folkmoot::UserData;
use serde_json::{Value, json};

use super::{Client, Handshake, TestServer};

/// The subprotocol of reliable clients.
pub const RELIABLE: &str = "json.reliable.webpubsub.azure.v1";

/// A reliable client; of its socket only what is read from it counts.
pub struct Reliable {
    /// The socket.
    pub client: Client,
    /// The connection's id, which stays.
    pub id: String,
    /// What lets it come back.
    pub token: String,
}

/// A handshake that goes on with a connection.
pub struct Again {
    handshake: Handshake,
    id: String,
    token: String,
    path: String,
}

impl Reliable {
    /// Connects a user of the demo.
    pub async fn connect<U: UserData>(server: &TestServer<U>, number: usize) -> Self {
        let handshake = server.handshake().basic(&format!("user-{number}"), &format!("password-{number}"));
        Reliable::over(handshake).await
    }

    /// Connects by a handshake for the default hub that only lacks the subprotocol.
    pub async fn over(handshake: Handshake) -> Self {
        let client = handshake.subprotocols(&[RELIABLE]).connect().await.unwrap();
        assert_eq!(client.subprotocol.as_deref(), Some(RELIABLE));
        let token = client.greeting["reconnectionToken"].as_str().expect("a reconnection token").to_owned();
        Reliable { id: client.id().to_owned(), client, token }
    }

    /// The handshake by which it comes back; its own credential is not needed.
    pub fn handshake<U: UserData>(&self, server: &TestServer<U>) -> Again {
        let handshake = server.handshake().subprotocols(&[RELIABLE]);
        Again { handshake, id: self.id.clone(), token: self.token.clone(), path: "/ws".to_owned() }
    }

    /// Loses its socket, and waits until the server has noticed.
    pub async fn cut<U: UserData>(&mut self, server: &TestServer<U>) {
        let suspended = server.metric("folkmoot_connections_suspended").await;
        self.client.reset();
        server.metric_becomes("folkmoot_connections_suspended", suspended + 1.0).await;
    }

    /// Comes back.
    pub async fn recover<U: UserData>(&self, server: &TestServer<U>) -> Reliable {
        self.handshake(server).connect_again().await
    }

    /// Loses its socket and is back before the server may have noticed.
    pub async fn cut_and_recover<U: UserData>(mut self, server: &TestServer<U>) -> Reliable {
        self.client.reset();
        self.recover(server).await
    }

    /// Says that everything up to this number has arrived, and waits until the server has heard it.
    pub async fn acknowledge(&mut self, number: u64) {
        self.client.send_json(json!({"type": "sequenceAck", "sequenceId": number})).await;
    }

    /// Reads so many messages.
    pub async fn read(&mut self, count: usize) -> Vec<Value> {
        let mut frames = Vec::with_capacity(count);
        while frames.len() < count {
            let frame = self.client.next_json().await;
            assert_eq!(frame["type"], "message", "{frame}");
            frames.push(frame);
        }
        frames
    }
}

impl Again {
    /// With another token.
    pub fn with_token(self, token: &str) -> Self {
        Again { token: token.to_owned(), ..self }
    }

    /// For another connection.
    pub fn with_id(self, id: &str) -> Self {
        Again { id: id.to_owned(), ..self }
    }

    /// In another hub.
    pub fn at_path(self, path: &str) -> Self {
        Again { path: path.to_owned(), ..self }
    }

    /// Changes the handshake.
    pub fn change(self, change: impl FnOnce(Handshake) -> Handshake) -> Self {
        Again { handshake: change(self.handshake), ..self }
    }

    /// Goes on with the connection. There is no greeting.
    pub async fn connect_again(self) -> Reliable {
        let (id, token) = (self.id.clone(), self.token.clone());
        let client = self.into_handshake().connect_ungreeted().await;
        Reliable { client, id, token }
    }

    /// The handshake. As from an SDK, the access token is still in its query, and has expired long ago.
    pub fn into_handshake(self) -> Handshake {
        let Again { handshake, id, token, path } = self;
        handshake.path(format!("{path}?access_token=expired&awps_connection_id={id}&awps_reconnection_token={token}"))
    }

    /// Is accepted, and closed with 1008; gives the reason.
    pub async fn expect_refusal(self) -> String {
        let mut client = self.into_handshake().connect_ungreeted().await;
        assert_eq!(client.subprotocol.as_deref(), Some(RELIABLE));
        client.expect_bare_close(1008).await
    }
}

/// The texts of messages.
pub fn texts(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["data"].as_str().unwrap()).collect()
}
