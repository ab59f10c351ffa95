//! Schedules: the ring of real servers that the XDP program reads, in the order in which the kernel's IPVS takes them.
//!
//! Pure functions. A service's servers are given in the order of the kernel's list, which has the **last added
//! first**: the reversed order of the configuration file, because a tool that sets up IPVS from a file adds the
//! servers from its top; [`Scheduler::Maglev`] alone does not depend on the order. Sequences agree with `ip_vs_rr.c`,
//! `ip_vs_wrr.c` and `ip_vs_sh.c`, also across changes of servers and weights, with these differences:
//!
//! - `sh` leaves out servers that may take nothing, so that their clients are spread over the others. The kernel
//!   gives such a server one bucket a round and refuses the clients that fall into it.
//! - A `wrr` sequence longer than [`RING_SLOTS`] is scaled down and runs in the kernel's order for the scaled weights.
//! - A change that leaves the ring as it is (all weights doubled) goes on where it was; the kernel's `wrr` would start
//!   again at the head of its list.

mod maglev;
mod round_robin;
mod source_hash;
mod weighted;

#[cfg(test)]
mod recorded;

use std::net::SocketAddrV4;

use lb_common::{MH_SLOTS, RING_SLOTS, Scheduler};

/// A real server as a scheduler sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Index into the real server array.
    pub slot: u16,
    /// Address and port, by which [`Scheduler::Maglev`] knows it: slots differ between routers.
    pub address: SocketAddrV4,
    /// Weight in force, `0..=65535`. 0 stands for every reason to take nothing: weight 0, down, drained, unreachable.
    pub weight: u32,
}

/// A ring and where it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Slots in order, at most [`RING_SLOTS`]; empty when no server may take a connection.
    pub ring: Vec<u16>,
    /// Position of the first connection: it takes `ring[start % ring.len()]`. 0 where there is no history.
    pub start: u64,
}

/// The schedule that a new one takes over from. The scheduler is the same: a new scheduler starts afresh.
#[derive(Clone, Copy, Debug)]
pub struct Previous<'a> {
    /// Its ring.
    pub ring: &'a [u16],
    /// Its [`Schedule::start`].
    pub start: u64,
    /// Position of the connection that would have come next.
    pub position: u64,
    /// Greatest common divisor of the weights that its ring was made of, at least 1.
    pub divisor: u32,
}

/// Real servers that a schedule has room for.
pub const fn capacity(scheduler: Scheduler) -> usize {
    match scheduler {
        Scheduler::RoundRobin | Scheduler::WeightedRoundRobin | Scheduler::SourceHash => RING_SLOTS,
        Scheduler::Maglev => MH_SLOTS,
    }
}

/// The schedule of `members`, which stand in the order of the kernel's list. Members that may take connections, beyond the
/// first ones up to the [`capacity`], get no slot.
pub fn schedule(scheduler: Scheduler, members: &[Member], previous: Option<Previous<'_>>) -> Schedule {
    let eligible: Vec<Member> =
        members.iter().copied().filter(|member| member.weight > 0).take(capacity(scheduler)).collect();
    let previous = previous.filter(|previous| !previous.ring.is_empty());
    match scheduler {
        Scheduler::RoundRobin => round_robin::schedule(members, &eligible, previous),
        Scheduler::WeightedRoundRobin => weighted::schedule(&eligible, previous),
        Scheduler::SourceHash => Schedule { ring: source_hash::ring(&eligible), start: 0 },
        Scheduler::Maglev => Schedule { ring: maglev::ring(&eligible), start: 0 },
    }
}

/// Greatest common divisor of all weights above 0, and 1 where there are none (`ip_vs_wrr_gcd_weight`).
pub fn common_divisor(weights: impl IntoIterator<Item = u32>) -> u32 {
    weights.into_iter().fold(0, gcd).max(1)
}

/// Greatest common divisor; `gcd(a, 0)` is `a`.
const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A real server for tests: port 80 of an address that its slot gives.
#[cfg(test)]
fn member(slot: u16, weight: u32) -> Member {
    let [high, low] = slot.to_be_bytes();
    Member { slot, address: SocketAddrV4::new([10, 0, high, low].into(), 80), weight }
}

impl Previous<'_> {
    /// Where in the ring `position` is; `None` for an empty ring.
    fn index(&self, position: u64) -> Option<usize> {
        usize::try_from(position.checked_rem(self.ring.len() as u64)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn divisors() {
        assert_eq!(common_divisor([]), 1);
        assert_eq!(common_divisor([0, 0]), 1);
        assert_eq!(common_divisor([6, 0, 4]), 2);
        assert_eq!(common_divisor([65_535]), 65_535);
    }

    #[test]
    fn nothing_eligible_gives_an_empty_ring() {
        for scheduler in SCHEDULERS {
            let members = [member(1, 0)];
            assert_eq!(schedule(scheduler, &members, None), Schedule::default(), "{}", scheduler.name());
        }
    }

    #[test]
    fn the_largest_service_fits() {
        let members: Vec<Member> = (0..=u16::MAX).map(|slot| member(slot, 65_535)).collect();
        for scheduler in SCHEDULERS {
            let schedule = schedule(scheduler, &members, None);
            assert!(schedule.ring.len() <= RING_SLOTS, "{}", scheduler.name());
        }
    }

    proptest! {
        #[test]
        fn every_slot_is_eligible_and_every_sequence_names_each(members in members(), old in members()) {
            for scheduler in [Scheduler::RoundRobin, Scheduler::WeightedRoundRobin] {
                let first = schedule(scheduler, &old, None);
                let previous = Previous {
                    ring: &first.ring,
                    start: first.start,
                    position: first.start + 7,
                    divisor: common_divisor(old.iter().map(|member| member.weight)),
                };
                let made = schedule(scheduler, &members, Some(previous));
                prop_assert_eq!(&made, &schedule(scheduler, &members, Some(previous)));
                let counts = counts(&made.ring);
                for member in &members {
                    prop_assert_eq!(counts.contains_key(&member.slot), member.weight > 0);
                }
                prop_assert!(made.start <= made.ring.len() as u64);
            }
        }

        #[test]
        fn weighted_shares_are_exact(members in members()) {
            let divisor = common_divisor(members.iter().map(|member| member.weight));
            let ring = schedule(Scheduler::WeightedRoundRobin, &members, None).ring;
            let total: u64 = members.iter().map(|member| u64::from(member.weight / divisor)).sum();
            prop_assume!(total <= RING_SLOTS as u64);
            let counts = counts(&ring);
            for member in members {
                prop_assert_eq!(counts.get(&member.slot).copied().unwrap_or(0), member.weight / divisor);
            }
        }

        #[test]
        fn source_hash_takes_each_by_its_weight(members in members()) {
            let ring = schedule(Scheduler::SourceHash, &members, None).ring;
            prop_assert!(ring.is_empty() || ring.len() == lb_common::SH_BUCKETS);
            for slot in ring {
                prop_assert!(members.iter().any(|member| member.slot == slot && member.weight > 0));
            }
        }
    }

    const SCHEDULERS: [Scheduler; 4] =
        [Scheduler::RoundRobin, Scheduler::WeightedRoundRobin, Scheduler::SourceHash, Scheduler::Maglev];

    fn members() -> impl Strategy<Value = Vec<Member>> {
        prop::collection::btree_map(0_u16..40, 0_u32..=20, 0..12)
            .prop_map(|by_slot| by_slot.into_iter().map(|(slot, weight)| member(slot, weight)).collect())
    }

    fn counts(ring: &[u16]) -> BTreeMap<u16, u32> {
        let mut counts = BTreeMap::new();
        for &slot in ring {
            *counts.entry(slot).or_default() += 1;
        }
        counts
    }
}
