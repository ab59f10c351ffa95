//! The figures of `docs/scheduling.md`: they follow from the code, so the document is compared with what it computes.

use lb_common::{MH_SLOTS, SH_BUCKETS};

use super::{
    super::{common_divisor, member, source_hash},
    Member, Server, table,
};

const DOCUMENT: &str = include_str!("../../../../docs/scheduling.md");

/// Slots that changed their server although it stayed.
pub(super) fn moved(before: &[u16], after: &[u16], gone: u16) -> usize {
    before.iter().zip(after).filter(|(before, after)| **before != gone && before != after).count()
}

#[test]
fn the_document_says_what_moves_when_a_server_leaves() {
    let rows = [4, 16, 100, 1000].map(|count| {
        let servers = equal(count, 1);
        let [small, ring, large] =
            [4093, MH_SLOTS, 65_537].map(|size| when_one_leaves(&servers, |servers| table(servers, size)));
        // More servers than buckets are no use.
        let sh = if servers.len() > SH_BUCKETS {
            "-".to_owned()
        } else {
            when_one_leaves(&servers, source_hash::ring)
        };
        format!("| {count} | {small} | {ring} | {large} | {sh} |\n")
    });
    expect("| Servers | 4,093 slots | 16,381 slots | 65,537 slots | `sh` |", &rows);
}

#[test]
fn the_document_says_what_moves_when_a_weight_changes() {
    let rows = [4, 16, 100, 1000].map(|count| {
        let servers = equal(count, 10);
        let changed = servers.len() / 2;
        let mut lighter = servers.clone();
        lighter[changed].weight -= 1;
        let [ours, kernel] = [ring, kernel_ring].map(|ring| {
            let moved = moved(&ring(&servers), &ring(&lighter), servers[changed].slot);
            percent(moved, MH_SLOTS)
        });
        format!("| {count} | {ours} | {kernel} |\n")
    });
    expect("| Servers | here | by the kernel's turns |", &rows);
}

#[test]
fn the_document_says_how_even_shares_are() {
    let rows = [
        ("100, 99, 98", weighted(&[100, 99, 98])),
        ("1, 2, 3 … 20", weighted(&Vec::from_iter(1..=20))),
        ("1, 2, 3 … 200", weighted(&Vec::from_iter(1..=200))),
        ("1000 of weight 1", weighted(&[1; 1000])),
        ("one of 1000, 1000 of 1", weighted(&[vec![1000], vec![1; 1000]].concat())),
    ]
    .map(|(name, servers)| {
        let [ours, kernel] = [ring, kernel_ring].map(|ring| shares(&ring(&servers), &servers));
        format!("| {name} | {ours} | {kernel} |\n")
    });
    expect("| Weights | here | by the kernel's turns |", &rows);
}

/// The table that the kernel's `ip_vs_mh.c` would fill with our hash, in the order of addresses: in each round, a server
/// takes its weight by the greatest common divisor in a row, halved until the greatest has at most seven bits.
fn kernel_ring(members: &[Member]) -> Vec<u16> {
    let divisor = common_divisor(members.iter().map(|member| member.weight));
    let heaviest = members.iter().map(|member| member.weight / divisor).max().unwrap_or(1);
    let shift = (u32::BITS - heaviest.leading_zeros()).saturating_sub(7);
    let turns: Vec<u32> = members.iter().map(|member| ((member.weight / divisor) >> shift).max(1)).collect();
    let mut servers: Vec<Server> = members.iter().map(|member| Server::new(member, MH_SLOTS)).collect();
    let mut table = vec![None; MH_SLOTS];
    let round = turns.iter().enumerate().flat_map(|(server, turns)| (0..*turns).map(move |_| server));
    for server in round.cycle().take(MH_SLOTS) {
        servers[server].take_slot(&mut table);
    }
    table.into_iter().flatten().collect()
}

fn ring(members: &[Member]) -> Vec<u16> {
    super::ring(members)
}

/// The mean and the most that moves when one of the servers leaves: each of them, or up to sixteen at equal
/// distances.
fn when_one_leaves(servers: &[Member], ring: impl Fn(&[Member]) -> Vec<u16>) -> String {
    let before = ring(servers);
    let leaving: Vec<usize> = (0..servers.len()).step_by(servers.len().div_ceil(16)).collect();
    let moved: Vec<usize> = leaving
        .iter()
        .map(|&leaving| {
            let mut left = servers.to_vec();
            let gone = left.remove(leaving);
            moved(&before, &ring(&left), gone.slot)
        })
        .collect();
    let most = moved.iter().max().unwrap();
    let mean = percent(moved.iter().sum(), before.len() * moved.len());
    format!("{mean} ({})", percent(*most, before.len()))
}

/// The least and the most that a server has of what its weight is due.
fn shares(ring: &[u16], servers: &[Member]) -> String {
    let weights: u64 = servers.iter().map(|member| u64::from(member.weight)).sum();
    let mut taken = vec![0; servers.len()];
    for &slot in ring {
        taken[usize::from(slot)] += 1;
    }
    let shares = servers.iter().map(|member| {
        let due = ring.len() as u64 * u64::from(member.weight);
        taken[usize::from(member.slot)] * weights * 1000 / due
    });
    let (least, most) = (shares.clone().min().unwrap(), shares.max().unwrap());
    format!("{} to {}", tenths(least), tenths(most))
}

/// 1 is 0.1 %.
fn tenths(share: u64) -> String {
    format!("{}.{} %", share / 10, share % 10)
}

fn percent(part: usize, whole: usize) -> String {
    // Hundredths of a percent, rounded.
    let share = (part * 10_000 + whole / 2) / whole;
    format!("{}.{:02} %", share / 100, share % 100)
}

fn equal(count: usize, weight: u32) -> Vec<Member> {
    weighted(&vec![weight; count])
}

fn weighted(weights: &[u32]) -> Vec<Member> {
    (0..).zip(weights).map(|(slot, &weight)| member(slot, weight)).collect()
}

#[track_caller]
fn expect(head: &str, rows: &[String]) {
    let columns = head.matches('|').count() - 1;
    let expected = format!("{head}\n|{}\n{}", " --- |".repeat(columns), rows.concat());
    assert!(DOCUMENT.contains(&expected), "docs/scheduling.md does not hold\n{expected}");
}
