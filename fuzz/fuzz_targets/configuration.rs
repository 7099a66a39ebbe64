//! File, environment and flags. What must hold for them: `src/fuzzing/configuration.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| folkmoot::fuzzing::configuration(data));
