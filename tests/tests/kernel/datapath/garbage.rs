//! Whatever comes in: no crash, no frame that grows, nothing sent that is not a whole packet of ours.

use lb_tests::{
    packet::Frame,
    prog::{Action, Run},
};

use super::world::*;

/// `ETH_HLEN`: the kernel hands no shorter frame to a program.
const SHORTEST: usize = 14;

fn frames() -> Vec<Frame> {
    vec![
        from_client("S"),
        from_client("A").payload(b"data"),
        from_client("S").ip_options(&[1; 40]).tcp_options(&[1; 40]),
        from_client("S").tag(0x88a8, 0).tag(0x8100, 0x2000).ip_options(&[1; 8]),
        from_server(1, "SA"),
        datagram(),
        datagram().tag(0x8100, 0x2000).without_checksum(),
    ]
}

fn is_sent(run: &Run) -> bool {
    matches!(run.action, Action::Tx | Action::Redirect)
}

#[test]
fn no_prefix_of_a_packet_is_sent() {
    with_world(|world| {
        for (number, frame) in frames().iter().enumerate() {
            let bytes = frame.bytes();
            for length in SHORTEST..bytes.len() {
                let run = world.program.run(world.public, &bytes[..length]).unwrap();
                assert!(!is_sent(&run), "frame {number}, first {length} bytes: {run:?}");
                assert_eq!(run.frame, bytes[..length], "frame {number}, first {length} bytes");
            }
            let run = world.program.run(world.public, &bytes).unwrap();
            assert!(is_sent(&run), "frame {number} as a whole: {run:?}");
        }
    });
}

#[test]
fn random_bytes_are_never_sent() {
    with_world(|world| {
        let mut random = Random(1);
        for _ in 0..3000 {
            let length = SHORTEST + random.below(200);
            let mut bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
            // Half of them at least look like IPv4.
            if random.byte() & 1 == 0 {
                bytes[12..14].copy_from_slice(&[0x08, 0x00]);
                if let Some(version) = bytes.get_mut(14) {
                    *version = 0x40 | *version & 0x0f;
                }
            }
            let run = world.program.run(world.public, &bytes).unwrap();
            assert!(!is_sent(&run), "{run:?}");
            assert_eq!(run.frame, bytes);
        }
    });
}

#[test]
fn damaged_packets_never_grow_and_change_only_when_sent() {
    with_world(|world| {
        let mut random = Random(2);
        let frames: Vec<Vec<u8>> = frames().iter().map(Frame::bytes).collect();
        for _ in 0..5000 {
            let mut bytes = frames[random.below(frames.len())].clone();
            for _ in 0..=random.below(3) {
                let offset = random.below(bytes.len());
                bytes[offset] = random.byte();
            }
            let run = world.program.run(world.public, &bytes).unwrap();
            assert!(run.frame.len() <= bytes.len(), "{run:?}");
            if !is_sent(&run) {
                assert_eq!(run.frame, bytes, "{:?}", run.action);
            }
        }
    });
}

/// The generator splitmix64: the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }
}
