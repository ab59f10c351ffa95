//! The hash of the scheduler `mh`, and of what follows when the first slot of `sh` is of no use.
//!
//! It has no secret: both routers of a pair give a client the same slot, and so does a router that was started anew.

/// `GOLDEN_RATIO_32` of the kernel (`include/linux/hash.h`).
const GOLDEN_RATIO_32: u32 = 0x61c8_8647;

/// The slot of a client in a ring of `slots` slots, `0..slots`, for try number `attempt`, counted from 0. Every try has a
/// slot of its own making: the clients of a server that takes none are spread over all others, while the slot next to
/// each of its own would belong to few.
#[inline(always)]
pub(crate) const fn slot(client: [u8; 4], attempt: u32, slots: u32) -> u32 {
    let key = u32::from_be_bytes(client).wrapping_add(attempt.wrapping_mul(GOLDEN_RATIO_32));
    // The product's upper half: as even as a remainder, for less.
    ((mix(key) as u64 * slots as u64) >> u32::BITS) as u32
}

/// The finaliser of MurmurHash3 (`fmix32`): each bit of the key changes about half of the result's. The multiplication
/// of `sh` alone would lay addresses of a regular step at regular distances, and of a bad step on few slots.
#[inline(always)]
const fn mix(key: u32) -> u32 {
    let key = (key ^ (key >> 16)).wrapping_mul(0x85eb_ca6b);
    let key = (key ^ (key >> 13)).wrapping_mul(0xc2b2_ae35);
    key ^ (key >> 16)
}

#[cfg(test)]
mod tests {
    use lb_common::MH_SLOTS;

    use super::*;

    const SLOTS: u32 = MH_SLOTS as u32;

    /// Vectors of `fmix32` from MurmurHash3: the hash of nothing under a seed is the seed, finalised.
    #[test]
    fn the_mixing_is_that_of_murmur_hash_3() {
        assert_eq!([0, 1, 0xffff_ffff].map(mix), [0, 0x514e_28b7, 0x81f1_6f39]);
    }

    #[test]
    fn slots_stay_the_same_for_ever() {
        let slots = |client| [0, 1, 2].map(|attempt| slot(client, attempt, SLOTS));
        let expected = [[5597, 16_195, 4175], [13_774, 11_564, 9443], [8314, 3800, 12_787]];
        assert_eq!([[10, 0, 0, 101], [192, 0, 2, 1], [255; 4]].map(slots), expected);
    }

    #[test]
    fn the_last_slot_is_reached_and_none_beyond() {
        assert_eq!(slot([0; 4], 0, SLOTS), 0);
        for slots in [1, 2, SLOTS] {
            let most = (0..1_u32 << 20).map(|client| slot(client.to_be_bytes(), 0, slots)).max();
            assert_eq!(most, Some(slots - 1));
        }
    }

    #[test]
    fn networks_of_clients_are_spread_evenly() {
        // Hosts one after another, one of each /24, and steps of a /16 and a /24 at once.
        for (base, step) in [(0x0a00_0000_u32, 1), (0x0a00_0001, 1 << 8), (0x0100_0001, 0x0001_0100)] {
            let mut counts = [0_u32; 16];
            for client in (0..1 << 16).map(|number: u32| base.wrapping_add(number.wrapping_mul(step))) {
                counts[(slot(client.to_be_bytes(), 0, SLOTS) * 16 / SLOTS) as usize] += 1;
            }
            // 4,096 are expected in each sixteenth, with a standard deviation of 62.
            assert!(
                counts.iter().all(|count| count.abs_diff(4096) < 5 * 62),
                "{base:x} {step:x}: {counts:?}"
            );
        }
    }

    #[test]
    fn clients_of_one_slot_part_at_the_second_try() {
        let clients = (0..1_u32 << 24).map(|number| (0x0a00_0000 + number).to_be_bytes());
        let mut second: Vec<u32> = clients
            .filter(|&client| slot(client, 0, SLOTS) == 7)
            .map(|client| slot(client, 1, SLOTS))
            .collect();
        let clients = second.len();
        second.sort_unstable();
        second.dedup();
        assert!(
            clients > 900 && second.len() > clients * 9 / 10,
            "{clients} clients, {} slots",
            second.len()
        );
    }
}
