//! What it costs to read a client's frame and to write a message, by the size of its payload.

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use folkmoot::internals::{
    Decoder, DecoderLimits, GroupMessage, Opcode, ParseOptions, encode, encode_text, group_message, parse,
};
use folkmoot::{Data, GroupName, UserId};

fn main() {
    divan::main();
}

const SIZES: [usize; 4] = [16, 128, 4 * 1024, 64 * 1024];
const LIMITS: DecoderLimits =
    DecoderLimits { max_frame_bytes: 1 << 20, max_message_bytes: 1 << 20, max_fragments: 1024 };

/// A frame as a browser sends it, masked.
fn masked(payload: &[u8]) -> Vec<u8> {
    let key = [0x12, 0x34, 0x56, 0x78];
    let mut frame = encode(Opcode::Text, payload).to_vec();
    let header = frame.len() - payload.len();
    frame[1] |= 0x80;
    frame.splice(header..header, key);
    for (place, byte) in frame[header + 4..].iter_mut().enumerate() {
        *byte ^= key[place % 4];
    }
    frame
}

fn publish(size: usize) -> Bytes {
    let data = "x".repeat(size);
    format!(r#"{{"type":"sendToGroup","group":"sales/europe","dataType":"text","data":"{data}","ackId":7}}"#).into()
}

#[divan::bench(args = SIZES)]
fn unmask_a_frame(bencher: Bencher, size: usize) {
    let frame = masked(&vec![b'x'; size]);
    let mut decoder = Decoder::new(LIMITS);
    bencher
        .counter(BytesCount::new(size))
        .with_inputs(|| frame.clone())
        .bench_local_refs(|frame| decoder.decode(&mut &mut frame[..]).expect("a valid frame"));
}

#[divan::bench(args = SIZES)]
fn parse_a_publish(bencher: Bencher, size: usize) {
    let text = publish(size);
    let options = ParseOptions { masks: true, max_json_depth: 64 };
    bencher.counter(BytesCount::new(size)).bench(|| parse(black_box(&text), &options).expect("a valid frame"));
}

#[divan::bench]
fn parse_a_join(bencher: Bencher) {
    let text = Bytes::from_static(br#"{"type":"joinGroup","group":"sales/europe","ackId":7}"#);
    let options = ParseOptions { masks: true, max_json_depth: 64 };
    bencher.bench(|| parse(black_box(&text), &options).expect("a valid frame"));
}

#[divan::bench(args = SIZES)]
fn encode_a_group_message_as_json(bencher: Bencher, size: usize) {
    let data = Data::text("x".repeat(size));
    let group = GroupName::parse("sales/europe", true).expect("a valid name");
    let user = UserId::parse("user-2").expect("a valid id");
    let message =
        GroupMessage { mask: None, from_user_id: Some(&user), data: &data, metadata: None, announcement: None };
    bencher.counter(BytesCount::new(size)).bench(|| {
        let tail = black_box(&message).encode_tail();
        encode_text(|out| group_message(out, &group, &tail))
    });
}

#[divan::bench(args = SIZES)]
fn encode_a_raw_message(bencher: Bencher, size: usize) {
    let payload = vec![b'x'; size];
    bencher.counter(BytesCount::new(size)).bench(|| encode(Opcode::Text, black_box(&payload)));
}
