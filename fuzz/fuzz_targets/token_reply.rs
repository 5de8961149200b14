//! See `regrant_fuzz::token_reply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regrant_fuzz::token_reply(data));
