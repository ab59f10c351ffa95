//! A new owner for a slot of the real server array.
//!
//! The kernel copies an array's value while the program reads it (`array_map_update_elem`), so that a packet may meet any
//! mixture of the old value and the new. Between two values of one owner that costs one packet at worst, one on its way
//! to a neighbour whose address just changes. Between two owners it could send a connection to a stranger: the new address
//! with the old generation.

use lb_common::{Real, RealState};

/// The values to write one after the other, so that `new` takes the place of `old`: with another owner the slot is free
/// in between, and no mixture of two of them is one owner's address under the generation of the other.
pub(super) fn steps(old: Real, new: Real) -> Vec<Real> {
    if old.generation == new.generation {
        return vec![new];
    }
    let free = |real| Real { state: RealState::Removed as u8, ..real };
    vec![free(old), free(new), new]
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Real = Real {
        address: [10, 0, 0, 1],
        port: 8080,
        method: 1,
        state: RealState::Up as u8,
        mac: [2, 0, 0, 0, 0, 1],
        source_mac: [2; 6],
        ifindex: 3,
        generation: 0xff,
        service: 1,
        weight: 1,
        virtual_address: [192, 0, 2, 1],
        virtual_port: 80,
        protocol: 6,
        _pad: 0,
        _reserved: [0; 10],
    };
    const NEW: Real = Real {
        address: [10, 9, 9, 9],
        port: 443,
        method: 2,
        mac: [6; 6],
        ifindex: 4,
        generation: 0x100,
        service: 2,
        virtual_address: [192, 0, 2, 2],
        virtual_port: 443,
        protocol: 17,
        ..OLD
    };

    #[test]
    fn no_mixture_sends_a_connection_to_a_stranger() {
        let states = [RealState::Removed, RealState::Up, RealState::Quiesced, RealState::Down];
        for (before, after) in states.iter().flat_map(|before| states.map(|after| (*before as u8, after))) {
            let (old, new) = (Real { state: before, ..OLD }, Real { state: after as u8, ..NEW });
            let mut standing = old;
            for next in steps(old, new) {
                for mixture in mixtures(standing, next) {
                    let owner = [old, new].into_iter().find(|real| real.generation == mixture.generation);
                    let in_use = mixture.state != RealState::Removed as u8;
                    let is_theirs =
                        owner.is_some_and(|real| Real { state: mixture.state, ..real } == mixture);
                    assert!(!in_use || is_theirs, "{standing:?} to {next:?}: {mixture:?}");
                }
                standing = next;
            }
            assert_eq!(standing, new);
        }
    }

    #[test]
    fn the_same_owner_changes_in_one_step() {
        let heavier = Real { weight: 9, ..OLD };
        assert_eq!(steps(OLD, heavier), [heavier]);
    }

    /// What a reader may see: some fields are written already. (Within a generation, single octets are.)
    fn mixtures(old: Real, new: Real) -> impl Iterator<Item = Real> {
        (0_u32..1 << 14).map(move |written| {
            let is_written = |bit: u32| written & 1 << bit != 0;
            let pick = |bit: u32| if is_written(bit) { new } else { old };
            let [old_generation, new_generation] = [old, new].map(|real| real.generation.to_le_bytes());
            let [low, high] =
                [9, 10].map(|bit| if is_written(bit) { new_generation } else { old_generation });
            Real {
                address: pick(0).address,
                port: pick(1).port,
                method: pick(2).method,
                state: pick(3).state,
                mac: pick(4).mac,
                source_mac: pick(5).source_mac,
                ifindex: pick(6).ifindex,
                service: pick(7).service,
                weight: pick(8).weight,
                virtual_address: pick(11).virtual_address,
                virtual_port: pick(12).virtual_port,
                protocol: pick(13).protocol,
                _pad: 0,
                _reserved: old._reserved,
                generation: u32::from_le_bytes([low[0], high[1], old_generation[2], old_generation[3]]),
            }
        })
    }
}
