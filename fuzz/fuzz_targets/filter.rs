//! Filters of the REST API. What must hold for them: `src/fuzzing/filter.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| folkmoot::fuzzing::filter(data));
