//! Paths and queries of the HTTP API. What must hold for them: `src/fuzzing/api_request.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| folkmoot::fuzzing::api_request(data));
