//! `wrr`: servers taken in turn, a heavier one in more turns (`ip_vs_wrr.c`).
//!
//! The kernel holds a *current weight* `cw` and walks its list for servers that weigh at least as much; at the end of
//! the list `cw` falls by the greatest common divisor `di` of all weights, and below 1 it starts again at
//! `mw = max - (di - 1)`. One fall of `cw` through all its values is one turn of the ring, and the part of the ring
//! that belongs to one `cw` is called a *level* here: level 1 is the last part and holds every server.

use std::collections::BTreeMap;

use lb_common::RING_SLOTS;

use super::{Member, Previous, Schedule, gcd};

/// The ring of `eligible`, started at the current weight that the kernel would have now.
pub(super) fn schedule(eligible: &[Member], previous: Option<Previous<'_>>) -> Schedule {
    let members = scaled(eligible);
    let span = members.iter().fold(Span::EMPTY, |span, member| span.with(member.weight));
    let current = match previous {
        Some(previous) => span.changed(current_weight(previous)),
        None => first_current_weight(&members),
    };
    let levels = levels(&members, span.divisor);
    let below = current.div_ceil(span.divisor) as usize;
    let start = levels.iter().skip(below).map(|level| level.len() as u64).sum();
    Schedule { ring: levels.into_iter().rev().flatten().collect(), start }
}

/// What `wrr` must know of all weights at once.
#[derive(Clone, Copy)]
struct Span {
    /// `di`: greatest common divisor, 1 without servers.
    divisor: u32,
    /// The largest weight, 0 without servers.
    heaviest: u32,
}

impl Span {
    const EMPTY: Self = Self { divisor: 1, heaviest: 0 };

    /// With one more server, of a weight above 0.
    fn with(self, weight: u32) -> Self {
        let divisor = if self.heaviest == 0 { weight } else { gcd(self.divisor, weight) };
        Self { divisor, heaviest: self.heaviest.max(weight) }
    }

    /// The current weight after a change to these weights: `ip_vs_wrr_dest_changed`.
    const fn changed(self, current: u32) -> u32 {
        let top = (self.heaviest + 1).saturating_sub(self.divisor);
        if current == 0 || current > top {
            top
        } else if self.divisor > 1 {
            current / self.divisor * self.divisor + 1
        } else {
            current
        }
    }
}

/// The current weight of a service whose servers were added one by one, the last of the list first. The kernel calls
/// `dest_changed` for each, so it depends on more than the final weights.
fn first_current_weight(members: &[Member]) -> u32 {
    let mut span = Span::EMPTY;
    members.iter().rev().fold(0, |current, member| {
        span = span.with(member.weight);
        span.changed(current)
    })
}

/// The kernel's current weight at a position of an old ring: that of the last connection, for it falls only when the
/// next one asks; and where none has come since the ring was made, that which the ring was made with.
fn current_weight(previous: Previous<'_>) -> u32 {
    let since = if previous.position == previous.start {
        previous.position
    } else {
        previous.position.wrapping_sub(1)
    };
    let level = previous.index(since).map_or(0, |index| level_of(previous.ring, index));
    level.saturating_sub(1).saturating_mul(previous.divisor).saturating_add(u32::from(level > 0))
}

/// The level that `ring[index]` belongs to. A server stands once in each level up to its own, so the level of a slot
/// is the number of times that its server comes from there to the ring's end.
fn level_of(ring: &[u16], index: usize) -> u32 {
    let (Some(slot), Some(rest)) = (ring.get(index), ring.get(index..)) else { return 0 };
    rest.iter().filter(|&other| other == slot).fold(0, |count, _| count + 1)
}

/// Servers by level, level 1 first.
fn levels(members: &[Member], divisor: u32) -> Vec<Vec<u16>> {
    let mut left = members.to_vec();
    let mut levels = Vec::new();
    let mut floor = 0;
    while !left.is_empty() {
        levels.push(left.iter().map(|member| member.slot).collect());
        floor += divisor;
        left.retain(|member| member.weight > floor);
    }
    levels
}

/// The same servers with weights small enough for a ring: unchanged where the ring is long enough, and otherwise in
/// proportion, rounded down, but at least 1.
fn scaled(eligible: &[Member]) -> Vec<Member> {
    let divisor = super::common_divisor(eligible.iter().map(|member| member.weight));
    let total: u64 = eligible.iter().map(|member| u64::from(member.weight / divisor)).sum();
    if total <= RING_SLOTS as u64 {
        return eligible.to_vec();
    }
    let (slots, weights) = shared_slots(eligible);
    let share = |weight: u32| (u64::from(weight) * slots).checked_div(weights).unwrap_or(0).max(1);
    // A share is at most RING_SLOTS, which fits.
    eligible.iter().map(|&member| Member { weight: share(member.weight) as u32, ..member }).collect()
}

/// The slots, and the weights among which to share them, once every server whose share is below 1 has got its one.
fn shared_slots(eligible: &[Member]) -> (u64, u64) {
    let mut slots = RING_SLOTS as u64;
    let mut by_weight = BTreeMap::<u64, u64>::new();
    for member in eligible {
        *by_weight.entry(u64::from(member.weight)).or_default() += 1;
    }
    let mut weights = by_weight.iter().map(|(weight, count)| weight * count).sum();
    // From the lightest: each server that is given its one leaves the rest less room, so the next may need it too.
    for (weight, count) in by_weight {
        if weight * slots >= weights {
            break;
        }
        slots -= count;
        weights -= weight * count;
    }
    (slots, weights)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Member, Previous, Schedule, common_divisor, member, recorded, schedule};
    use super::{level_of, scaled};
    use lb_common::{RING_SLOTS, Scheduler};

    #[test]
    fn as_recorded() {
        for sequence in [recorded::WRR, recorded::WRR_WEIGHT0_THEN_BACK, recorded::WRR_DELETE_THEN_ADD] {
            assert_eq!(recorded::replay(Scheduler::WeightedRoundRobin, sequence), sequence.servers);
        }
    }

    #[test]
    fn levels_fall_through_the_ring() {
        let ring = wrr(&[3, 2, 1], None).ring;
        assert_eq!(ring, [0, 0, 1, 0, 1, 2]);
        let levels: Vec<u32> = (0..ring.len()).map(|index| level_of(&ring, index)).collect();
        assert_eq!(levels, [3, 2, 2, 1, 1, 1]);
    }

    #[test]
    fn a_common_divisor_shortens_the_ring() {
        assert_eq!(wrr(&[100, 300], None).ring, wrr(&[1, 3], None).ring);
    }

    #[test]
    fn the_current_weight_is_rounded_to_the_new_divisor() {
        // Weights 5, 1: five levels. Two connections in, the current weight is 4.
        let old = wrr(&[5, 1], None);
        let previous = Previous { ring: &old.ring, start: 0, position: 2, divisor: 1 };
        // Weights 6, 2 have di 2 and the current weights 5, 3, 1: 4 becomes 4 / 2 * 2 + 1 = 5.
        assert_eq!(wrr(&[6, 2], Some(previous)).start, 0);
        // Weights 9, 3 have di 3 and 7, 4, 1: 4 becomes 4 / 3 * 3 + 1 = 4, the second level.
        assert_eq!(wrr(&[9, 3], Some(previous)).start, 1);
        // Weights 2, 1 have no 4: it starts at the top.
        assert_eq!(wrr(&[2, 1], Some(previous)).start, 0);
    }

    #[test]
    fn a_ring_that_nobody_used_keeps_its_current_weight() {
        let old = wrr(&[3, 2, 1], None);
        assert_eq!(old.start, 3, "servers added one by one: the first of them set the current weight to 1");
        let unused = Previous { ring: &old.ring, start: 3, position: 3, divisor: 1 };
        assert_eq!(wrr(&[4, 3, 2, 1], Some(unused)), wrr(&[4, 3, 2, 1], None));
        let used = Previous { position: 4, ..unused };
        assert_eq!(wrr(&[3, 2], Some(used)).start, 3, "level 1 again, from the head of the list");
    }

    #[test]
    fn scaling_keeps_a_slot_for_the_lightest() {
        let members = members(&[65_535, 1, 1]);
        let weights: Vec<u32> = scaled(&members).iter().map(|member| member.weight).collect();
        assert_eq!(weights, [RING_SLOTS as u32 - 2, 1, 1]);
        assert_eq!(wrr(&[65_535, 1, 1], None).ring.len(), RING_SLOTS);
    }

    #[test]
    fn as_many_servers_as_slots_get_one_each() {
        let weights: Vec<u32> = (1..=RING_SLOTS as u32).collect();
        let mut ring = wrr(&weights, None).ring;
        assert_eq!(common_divisor(weights), 1);
        ring.sort_unstable();
        ring.dedup();
        assert_eq!(ring.len(), RING_SLOTS);
    }

    proptest! {
        #[test]
        fn scaling_keeps_proportions(weights in prop::collection::vec(1_u32..=65_535, 2..200)) {
            let total: u64 = weights.iter().copied().map(u64::from).sum();
            prop_assume!(total / u64::from(common_divisor(weights.iter().copied())) > RING_SLOTS as u64);
            let scaled = scaled(&members(&weights));
            prop_assert!(scaled.iter().map(|member| member.weight).sum::<u32>() <= RING_SLOTS as u32);
            let (slots, servers) = (RING_SLOTS as u64, weights.len() as u64);
            for (member, weight) in scaled.iter().zip(weights) {
                // Rounded down; and each of the others may have been given a whole slot for less.
                let weight = u64::from(weight);
                let (least, most) = (weight * (slots - servers) / total, weight * slots / total);
                prop_assert!((least.max(1)..=most.max(1)).contains(&u64::from(member.weight)));
            }
        }
    }

    fn wrr(weights: &[u32], previous: Option<Previous<'_>>) -> Schedule {
        schedule(Scheduler::WeightedRoundRobin, &members(weights), previous)
    }

    fn members(weights: &[u32]) -> Vec<Member> {
        (0..).zip(weights).map(|(slot, &weight)| member(slot, weight)).collect()
    }
}
