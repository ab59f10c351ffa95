//! Messages and records of the copy of connections.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lb_fuzz::sync_message::check(data));
