//! Sealed frames of the copy of connections that somebody has changed on their way.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lb_fuzz::sync_stream::check(data));
