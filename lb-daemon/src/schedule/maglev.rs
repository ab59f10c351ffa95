//! `mh`: Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4), a table that the client's address is hashed into.
//!
//! Every server has an order of its own in which it wants the slots of the table, and servers take slots by turns until
//! none is left. When a server leaves, most of what the others want stays as it was: few slots but its own get another
//! server. The table follows from addresses, ports and weights alone, so both routers of a pair have the same one.
//!
//! Equal weights give the turns of the kernel's `ip_vs_mh.c`. Where they differ, the kernel takes as many slots in a row
//! as the weight divided by the greatest common divisor says; here turns are spread over the whole table instead, each
//! taken when it is due. `docs/scheduling.md` says why, with figures.

use std::{cmp::Reverse, collections::BinaryHeap, hash::Hasher, net::SocketAddrV4};

use lb_common::MH_SLOTS;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::Member;

/// Key of the hash that gives a server its order of slots. Another one would move every client once; no secret, because
/// nobody chooses the addresses of real servers but the operator.
const KEY: &[u8; 16] = b"lbd maglev table";

/// The server of each slot; empty without servers.
pub(super) fn ring(eligible: &[Member]) -> Vec<u16> {
    table(eligible, MH_SLOTS)
}

/// A table of `size` slots, a prime number of at most 2^20.
fn table(eligible: &[Member], size: usize) -> Vec<u16> {
    let mut members = eligible.to_vec();
    members.sort_unstable_by_key(|member| member.address);
    let mut servers: Vec<Server> = members.iter().map(|member| Server::new(member, size)).collect();
    // Whose slot is due first, and of those whose slots are due at once, the smallest address and port.
    let mut turns: BinaryHeap<_> = (0..servers.len()).map(|server| Reverse((0, server))).collect();
    let mut table = vec![None; size];
    for _ in 0..size {
        let Some(mut first) = turns.peek_mut() else { break };
        let Reverse((due, server)) = &mut *first;
        let Some(server) = servers.get_mut(*server) else { break };
        server.take_slot(&mut table);
        *due = server.due();
    }
    table.into_iter().flatten().collect()
}

/// A server that takes slots.
struct Server {
    /// Index into the real server array.
    slot: u16,
    weight: u32,
    /// Slots that it has.
    taken: u32,
    /// The slot that it wants next.
    wanted: usize,
    /// The distance from each slot that it wants to the next, `1..size`.
    skip: usize,
}

impl Server {
    /// A server that has no slot yet.
    fn new(member: &Member, size: usize) -> Self {
        let (first, second) = hash(member.address);
        // Both remainders are below `size`.
        let (wanted, skip) = (first % size as u64, second % (size as u64 - 1) + 1);
        Self {
            slot: member.slot,
            weight: member.weight,
            taken: 0,
            wanted: wanted as usize,
            skip: skip as usize,
        }
    }

    /// When its next slot is due: the slots that it has, divided by its weight. So each has its first slot before anyone has
    /// a second, and at any time the slots of all are in proportion to the weights but for one slot each.
    fn due(&self) -> u64 {
        // Fractions of two weights up to 65,535 differ by more than 2^-32: 40 bits behind the point tell them apart.
        (u64::from(self.taken) << 40).checked_div(self.weight.into()).unwrap_or(u64::MAX)
    }

    /// Takes the next slot in its order that is free. There is one: the size is prime, so that its order holds all slots.
    fn take_slot(&mut self, table: &mut [Option<u16>]) {
        for _ in 0..table.len() {
            let wanted = self.wanted;
            self.wanted += self.skip;
            if self.wanted >= table.len() {
                self.wanted -= table.len();
            }
            if let Some(free @ None) = table.get_mut(wanted) {
                *free = Some(self.slot);
                break;
            }
        }
        self.taken += 1;
    }
}

/// Two numbers that follow from a server's address and port, in network order, by SipHash-2-4 with 128 bits.
fn hash(address: SocketAddrV4) -> (u64, u64) {
    let mut hasher = SipHasher24::new_with_key(KEY);
    hasher.write(&address.ip().octets());
    hasher.write(&address.port().to_be_bytes());
    hasher.finish128().as_u64()
}

#[cfg(test)]
mod figures;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// Computed by `openssl mac -macopt hexkey:6c6264206d61676c6576207461626c65 -macopt size:16 SIPHASH`.
    #[test]
    fn the_hash_is_siphash_for_ever() {
        for (address, expected) in [
            ("10.0.0.1:80", 0xa66b_12af_5053_8127_8999_4d60_e8d3_149f_u128),
            ("10.0.0.1:8080", 0xd9d5_fa66_03fd_2fa3_67e0_a1b1_7a28_8d64),
            ("192.0.2.21:65535", 0xab08_7f62_1427_5422_42f5_0d8f_15d1_287d),
        ] {
            let (first, second) = hash(address.parse().unwrap());
            let expected = expected.to_be_bytes();
            assert_eq!([first.to_le_bytes(), second.to_le_bytes()].concat(), expected, "{address}");
        }
    }

    /// The digest is that of a second implementation, with exact fractions and a SipHash of its own.
    #[test]
    fn the_table_stays_the_same_for_ever() {
        let servers = [
            ("10.0.0.1:80", 1, 1),
            ("10.0.0.2:80", 2, 2),
            ("10.0.0.2:81", 3, 3),
            ("192.0.2.200:65535", 4, 65_535),
            ("10.0.1.9:80", 5, 40_000),
        ];
        let servers =
            servers.map(|(address, slot, weight)| Member { slot, address: address.parse().unwrap(), weight });
        let ring = ring(&servers);
        let digest = Sha256::digest(ring.iter().flat_map(|slot| slot.to_be_bytes()).collect::<Vec<_>>());
        assert_eq!(ring[..12], [5, 4, 4, 5, 5, 4, 5, 5, 4, 5, 4, 4]);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "1e8d88e1255f81f9f78c79b4630bf483ca06bd9449cbc8790c3f4d7524ea4923");
    }

    #[test]
    fn as_many_servers_as_slots_get_one_each() {
        let servers: Vec<Member> =
            (0..4093).map(|slot| super::super::member(slot, u32::from(slot) + 1)).collect();
        let table = table(&servers, 4093);
        assert_eq!(counts(&table).len(), 4093);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn routers_agree_whatever_their_slots_and_order(servers in servers(1..40), shift in 1_u16..1000, turn in any::<prop::sample::Index>()) {
            let here = ring(&servers);
            let mut others: Vec<Member> =
                servers.iter().map(|member| Member { slot: member.slot + shift, ..*member }).collect();
            others.reverse();
            others.rotate_left(turn.index(servers.len()));
            let there: Vec<u16> = ring(&others).iter().map(|slot| slot - shift).collect();
            prop_assert_eq!(here, there);
        }

        #[test]
        fn shares_are_in_proportion(servers in servers(1..200)) {
            let ring = ring(&servers);
            prop_assert_eq!(ring.len(), MH_SLOTS);
            let counts = counts(&ring);
            let (slots, count) = (MH_SLOTS as u64, servers.len() as u64);
            let weights: u64 = servers.iter().map(|member| u64::from(member.weight)).sum();
            for member in servers {
                let (taken, weight) = (counts[&member.slot], u64::from(member.weight));
                // The last turn was due when all weights together were at most `slots`, and each server had one slot more
                // than it was due at most.
                prop_assert!(taken * weights >= weight * (slots - count), "{taken} of {member:?}");
                prop_assert!((taken - 1) * weights <= weight * slots, "{taken} of {member:?}");
            }
        }

        #[test]
        fn equal_weights_differ_by_one_slot(mut servers in servers(1..200), weight in 1_u32..=65_535) {
            for member in &mut servers {
                member.weight = weight;
            }
            let counts = counts(&ring(&servers));
            let (slots, count) = (MH_SLOTS as u64, servers.len() as u64);
            prop_assert_eq!(counts.len(), servers.len());
            prop_assert!(counts.values().all(|&taken| taken == slots / count || taken == slots / count + 1));
        }

        #[test]
        fn clients_of_the_others_mostly_stay(servers in servers(2..100), gone in any::<prop::sample::Index>()) {
            let before = ring(&servers);
            let mut left = servers;
            let gone = left.remove(gone.index(left.len()));
            let moved = figures::moved(&before, &ring(&left), gone.slot);
            prop_assert!(moved * 100 <= MH_SLOTS * 4, "{moved} slots moved");
        }
    }

    /// Servers anywhere, with weights between 1 and 100.
    fn servers(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Member>> {
        let server = (any::<[u8; 4]>(), any::<u16>());
        prop::collection::btree_map(server, 1_u32..=100, count).prop_map(|servers| {
            let members = (0..).zip(servers).map(|(slot, ((ip, port), weight))| Member {
                slot,
                address: SocketAddrV4::new(ip.into(), port),
                weight,
            });
            members.collect()
        })
    }

    fn counts(table: &[u16]) -> BTreeMap<u16, u64> {
        let mut counts = BTreeMap::new();
        for &slot in table {
            *counts.entry(slot).or_default() += 1;
        }
        counts
    }
}
