//! The hash that chooses a real server for a connection without an entry in the flow table.

use lb_common::FlowKey;

/// 2^64 divided by the golden ratio, as the kernel's `GOLDEN_RATIO_64` (`include/linux/hash.h`): odd, and without pattern.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number below 2^24 from addresses and ports of a client's packet. Not keyed: both routers of a pair choose alike.
#[inline(always)]
pub(crate) const fn bucket(key: &FlowKey) -> u32 {
    let service = (u32::from_le_bytes(key.destination) as u64) << 16 | key.destination_port as u64;
    let mut hash = (key.from().number() ^ service.rotate_left(24)).wrapping_mul(MULTIPLIER);
    hash = (hash ^ hash >> 32).wrapping_mul(MULTIPLIER);
    (hash >> 40) as u32
}

#[cfg(test)]
mod tests {
    use lb_common::IPPROTO_TCP;

    use super::*;

    /// Computed by a program that shares no code with ours. Routers of a pair may run different versions for a while.
    #[test]
    fn buckets_stay_the_same_for_ever() {
        let key = |source, port, address, service| FlowKey::new(IPPROTO_TCP, source, port, address, service);
        let keys = [
            key([10, 0, 0, 101], 20_000, [192, 0, 2, 1], 80),
            key([10, 0, 0, 101], 20_001, [192, 0, 2, 1], 80),
            key([10, 0, 0, 101], 20_000, [192, 0, 2, 1], 443),
            key([255; 4], 65_535, [255; 4], 65_535),
        ];
        assert_eq!(keys.map(|key| bucket(&key)), [7_751_428, 6_325_137, 12_125_542, 141_136]);
    }

    #[test]
    fn ports_and_addresses_in_a_row_are_spread() {
        for servers in [2, 3, 7, 16] {
            let mut taken = vec![0_u32; servers];
            for n in 0..=u8::MAX {
                for port in 40_000..40_064 {
                    let key = FlowKey::new(IPPROTO_TCP, [10, 0, 0, n], port, [192, 0, 2, 1], 80);
                    taken[bucket(&key) as usize % servers] += 1;
                }
            }
            let share = 256 * 64 / servers as u32;
            assert!(taken.iter().all(|n| n.abs_diff(share) < share / 5), "{taken:?}");
        }
    }
}
