//! See `regrant_fuzz::api_reply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regrant_fuzz::api_reply(data));
