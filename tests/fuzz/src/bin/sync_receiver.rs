//! What a standby router makes of the messages of a peer with the right key.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lb_fuzz::sync_receiver::check(data));
