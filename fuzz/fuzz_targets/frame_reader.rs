//! The frame decoder. What must hold for it: `src/fuzzing/frame_reader.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| folkmoot::fuzzing::frame_reader(data));
