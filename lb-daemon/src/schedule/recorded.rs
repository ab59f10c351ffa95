//! What the kernel's IPVS did: the servers of 60 connections, recorded from Linux 6.1 IPVS with ipvsadm 1.31, and the
//! same run through our schedules. Servers 1, 2 and 3 have the weights 1, 2 and 3 and were added in that order.

use lb_common::{SH_BUCKETS, Scheduler};

use super::{Member, Previous, Schedule, common_divisor, member, schedule};

/// A recording.
pub(super) struct Recording {
    /// The server of each connection, 0 for one that was refused.
    pub(super) servers: [u8; 60],
    change: Change,
    clients: Clients,
}

/// What happens to server 2 after connection 20, and is taken back after connection 40.
enum Change {
    Nothing,
    Weight0,
    Deleted,
}

/// Addresses that the connections come from.
enum Clients {
    /// 10.0.0.2.
    Same,
    /// 10.0.0.101 and up.
    Many,
    /// 10.0.0.101 to 10.0.0.120, three times.
    Rotating,
}

/// The servers that our schedules give the connections of a recording.
pub(super) fn replay(scheduler: Scheduler, recording: &Recording) -> [u8; 60] {
    let mut servers = [0; 60];
    let mut now = (Schedule::default(), 0);
    for (turn, server) in servers.iter_mut().enumerate() {
        if turn == 0 || turn % 20 == 0 && !matches!(recording.change, Change::Nothing) {
            now = change(scheduler, &recording.members(turn / 20), &now);
        }
        let (Schedule { ring, .. }, position) = &mut now;
        let index = match scheduler {
            Scheduler::SourceHash => recording.bucket(turn),
            Scheduler::RoundRobin | Scheduler::WeightedRoundRobin => *position as usize % ring.len(),
            Scheduler::Maglev => unreachable!("nothing was recorded of it"),
        };
        *position += 1;
        // The slot of server 2 once it was deleted and added again is 4.
        *server = if ring[index] == 4 { 2 } else { ring[index] as u8 };
    }
    servers
}

/// The schedule of `members` that follows another one and its position, and its first position. A divisor of 1 is
/// right for both: the weights hold a 1 at all times.
fn change(scheduler: Scheduler, members: &[Member], (old, position): &(Schedule, u64)) -> (Schedule, u64) {
    let divisor = common_divisor(members.iter().map(|member| member.weight));
    assert_eq!(divisor, 1);
    let previous = Previous { ring: &old.ring, start: old.start, position: *position, divisor };
    let new = schedule(scheduler, members, Some(previous));
    let start = new.start;
    (new, start)
}

impl Recording {
    /// The kernel's list in one of the three phases.
    fn members(&self, phase: usize) -> Vec<Member> {
        let pairs: &[(u16, u32)] = match (&self.change, phase) {
            (Change::Weight0, 1) => &[(3, 3), (2, 0), (1, 1)],
            (Change::Deleted, 1) => &[(3, 3), (1, 1)],
            (Change::Deleted, 2) => &[(4, 2), (3, 3), (1, 1)],
            (Change::Nothing | Change::Weight0 | Change::Deleted, _) => &[(3, 3), (2, 2), (1, 1)],
        };
        pairs.iter().map(|&(slot, weight)| member(slot, weight)).collect()
    }

    /// `ip_vs_sh_hashkey` of a connection's client: `hash_32` of `include/linux/hash.h` to eight bits.
    fn bucket(&self, turn: usize) -> usize {
        let host = match self.clients {
            Clients::Same => 2,
            Clients::Many => 101 + turn,
            Clients::Rotating => 101 + turn % 20,
        };
        let address = 0x0A00_0000 + host as u32;
        (address.wrapping_mul(0x61C8_8647) >> 24) as usize % SH_BUCKETS
    }
}

/// `rr`: one client.
#[rustfmt::skip]
pub(super) const RR: &Recording = &Recording {
    servers: [
        3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2,
        1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3,
        2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1,
    ],
    change: Change::Nothing,
    clients: Clients::Same,
};

/// `rr`: server 2 has weight 0 from connection 21 to 40.
#[rustfmt::skip]
pub(super) const RR_WEIGHT0_THEN_BACK: &Recording = &Recording {
    servers: [
        3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2,
        1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3,
        2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1,
    ],
    change: Change::Weight0,
    clients: Clients::Rotating,
};

/// `rr`: server 2 is deleted after connection 20 and added after 40.
#[rustfmt::skip]
pub(super) const RR_DELETE_THEN_ADD: &Recording = &Recording {
    servers: [
        3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2,
        1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3,
        1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2,
    ],
    change: Change::Deleted,
    clients: Clients::Same,
};

/// `wrr`: one client.
#[rustfmt::skip]
pub(super) const WRR: &Recording = &Recording {
    servers: [
        3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2, 3, 2,
        1, 3, 3, 2, 3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2, 3, 2, 1, 3,
        3, 2, 3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2,
    ],
    change: Change::Nothing,
    clients: Clients::Same,
};

/// `wrr`: server 2 has weight 0 from connection 21 to 40.
#[rustfmt::skip]
pub(super) const WRR_WEIGHT0_THEN_BACK: &Recording = &Recording {
    servers: [
        3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2, 3, 2,
        3, 1, 3, 3, 3, 1, 3, 3, 3, 1, 3, 3, 3, 1, 3, 3, 3, 1, 3, 3,
        3, 2, 3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2,
    ],
    change: Change::Weight0,
    clients: Clients::Rotating,
};

/// `wrr`: server 2 is deleted after connection 20 and added after 40.
#[rustfmt::skip]
pub(super) const WRR_DELETE_THEN_ADD: &Recording = &Recording {
    servers: [
        3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2, 3, 2,
        3, 1, 3, 3, 3, 1, 3, 3, 3, 1, 3, 3, 3, 1, 3, 3, 3, 1, 3, 3,
        2, 3, 2, 3, 1, 3, 2, 3, 2, 3, 1, 3, 2, 3, 2, 3, 1, 3, 2, 3,
    ],
    change: Change::Deleted,
    clients: Clients::Same,
};

/// `sh`: sixty clients.
#[rustfmt::skip]
pub(super) const SH_MANY_SOURCES: &Recording = &Recording {
    servers: [
        3, 3, 1, 3, 2, 3, 3, 3, 3, 2, 3, 2, 1, 2, 1, 3, 2, 3, 2, 1,
        3, 1, 3, 1, 3, 3, 3, 3, 3, 3, 2, 3, 2, 2, 3, 2, 3, 2, 1, 2,
        1, 2, 1, 3, 2, 3, 3, 1, 3, 1, 3, 2, 3, 3, 2, 3, 2, 3, 2, 1,
    ],
    change: Change::Nothing,
    clients: Clients::Many,
};

/// `sh`: one client.
#[rustfmt::skip]
pub(super) const SH_SAME_SOURCE: &Recording = &Recording {
    servers: [
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    ],
    change: Change::Nothing,
    clients: Clients::Same,
};

/// `sh`: server 2 has weight 0 from connection 21 to 40; 0 is a client refused.
#[rustfmt::skip]
pub(super) const SH_WEIGHT0_THEN_BACK: &Recording = &Recording {
    servers: [
        3, 3, 1, 3, 2, 3, 3, 3, 3, 2, 3, 2, 1, 2, 1, 3, 2, 3, 2, 1,
        3, 3, 1, 3, 3, 3, 1, 3, 1, 3, 0, 3, 1, 3, 1, 3, 0, 3, 0, 3,
        3, 3, 1, 3, 2, 3, 3, 3, 3, 2, 3, 2, 1, 2, 1, 3, 2, 3, 2, 1,
    ],
    change: Change::Weight0,
    clients: Clients::Rotating,
};
