//! The handshake of the copy of connections, on both sides.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lb_fuzz::sync_handshake::check(data));
