//! Basic headers and tokens. What must hold for them: `src/fuzzing/credentials.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| folkmoot::fuzzing::credentials(data));
