//! `sh`: a table of buckets that the client's address is hashed into (`ip_vs_sh.c`).

use lb_common::SH_BUCKETS;

use super::Member;

/// The buckets: round after round, every server gets as many in a row as its weight says
/// (`ip_vs_sh_reassign`). Empty without servers.
pub(super) fn ring(eligible: &[Member]) -> Vec<u16> {
    eligible
        .iter()
        .cycle()
        .flat_map(|member| std::iter::repeat_n(member.slot, member.weight as usize))
        .take(SH_BUCKETS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use lb_common::Scheduler;

    #[test]
    fn as_recorded() {
        for sequence in [recorded::SH_MANY_SOURCES, recorded::SH_SAME_SOURCE] {
            assert_eq!(recorded::replay(Scheduler::SourceHash, sequence), sequence.servers);
        }
    }

    #[test]
    fn differs_from_the_kernel_only_while_a_server_has_weight_0() {
        let sequence = recorded::SH_WEIGHT0_THEN_BACK;
        let ours = recorded::replay(Scheduler::SourceHash, sequence);
        assert_eq!(ours[..20], sequence.servers[..20]);
        assert!(
            ours[20..40].iter().all(|&server| server != 2),
            "the kernel refuses where we spread: {ours:?}"
        );
        assert_eq!(ours[40..], sequence.servers[40..]);
    }
}
