//! `rr`: the next server of the list that may take a connection (`ip_vs_rr.c`).

use super::{Member, Previous, Schedule};

/// The ring of `eligible`, started behind the server that took the last connection.
pub(super) fn schedule(members: &[Member], eligible: &[Member], previous: Option<Previous<'_>>) -> Schedule {
    let ring: Vec<u16> = eligible.iter().map(|member| member.slot).collect();
    let last = previous.and_then(|previous| last(members, previous));
    let start = last.map_or(0, |last| start_behind(last, members, &ring));
    Schedule { ring, start }
}

/// Where in `members` the server stands that took the last connection. A server that was deleted is stood in for by
/// the one before it, as `ip_vs_rr_del_dest` moves the kernel's pointer.
fn last(members: &[Member], previous: Previous<'_>) -> Option<usize> {
    // Position 0 is the one position with no connection behind it: the kernel's pointer is at the list's head.
    let last = previous.position.checked_sub(1)?;
    let index = previous.index(last)?;
    let (behind, before) = previous.ring.split_at_checked(index + 1)?;
    let mut backwards = behind.iter().rev().chain(before.iter().rev());
    backwards.find_map(|&slot| members.iter().position(|member| member.slot == slot))
}

/// The position in `ring` of the first eligible server behind `members[last]`; never 0, which says that there was no
/// connection yet, but the ring's length instead.
fn start_behind(last: usize, members: &[Member], ring: &[u16]) -> u64 {
    let next = (1..=members.len())
        .filter_map(|step| members.get((last + step) % members.len()))
        .find(|member| member.weight > 0);
    let index = next.and_then(|next| ring.iter().position(|&slot| slot == next.slot));
    match index {
        Some(0) | None => ring.len() as u64,
        Some(index) => index as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Previous, member, recorded, schedule};
    use lb_common::Scheduler;

    #[test]
    fn as_recorded() {
        for sequence in [recorded::RR, recorded::RR_WEIGHT0_THEN_BACK, recorded::RR_DELETE_THEN_ADD] {
            assert_eq!(recorded::replay(Scheduler::RoundRobin, sequence), sequence.servers);
        }
    }

    #[test]
    fn a_deleted_server_is_stood_in_for_by_the_one_before_it() {
        let old = [3, 2, 1];
        // The last connection went to 2, at position 1; 2 and 3 are deleted, 1 is left behind 4.
        let previous = Previous { ring: &old, start: 0, position: 2, divisor: 1 };
        let members = [member(4, 1), member(1, 1)];
        let made = schedule(Scheduler::RoundRobin, &members, Some(previous));
        assert_eq!(made.ring, [4, 1]);
        assert_eq!(made.start, 2, "no server before 2 is left but 1 around the ring's end, so 4 is next");
    }

    #[test]
    fn an_unused_ring_starts_at_the_head() {
        let previous = Previous { ring: &[1], start: 0, position: 0, divisor: 1 };
        let members = [member(2, 1), member(1, 1)];
        assert_eq!(schedule(Scheduler::RoundRobin, &members, Some(previous)).start, 0);
    }
}
