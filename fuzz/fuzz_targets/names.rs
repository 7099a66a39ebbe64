//! Names and masks. What must hold for them: `src/fuzzing/names.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| folkmoot::fuzzing::names(data));
