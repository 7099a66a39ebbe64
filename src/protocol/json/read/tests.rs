//! What is read from frames of the real SDKs, and what is said about frames that are not valid.

use proptest::prelude::*;

use super::*;

fn read(frame: &str) -> Result<ClientFrame, FrameError> {
    parse(&Bytes::copy_from_slice(frame.as_bytes()), &ParseOptions::default())
}

fn group(name: &str) -> Target {
    Target::parse(name, true).unwrap()
}

fn send(data: Data, ack_id: Option<u64>, no_echo: bool) -> ClientFrame {
    ClientFrame::SendToGroup {
        target: group("sales/europe"),
        data,
        metadata: None,
        no_echo,
        must_exist: false,
        ttl_seconds: None,
        ack_id,
    }
}

#[test]
fn frames_of_the_javascript_sdk_are_read() {
    let join = read(r#"{"type":"joinGroup","group":"sales/europe","ackId":1}"#);
    assert_eq!(join, Ok(ClientFrame::JoinGroup { target: group("sales/europe"), ack_id: Some(1) }));
    let leave = read(r#"{"type":"leaveGroup","group":"other","ackId":10}"#);
    assert_eq!(leave, Ok(ClientFrame::LeaveGroup { target: group("other"), ack_id: Some(10) }));
    for (frame, expected) in [
        (
            r#"{"type":"sendToGroup","group":"sales/europe","ackId":2,"dataType":"json","data":{"a":1},"noEcho":false}"#,
            send(Data::json(&serde_json::json!({"a": 1})), Some(2), false),
        ),
        (
            r#"{"type":"sendToGroup","group":"sales/europe","ackId":3,"dataType":"text","data":"hi","noEcho":true}"#,
            send(Data::text("hi"), Some(3), true),
        ),
        (
            r#"{"type":"sendToGroup","group":"sales/europe","ackId":4,"dataType":"binary","data":"AQL/","noEcho":false}"#,
            send(Data::binary(vec![1, 2, 255]), Some(4), false),
        ),
        (
            r#"{"type":"sendToGroup","group":"sales/europe","ackId":5,"dataType":"protobuf","data":"CAE=","noEcho":false}"#,
            send(Data::protobuf(vec![8, 1]), Some(5), false),
        ),
        (
            r#"{"type":"sendToGroup","group":"sales/europe","dataType":"text","data":"x","noEcho":false}"#,
            send(Data::text("x"), None, false),
        ),
    ] {
        assert_eq!(read(frame), Ok(expected), "{frame}");
    }
    assert_eq!(read(r#"{"type":"ping"}"#), Ok(ClientFrame::Ping));
    assert_eq!(read(r#"{"type":"sequenceAck","sequenceId":4}"#), Ok(ClientFrame::SequenceAck { sequence_id: 4 }));
}

#[test]
fn frames_of_the_python_sdk_with_their_spaces_are_read() {
    let sent = read(
        r#"{"type": "sendToGroup", "group": "sales/europe", "ackId": 2, "dataType": "json", "data": {"a": 1}, "noEcho": false}"#,
    );
    let Ok(ClientFrame::SendToGroup { data, .. }) = sent else { panic!("{sent:?}") };
    assert_eq!(data.payload(), r#"{"a": 1}"#, "the data passes byte for byte");
    let event =
        read(r#"{"type": "event", "event": "custom-system", "ackId": 6, "dataType": "json", "data": {"x": 1}}"#);
    let Ok(ClientFrame::Event { name, ack_id, .. }) = event else { panic!("{event:?}") };
    assert_eq!((name.as_str(), ack_id), ("custom-system", Some(6)));
    let ack = read(r#"{"type": "sequenceAck", "sequenceId": 3}"#);
    assert_eq!(ack, Ok(ClientFrame::SequenceAck { sequence_id: 3 }));
}

#[test]
fn data_and_metadata_are_parts_of_the_message_not_copies() {
    let message = Bytes::from_static(br#"{"type":"sendToGroup","group":"g","data":[1, 2],"metadata":{"k": "v"}}"#);
    let Ok(ClientFrame::SendToGroup { data, metadata, .. }) = parse(&message, &ParseOptions::default()) else {
        panic!()
    };
    let inside = |part: &[u8]| message.as_ptr_range().contains(&part.as_ptr());
    let metadata = metadata.unwrap();
    assert!(inside(&data.payload()) && inside(&metadata));
    assert_eq!((data.payload().as_ref(), metadata.as_ref()), (&b"[1, 2]"[..], &br#"{"k": "v"}"#[..]));
}

#[test]
fn the_type_counts_in_any_case_and_unknown_properties_are_ignored() {
    let frame = read(r#"{"x":{"type":[]},"TYPE":7,"TYPE":8,"type":"JOINGROUP","group":"g"}"#);
    assert_eq!(frame, Ok(ClientFrame::JoinGroup { target: group("g"), ack_id: None }));
    assert!(read(r#"{"type":"sendToGroup","group":"g","dataType":"TEXT","data":"x"}"#).is_ok());
}

#[test]
fn data_type_is_json_unless_said() {
    let sent = read(r#"{"type":"sendToGroup","group":"sales/europe","data":"hi"}"#);
    assert_eq!(sent, Ok(send(Data::json(&"hi".into()), None, false)));
}

#[test]
fn metadata_may_go_alone_and_a_ttl_of_zero_is_none() {
    let sent = read(r#"{"type":"sendToGroup","group":"g","metadata":{"k":"v"},"ttlSeconds":0,"mustExist":true}"#);
    let Ok(ClientFrame::SendToGroup { data, metadata, ttl_seconds, must_exist, .. }) = sent else { panic!("{sent:?}") };
    assert_eq!((data, metadata, ttl_seconds, must_exist), (Data::text(""), Some(r#"{"k":"v"}"#.into()), None, true));
    assert!(read(r#"{"type":"sendToGroup","group":"g","metadata":{}}"#).is_err());
}

#[test]
fn questions_are_read_with_their_limits() {
    let page = |limit, token: Option<&str>| Page { limit, continuation_token: token.map(Box::from) };
    let name = GroupName::parse("g", true).unwrap();
    assert_eq!(
        read(r#"{"type":"listMembers","group":"g","ackId":1,"limit":20,"continuationToken":"t"}"#),
        Ok(ClientFrame::ListMembers { group: name, page: page(20, Some("t")), ack_id: 1 })
    );
    assert_eq!(
        read(r#"{"type":"listGroups","mask":"sales/*","ackId":2}"#),
        Ok(ClientFrame::ListGroups { mask: Some(group("sales/*")), page: page(200, None), ack_id: 2 })
    );
    assert_eq!(
        read(r#"{"type":"listGroups","ackId":3}"#),
        Ok(ClientFrame::ListGroups { mask: None, page: page(200, None), ack_id: 3 })
    );
    for field in ["group", "mask"] {
        assert_eq!(
            read(&format!(r#"{{"type":"countMembers","{field}":"*","ackId":4}}"#)),
            Ok(ClientFrame::CountMembers { target: group("*"), ack_id: 4 })
        );
    }
}

#[test]
fn with_masks_off_a_wildcard_is_an_ordinary_character() {
    let options = ParseOptions { masks: false, ..ParseOptions::default() };
    let message = Bytes::from_static(br#"{"type":"joinGroup","group":"sales/*"}"#);
    let frame = parse(&message, &options);
    assert!(matches!(frame, Ok(ClientFrame::JoinGroup { target: Target::Group(_), .. })), "{frame:?}");
}

/// Each row of protocol 1.10, every one with an `ackId` that has to be found.
#[test]
fn a_frame_that_is_not_valid_is_told_what_is_wrong_and_keeps_its_ack_id() {
    let deep = format!(r#""type":"sendToGroup","group":"g","data":{}{}"#, "[".repeat(65), "]".repeat(65));
    for (fields, sentence) in [
        (r#""type":"nope""#, "unknown type 'nope'"),
        (r#""type":"invoke","invocationId":"1","target":"event","event":"inv""#, "unknown type 'invoke'"),
        (r#""group":"g""#, "the frame has no 'type'"),
        (r#""type":7"#, "'type' is not a string"),
        (r#""type":"joinGroup""#, "the frame has no 'group'"),
        (r#""type":"joinGroup","group":null"#, "the frame has no 'group'"),
        (r#""type":"joinGroup","group":["g"]"#, "'group' is not a string"),
        (r#""type":"joinGroup","group":"g","group":"h""#, "the frame has 'group' more than once"),
        (r#""type":"joinGroup","group":" ""#, "the group name is blank"),
        (r#""type":"joinGroup","group":"a\nb""#, "the group name has a control character"),
        (r#""type":"joinGroup","group":"a[b""#, "the mask has a '[' without its ']'"),
        (r#""type":"sendToGroup","group":"??????","data":1"#, "the mask has more than 5 wildcards"),
        (r#""type":"sendToGroup","group":"g""#, "the frame has no 'data'"),
        (r#""type":"sendToGroup","group":"g","data":null"#, "'data' is null"),
        (r#""type":"sendToGroup","group":"g","data":1,"noEcho":"yes""#, "'noEcho' is not true or false"),
        (
            r#""type":"sendToGroup","group":"g","data":1,"dataType":"xml""#,
            "'dataType' is not text, json, binary or protobuf",
        ),
        (r#""type":"sendToGroup","group":"g","data":1,"ttlSeconds":301"#, "'ttlSeconds' is not between 0 and 300"),
        (r#""type":"sendToGroup","group":"g","data":1,"ttlSeconds":-1"#, "'ttlSeconds' is not an unsigned integer"),
        (
            r#""type":"sendToGroup","group":"g","data":1,"metadata":[]"#,
            "'metadata' is not an object from string to string",
        ),
        (r#""type":"sendToGroup","group":"g","stream":{"streamId":"1"}"#, "this server has no streams"),
        (&*deep, "'data' is nested deeper than 64 levels"),
        (
            r#""type":"sendToGroup","group":"g","data":1,"dataType":"text""#,
            "'data' is not a string of valid characters, as dataType text needs",
        ),
        (
            r#""type":"sendToGroup","group":"g","data":"A","dataType":"binary""#,
            "'data' is not a base64 string with padding, as dataType binary and protobuf need",
        ),
        (
            r#""type":"event","event":"1x","data":1"#,
            "an event name is a letter, then up to 127 letters, digits or _ . -",
        ),
        (r#""type":"event","event":"e""#, "the frame has no 'data'"),
        (r#""type":"event","data":1"#, "the frame has no 'event'"),
        (r#""type":"listMembers","group":"*""#, "the group name has a wildcard ('*'), which only a mask may have"),
        (r#""type":"listGroups","limit":0"#, "'limit' is not between 1 and 200"),
        (r#""type":"listGroups","limit":201"#, "'limit' is not between 1 and 200"),
        (r#""type":"countMembers""#, "the frame needs either 'group' or 'mask'"),
        (r#""type":"countMembers","group":"a","mask":"b""#, "the frame needs either 'group' or 'mask'"),
    ] {
        for frame in [format!(r#"{{"ackId":7,{fields}}}"#), format!(r#"{{{fields},"ackId":7}}"#)] {
            let too_deep = sentence.contains("nested deeper");
            let error = FrameError { too_deep, ..FrameError::new(Some(7), sentence.into()) };
            assert_eq!(read(&frame), Err(error), "{frame}");
        }
    }
}

#[test]
fn without_a_readable_ack_id_there_is_none() {
    for (frame, sentence) in [
        ("", "the frame is not JSON: EOF while parsing a value at line 1 column 0"),
        (r#"{"type":"ping","ackId":1"#, "the frame is not JSON: EOF while parsing an object at line 1 column 24"),
        (r#"{"type":"ping"} x"#, "the frame is not JSON: trailing characters at line 1 column 17"),
        (r#"["ping"]"#, "a frame is one JSON object"),
        (r#""ping""#, "a frame is one JSON object"),
        (r#"{"type":"ping","ackId":"1"}"#, "'ackId' is not an unsigned integer"),
        (r#"{"type":"ping","ackId":-1}"#, "'ackId' is not an unsigned integer"),
        (r#"{"type":"ping","ackId":18446744073709551616}"#, "'ackId' is not an unsigned integer"),
        (r#"{"type":"ping","ackId":1,"ackId":2}"#, "the frame has 'ackId' more than once"),
        (r#"{"type":"listGroups"}"#, "the frame has no 'ackId'"),
    ] {
        assert_eq!(read(frame), Err(FrameError::new(None, sentence.into())), "{frame}");
    }
}

#[test]
fn an_array_is_not_taken_for_a_frame_by_position() {
    let all = r#"["ping",null,null,null,null,1,null,null,null,null,null,null,null,null,null]"#;
    assert_eq!(read(all), Err(FrameError::new(None, "a frame is one JSON object".into())));
}

#[test]
fn no_complaint_repeats_the_peers_text_at_length() {
    let long = "x".repeat(100_000);
    for frame in [
        format!(r#"{{"type":"{long}"}}"#),
        format!(r#"{{"type":"ping","ackId":"{long}"}}"#),
        format!(r#""{long}""#),
        format!(r#"{{"type":"event","event":"{long}","data":1}}"#),
        format!(r#"{{"type":"joinGroup","group":"{long}"}}"#),
        format!(r#"{{"type":"listGroups","ackId":1,"continuationToken":"{long}"}}"#),
    ] {
        let message = read(&frame).unwrap_err().message;
        assert!(message.len() < 200, "{message}");
    }
}

#[test]
fn nesting_without_end_exhausts_nothing() {
    for deep in ["[".repeat(500_000), format!(r#"{{"x":{}"#, r#"{"x":"#.repeat(200_000))] {
        assert!(read(&deep).is_err());
        assert!(read(&format!(r#"{{"type":"ping","x":{deep}"#)).is_err());
    }
    let ignored = format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(read(&ignored), Ok(ClientFrame::Ping));
}

proptest! {
    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in any::<Vec<u8>>()) {
        let _ = parse(&bytes.into(), &ParseOptions::default());
    }

    #[test]
    fn anything_that_looks_like_a_frame_is_one_or_an_error(
        kind in "sendToGroup|joinGroup|event|listMembers|listGroups|countMembers|ping|sequenceAck",
        fields in proptest::collection::vec((
            "group|mask|event|dataType|data|metadata|stream|noEcho|mustExist|ttlSeconds|ackId|limit|sequenceId|x",
            "null|true|-?[1-9][0-9]{0,2}|0|[0-9]\\.5|\"[a-z*?\\[\\]]{0,4}\"|\"\\\\u[d0][89][0-9]{2}\"|\"text\"|\"binary\"|\"AQL/\"|\\{\\}|\\{\"k\":\"v\"\\}|\\[1\\]",
        ), 0..8),
    ) {
        let fields: String = fields.iter().map(|(name, value)| format!(r#","{name}":{value}"#)).collect();
        let frame = format!(r#"{{"type":"{kind}"{fields}}}"#);
        if let Err(error) = read(&frame) {
            prop_assert!(error.message != "the frame is not valid" && !error.message.contains("not JSON"), "{}: {}", frame, error);
        }
    }

    #[test]
    fn data_passes_byte_for_byte(text in any::<String>(), spaces in " {0,3}") {
        let data = format!(r#"{{{spaces}"k":{spaces}{}}}"#, serde_json::Value::from(text));
        let sent = read(&format!(r#"{{"type":"sendToGroup","group":"g","data":{spaces}{data}{spaces}}}"#));
        let Ok(ClientFrame::SendToGroup { data: read, .. }) = sent else { panic!("{sent:?}") };
        let mut json = Vec::new();
        read.write_json(&mut json);
        prop_assert_eq!(json, data.as_bytes());
    }
}
