//! What holds for every input: cutting changes nothing, and no bytes make us panic or hold more than the limits.

use proptest::prelude::*;

use super::tests::{LIMITS, Outcome, feed, frame};
use super::{Decoder, DecoderLimits};
use crate::transport::opcode::Opcode::{self, *};

/// A control frame, and `Pending` itself.
const CONSTANT: usize = 125 + 96;

/// A message in one or more frames with control frames between them, as bytes.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::collection::vec("\\PC{0,60}", 1..5)
        .prop_map(|parts| (Text, parts.into_iter().map(String::into_bytes).collect::<Vec<_>>()));
    let binary =
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5).prop_map(|parts| (Binary, parts));
    let control = prop::option::of((prop::bool::ANY, prop::collection::vec(any::<u8>(), 0..125)));
    (prop_oneof![text, binary], control).prop_map(|((opcode, parts), control)| {
        let last = parts.len() - 1;
        let mut bytes = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let opcode = if at == 0 { opcode } else { Continuation };
            bytes.extend(frame(at == last, opcode, part));
            if let Some((ping, payload)) = &control {
                bytes.extend(frame(true, if *ping { Ping } else { Pong }, payload));
            }
        }
        bytes
    })
}

/// Bytes that get past the first checks more often than noise does.
fn frame_like() -> impl Strategy<Value = Vec<u8>> {
    let opcodes = prop::sample::select(vec![Text, Binary, Continuation, Continuation, Ping, Pong, Opcode::Close]);
    let frame = (any::<bool>(), opcodes, prop::collection::vec(prop::sample::select(vec![b'a', 0xC3, 0xA9]), 0..400))
        .prop_map(|(fin, opcode, payload)| frame(fin || opcode.is_control(), opcode, &payload));
    prop_oneof![4 => frame, 1 => prop::collection::vec(any::<u8>(), 0..30)]
}

fn decode_cut(limits: DecoderLimits, bytes: &[u8], cuts: &[usize]) -> (Outcome, usize) {
    let mut decoder = Decoder::new(limits);
    let (mut outcome, mut held, mut rest) = (Outcome::default(), 0, bytes);
    for cut in cuts.iter().cycle() {
        let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
        feed(&mut decoder, chunk, &mut outcome);
        held = held.max(decoder.buffered_bytes());
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    (outcome, held)
}

proptest! {
    #[test]
    fn valid_frames_mean_the_same_however_they_are_cut(
        messages in prop::collection::vec(message(), 0..6),
        cuts in prop::collection::vec(1..90usize, 1..20),
    ) {
        let bytes = messages.concat();
        let (whole, _) = decode_cut(LIMITS, &bytes, &[bytes.len().max(1)]);
        prop_assert_eq!(whole.1, None);
        prop_assert!(whole.0.len() >= messages.len());
        let (cut, _) = decode_cut(LIMITS, &bytes, &cuts);
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn no_bytes_make_it_panic_or_hold_more_than_the_limits(
        parts in prop::collection::vec(frame_like(), 0..12),
        cuts in prop::collection::vec(1..90usize, 1..20),
        max_frame_bytes in 0..500usize,
        max_message_bytes in 0..1000usize,
        max_fragments in 0..5u32,
    ) {
        let limits = DecoderLimits { max_frame_bytes, max_message_bytes, max_fragments };
        let bytes = parts.concat();
        let (cut, held) = decode_cut(limits, &bytes, &cuts);
        prop_assert!(held <= max_message_bytes + CONSTANT, "{} bytes held", held);
        let (whole, _) = decode_cut(limits, &bytes, &[bytes.len().max(1)]);
        // The violation may be seen at an earlier byte when cut (text fails at once), but never a different set of events.
        prop_assert_eq!(&cut.0, &whole.0);
        prop_assert_eq!(cut.1.is_some(), whole.1.is_some());
    }
}
