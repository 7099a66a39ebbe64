//! What a client without a subprotocol gets: bare payloads, nothing else.
//!
//! No `connected`, ack, pong or `disconnected` frame exists for it; the close frame is all it is told. What its own
//! messages mean is decided by the session.

use bytes::Bytes;

use super::data::{Data, DataType};

/// A WebSocket message for a raw client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// Whether it goes as a binary message; else it is UTF-8 and goes as text.
    pub binary: bool,
    /// The bare payload.
    pub payload: Bytes,
}

/// The message that carries `data` to a raw client: text and JSON as text, the others as binary.
pub fn message(data: &Data) -> RawMessage {
    let binary = matches!(data.data_type(), DataType::Binary | DataType::Protobuf);
    RawMessage { binary, payload: data.payload() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_go_as_text_and_the_others_as_binary() {
        let json = Data::json(&serde_json::json!({"message": "Hello world!"}));
        let expected = RawMessage { binary: false, payload: r#"{"message":"Hello world!"}"#.into() };
        assert_eq!(message(&json), expected);
        assert_eq!(message(&Data::text("hi")), RawMessage { binary: false, payload: "hi".into() });
        let bytes = Bytes::from_static(&[1, 255]);
        assert_eq!(message(&Data::binary(bytes.clone())), RawMessage { binary: true, payload: bytes.clone() });
        assert_eq!(message(&Data::protobuf(bytes.clone())), RawMessage { binary: true, payload: bytes });
    }
}
