//! Feeds arbitrary bytes to the frame decoder, whole and cut: no panic, no memory beyond the limits, the same events.
#![no_main]

use folkmoot::fuzzing::{Decoder, DecoderLimits, Inbound};
use libfuzzer_sys::fuzz_target;

const LIMITS: DecoderLimits = DecoderLimits { max_frame_bytes: 2048, max_message_bytes: 4096, max_fragments: 8 };
/// A control frame and the bookkeeping.
const CONSTANT: usize = 125 + 96;

fn decode(bytes: &[u8], chunk: usize) -> (Vec<Inbound>, bool) {
    let mut decoder = Decoder::new(LIMITS);
    let (mut events, mut refused) = (Vec::new(), false);
    for chunk in bytes.chunks(chunk) {
        let mut chunk = chunk.to_vec();
        let mut input = chunk.as_mut_slice();
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => refused = true,
            }
        }
        assert!(decoder.buffered_bytes() <= LIMITS.max_message_bytes + CONSTANT);
    }
    (events, refused)
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else { return };
    assert_eq!(decode(bytes, usize::from(cut) + 1), decode(bytes, bytes.len().max(1)));
});
