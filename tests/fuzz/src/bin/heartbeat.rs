//! Heartbeats, as they are and with a right tag.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lb_fuzz::heartbeat::check(data));
