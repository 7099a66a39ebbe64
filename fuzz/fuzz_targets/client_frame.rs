//! Frames of JSON and raw clients. What must hold for them: `src/fuzzing/client_frame.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| folkmoot::fuzzing::client_frame(data));
