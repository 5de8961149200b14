//! See `regrant_fuzz::record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regrant_fuzz::record(data));
