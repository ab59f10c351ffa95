//! What is fuzzed: everything that takes bytes from the network and believes them, each with the promises that hold for any
//! input. A promise that is broken is a panic, which the engine reports with the input that did it.
//!
//! Each target has seeds, made by the real encoders, so that the engine need not find out the formats by itself.

pub mod heartbeat;
mod samples;
pub mod sync_handshake;
pub mod sync_message;
pub mod sync_receiver;
pub mod sync_stream;

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of its program behind `fuzz-`.
    pub name: &'static str,
    /// Panics where a promise is broken.
    pub check: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: [Target; 5] = [
    Target { name: "heartbeat", check: heartbeat::check, seeds: heartbeat::seeds },
    Target { name: "sync-message", check: sync_message::check, seeds: sync_message::seeds },
    Target { name: "sync-handshake", check: sync_handshake::check, seeds: sync_handshake::seeds },
    Target { name: "sync-stream", check: sync_stream::check, seeds: sync_stream::seeds },
    Target { name: "sync-receiver", check: sync_receiver::check, seeds: sync_receiver::seeds },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_holds_for_its_seeds_and_for_all_their_beginnings() {
        for target in TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{}", target.name);
            for seed in seeds {
                (0..=seed.len()).for_each(|length| (target.check)(&seed[..length]));
            }
        }
    }
}
