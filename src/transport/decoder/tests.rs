//! The decoder against RFC 6455, in the order of the Autobahn suite's categories (named in the test comments).

use bytes::Bytes;

use super::{Decoder, DecoderLimits, Inbound, Violation};
use crate::transport::opcode::Opcode::{self, *};

pub(super) const LIMITS: DecoderLimits =
    DecoderLimits { max_frame_bytes: 70_000, max_message_bytes: 100_000, max_fragments: 8 };

pub(super) type Outcome = (Vec<Inbound>, Option<Violation>);

/// A frame as a client sends it, its length in the fewest bytes.
pub(super) fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xFA, 0x21, 0x3D];
    let mut out = header(fin, opcode as u8, payload.len() as u64);
    out.extend(key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// The bytes before the masking key.
fn header(fin: bool, opcode: u8, len: u64) -> Vec<u8> {
    let mut out = vec![u8::from(fin) << 7 | opcode];
    match len {
        0..=125 => out.push(0x80 | len as u8),
        126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend(len.to_be_bytes());
        }
    }
    out
}

fn text(payload: &str) -> Vec<u8> {
    frame(true, Text, payload.as_bytes())
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(true, Close, &[&code.to_be_bytes(), reason].concat())
}

/// Feeds a chunk and collects events until the decoder wants more or refuses.
pub(super) fn feed(decoder: &mut Decoder, chunk: &[u8], (events, violation): &mut Outcome) {
    let mut chunk = chunk.to_vec();
    let mut input = chunk.as_mut_slice();
    loop {
        match decoder.decode(&mut input) {
            Ok(Some(event)) => events.push(event),
            Ok(None) => break,
            Err(refused) => {
                assert_eq!(violation.replace(refused), None, "a violation is reported once");
                break;
            }
        }
    }
    assert!(input.is_empty(), "all input was taken");
}

fn decode_in(chunk: usize, bytes: &[u8]) -> Outcome {
    let mut decoder = Decoder::new(LIMITS);
    let mut outcome = Outcome::default();
    for chunk in bytes.chunks(chunk) {
        feed(&mut decoder, chunk, &mut outcome);
    }
    outcome
}

/// Decodes frames, and insists that whole, in threes and byte by byte they mean the same.
fn decode<B: AsRef<[u8]>>(frames: &[B]) -> Outcome {
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.as_ref()).copied().collect();
    let whole = decode_in(bytes.len().max(1), &bytes);
    for chunk in [1, 3] {
        assert_eq!(decode_in(chunk, &bytes), whole, "in chunks of {chunk}");
    }
    whole
}

fn accepts<B: AsRef<[u8]>>(frames: &[B], expected: &[Inbound]) {
    assert_eq!(decode(frames), (expected.to_vec(), None));
}

fn refuses<B: AsRef<[u8]>>(frames: &[B], violation: Violation) {
    assert_eq!(decode(frames).1, Some(violation));
}

fn text_event(text: &str) -> Inbound {
    Inbound::Text(Bytes::copy_from_slice(text.as_bytes()))
}

fn binary_event(data: &[u8]) -> Inbound {
    Inbound::Binary(Bytes::copy_from_slice(data))
}

// Category 1: framing, section 5.2.

#[test]
fn the_example_of_the_rfc_says_hello() {
    accepts(&[[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]], &[text_event("Hello")]);
}

#[test]
fn messages_at_the_borders_of_the_length_encodings_arrive_whole() {
    for len in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..len).map(|i| b'a' + (i % 26) as u8).collect();
        let expected = Bytes::from(payload.clone());
        accepts(&[frame(true, Text, &payload)], &[Inbound::Text(expected.clone())]);
        accepts(&[frame(true, Binary, &payload)], &[Inbound::Binary(expected)]);
    }
}

#[test]
fn several_messages_in_one_chunk_arrive_in_order() {
    accepts(
        &[text("one"), text("two"), frame(true, Binary, &[3])],
        &[text_event("one"), text_event("two"), binary_event(&[3])],
    );
}

#[test]
fn a_length_in_more_bytes_than_needed_is_refused() {
    for header in [&[0x81, 0xFE, 0, 125][..], &[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], &[0x81, 0xFE, 0, 0]] {
        refuses(&[header], Violation::NonMinimalLength);
    }
}

#[test]
fn an_unmasked_frame_is_refused() {
    refuses(&[[0x81, 0x05, b'H', b'e', b'l', b'l', b'o']], Violation::Unmasked);
    refuses(&[[0x81, 0x00]], Violation::Unmasked);
}

// Category 2: pings and pongs, section 5.5.

#[test]
fn a_ping_carries_up_to_125_bytes() {
    accepts(&[frame(true, Ping, &[])], &[Inbound::Ping(Bytes::new())]);
    accepts(&[frame(true, Ping, &[0xFE; 125])], &[Inbound::Ping(Bytes::from(vec![0xFE; 125]))]);
}

#[test]
fn a_control_frame_of_126_bytes_is_refused() {
    for opcode in [Ping, Pong, Close] {
        refuses(&[header(true, opcode as u8, 126)], Violation::LongControl);
    }
}

#[test]
fn pongs_that_nobody_asked_for_are_events() {
    accepts(
        &[frame(true, Pong, b"unasked"), frame(true, Pong, &[]), text("x")],
        &[Inbound::Pong, Inbound::Pong, text_event("x")],
    );
}

#[test]
fn a_frame_limit_below_125_bytes_does_not_forbid_pings() {
    let mut decoder = Decoder::new(DecoderLimits { max_frame_bytes: 1, max_message_bytes: 1, max_fragments: 1 });
    let mut outcome = Outcome::default();
    feed(&mut decoder, &frame(true, Ping, b"four"), &mut outcome);
    assert_eq!(outcome, (vec![Inbound::Ping(Bytes::from_static(b"four"))], None));
}

// Category 3: reserved bits.

#[test]
fn each_reserved_bit_is_refused_on_each_opcode() {
    for opcode in [Text, Binary, Continuation, Ping, Pong, Close] {
        for bits in 1..=7u8 {
            let mut bytes = frame(true, opcode, b"x");
            bytes[0] |= bits << 4;
            refuses(&[bytes], Violation::ReservedBits);
        }
    }
}

#[test]
fn what_came_before_a_violation_is_delivered() {
    let (events, violation) = decode(&[text("before"), vec![0xC1], text("after")]);
    assert_eq!((events, violation), (vec![text_event("before")], Some(Violation::ReservedBits)));
}

// Category 4: opcodes.

#[test]
fn reserved_opcodes_are_refused() {
    for bits in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        refuses(&[[0x80 | bits]], Violation::UnknownOpcode(bits));
    }
}

// Category 5: fragments, section 5.4.

#[test]
fn fragments_become_one_message() {
    accepts(
        &[frame(false, Text, b"frag"), frame(false, Continuation, b"men"), frame(true, Continuation, b"ts")],
        &[text_event("fragments")],
    );
    accepts(&[frame(false, Binary, &[]), frame(true, Continuation, &[9, 9])], &[binary_event(&[9, 9])]);
}

#[test]
fn empty_fragments_make_an_empty_message() {
    accepts(
        &[frame(false, Text, &[]), frame(false, Continuation, &[]), frame(true, Continuation, &[])],
        &[text_event("")],
    );
}

#[test]
fn control_frames_may_come_between_fragments() {
    accepts(
        &[
            frame(false, Text, b"frag"),
            frame(true, Ping, b"?"),
            frame(true, Pong, b"!"),
            frame(true, Continuation, b"ment"),
        ],
        &[Inbound::Ping(Bytes::from_static(b"?")), Inbound::Pong, text_event("fragment")],
    );
}

#[test]
fn a_fragmented_control_frame_is_refused() {
    for opcode in [Ping, Pong, Close] {
        refuses(&[frame(false, opcode, &[])], Violation::FragmentedControl);
    }
}

#[test]
fn a_continuation_of_nothing_is_refused() {
    refuses(&[frame(true, Continuation, b"x")], Violation::UnexpectedContinuation);
    refuses(&[frame(false, Continuation, b"x")], Violation::UnexpectedContinuation);
    refuses(&[text("whole"), frame(true, Continuation, b"x")], Violation::UnexpectedContinuation);
    let ended = [frame(false, Text, b"a"), frame(true, Continuation, b"b"), frame(true, Continuation, b"c")];
    refuses(&ended, Violation::UnexpectedContinuation);
}

#[test]
fn a_new_message_inside_a_fragmented_one_is_refused() {
    for opcode in [Text, Binary] {
        refuses(&[frame(false, Text, b"a"), frame(true, opcode, b"b")], Violation::InterruptedMessage);
        refuses(&[frame(false, Binary, b"a"), frame(false, opcode, b"b")], Violation::InterruptedMessage);
    }
}

#[test]
fn more_fragments_than_allowed_are_refused_even_when_empty() {
    let mut frames = vec![frame(false, Text, &[])];
    frames.extend(vec![frame(false, Continuation, &[]); 6]);
    let allowed = [frames.clone(), vec![frame(true, Continuation, b"8th")]].concat();
    accepts(&allowed, &[text_event("8th")]);
    frames.extend([frame(false, Continuation, &[]), frame(true, Continuation, b"9th")]);
    refuses(&frames, Violation::TooManyFragments);
    assert_eq!(Violation::TooManyFragments.close_code(), 1009);
}

// Category 6: UTF-8, section 8.1.

const BAD_TEXTS: [&[u8]; 12] = [
    b"\x80",                             // a continuation byte first
    b"\xC0\xAF",                         // '/' in two bytes
    b"\xC1\xBF",                         // the last overlong form of two bytes
    b"\xE0\x80\xAF",                     // '/' in three bytes
    b"\xF0\x80\x80\xAF",                 // '/' in four bytes
    b"\xED\xA0\x80",                     // the first surrogate
    b"\xED\xBF\xBF",                     // the last surrogate
    b"\xF4\x90\x80\x80",                 // beyond U+10FFFF
    b"\xF8\x88\x80\x80\x80",             // five bytes
    b"\xFF",                             // never valid
    b"\xCE\xBA\xE1\xBD\xB9\xED\xA0\x80", // valid, then a surrogate
    b"a\xE2\x82z",                       // a character cut by another
];

#[test]
fn text_that_is_not_utf8_is_refused_however_it_is_cut() {
    for bad in BAD_TEXTS {
        refuses(&[frame(true, Text, bad)], Violation::InvalidUtf8);
        for cut in 0..=bad.len() {
            let fragments = [frame(false, Text, &bad[..cut]), frame(true, Continuation, &bad[cut..])];
            refuses(&fragments, Violation::InvalidUtf8);
        }
    }
    assert_eq!(Violation::InvalidUtf8.close_code(), 1007);
}

#[test]
fn binary_is_not_checked_for_utf8() {
    for bad in BAD_TEXTS {
        accepts(&[frame(true, Binary, bad)], &[binary_event(bad)]);
        accepts(&[frame(false, Binary, bad), frame(true, Continuation, bad)], &[binary_event(&[bad, bad].concat())]);
    }
}

#[test]
fn characters_may_be_cut_by_fragments() {
    let text = "κόσμε \u{0} ߿ ࠀ \u{FFFF} \u{10000} \u{10FFFF} \u{D7FF}\u{E000}";
    for cut in 0..=text.len() {
        let (front, back) = text.as_bytes().split_at(cut);
        accepts(&[frame(false, Text, front), frame(true, Continuation, back)], &[text_event(text)]);
    }
}

#[test]
fn a_text_that_ends_inside_a_character_is_refused() {
    for end in 1..4 {
        let cut = &"\u{10FFFF}".as_bytes()[..end];
        refuses(&[frame(true, Text, cut)], Violation::InvalidUtf8);
        refuses(&[frame(false, Text, cut), frame(true, Continuation, &[])], Violation::InvalidUtf8);
    }
}

#[test]
fn bad_text_fails_before_its_message_or_frame_ends() {
    refuses(&[frame(false, Text, b"fine \xF4\x90")], Violation::InvalidUtf8);
    let long = frame(true, Text, &[b"fine \xED\xA0".as_slice(), &[b'x'; 200]].concat());
    // Four bytes of header, four of key, seven of payload.
    refuses(&[&long[..15]], Violation::InvalidUtf8);
}

// Category 7: closing, sections 5.5.1 and 7.4.

#[test]
fn a_close_may_have_a_code_and_a_reason() {
    accepts(&[frame(true, Close, &[])], &[Inbound::Close(None)]);
    accepts(&[close(1000, b"")], &[Inbound::Close(Some((1000, String::new())))]);
    let reason = "é".repeat(61) + "x";
    accepts(&[close(1001, reason.as_bytes())], &[Inbound::Close(Some((1001, reason)))]);
}

#[test]
fn a_close_with_one_byte_is_refused() {
    refuses(&[frame(true, Close, &[3])], Violation::TruncatedCloseCode);
}

#[test]
fn codes_that_may_not_be_sent_are_refused() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        refuses(&[close(code, b"")], Violation::CloseCode(code));
    }
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        accepts(&[close(code, b"")], &[Inbound::Close(Some((code, String::new())))]);
    }
}

#[test]
fn a_close_reason_that_is_not_utf8_is_refused() {
    refuses(&[close(1000, b"\xCE\xBA\xED\xA0\x80")], Violation::InvalidUtf8);
    refuses(&[close(1000, b"cut \xE2\x82")], Violation::InvalidUtf8);
}

#[test]
fn nothing_comes_after_a_close() {
    let bye = Inbound::Close(Some((1000, String::new())));
    accepts(&[close(1000, b""), frame(true, Ping, b"x"), text("late"), vec![0xFF; 40]], &[bye]);
}

#[test]
fn a_close_between_fragments_ends_the_message_unheard_and_frees_it() {
    let mut decoder = Decoder::new(LIMITS);
    let mut outcome = Outcome::default();
    feed(&mut decoder, &frame(false, Text, &[b'x'; 5000]), &mut outcome);
    assert!(decoder.buffered_bytes() >= 5000);
    feed(&mut decoder, &close(1000, b""), &mut outcome);
    assert_eq!(outcome, (vec![Inbound::Close(Some((1000, String::new())))], None));
    assert_eq!(decoder.buffered_bytes(), 0);
}

// Category 9: limits and memory.

#[test]
fn a_frame_of_one_tebibyte_is_refused_by_its_header_with_nothing_kept() {
    for len in [70_001, u64::from(u32::MAX), u64::from(u32::MAX) + 1, 1 << 40, 1 << 63, u64::MAX] {
        for opcode in [Text, Binary] {
            let mut decoder = Decoder::new(LIMITS);
            let mut outcome = Outcome::default();
            let header = [header(true, opcode as u8, len), vec![0; 4]].concat();
            feed(&mut decoder, &header, &mut outcome);
            assert_eq!(outcome, (vec![], Some(Violation::TooBig)), "{len} bytes");
            assert_eq!(decoder.buffered_bytes(), 0);
        }
    }
    assert_eq!(Violation::TooBig.close_code(), 1009);
}

#[test]
fn a_message_too_big_in_sum_is_refused_by_the_header_that_makes_it_so() {
    let first = frame(false, Binary, &vec![0; 60_000]);
    let fits = frame(true, Continuation, &vec![0; 40_000]);
    accepts(&[first.clone(), fits], &[binary_event(&vec![0; 100_000])]);
    let too_big = [header(true, 0, 40_001), vec![0; 4]].concat();
    refuses(&[first, too_big], Violation::TooBig);
}

#[test]
fn a_claimed_length_reserves_nothing() {
    let mut decoder = Decoder::new(LIMITS);
    let mut outcome = Outcome::default();
    feed(&mut decoder, &[header(true, 2, 70_000), vec![0; 4 + 100]].concat(), &mut outcome);
    assert!(decoder.buffered_bytes() < 400, "{} bytes for 100", decoder.buffered_bytes());
    assert_eq!(outcome, Outcome::default());
}

#[test]
fn memory_that_doubles_stops_at_the_limit_or_at_the_known_end_of_the_message() {
    for (fin, bound) in [(true, 70_000), (false, LIMITS.max_message_bytes)] {
        let mut decoder = Decoder::new(LIMITS);
        let mut outcome = Outcome::default();
        feed(&mut decoder, &[header(fin, 2, 70_000), vec![0; 4 + 51_000]].concat(), &mut outcome);
        let before = decoder.buffered_bytes();
        feed(&mut decoder, &[0; 1000], &mut outcome);
        let grown = decoder.buffered_bytes();
        assert!(before < grown && grown <= bound + 96, "{grown} bytes held, final frame: {fin}");
    }
}

#[test]
fn an_idle_decoder_is_small_and_holds_nothing_also_after_use() {
    assert!(size_of::<Decoder>() <= 40);
    let mut decoder = Decoder::new(LIMITS);
    let mut outcome = Outcome::default();
    for byte in frame(true, Text, &[b'x'; 60_000]) {
        feed(&mut decoder, &[byte], &mut outcome);
    }
    assert_eq!(outcome.0.len(), 1);
    assert_eq!(decoder.buffered_bytes(), 0);
}

#[test]
fn protocol_errors_close_with_1002() {
    for violation in [Violation::Unmasked, Violation::LongControl, Violation::CloseCode(5), Violation::NonMinimalLength]
    {
        assert_eq!(violation.close_code(), 1002);
    }
}
