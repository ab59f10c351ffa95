//! The hash of the scheduler `sh`.

/// `GOLDEN_RATIO_32` of the kernel (`include/linux/hash.h`).
const GOLDEN_RATIO_32: u32 = 0x61c8_8647;
/// `CONFIG_IP_VS_SH_TAB_BITS` of the kernel, so 256 buckets.
const BUCKET_BITS: u32 = 8;

/// The bucket of a client, `0..256`: `ip_vs_sh_hashkey` of the kernel without the flag `sh-port`.
#[inline(always)]
pub(crate) const fn bucket(client: [u8; 4]) -> u32 {
    u32::from_be_bytes(client).wrapping_mul(GOLDEN_RATIO_32) >> (u32::BITS - BUCKET_BITS)
}

const _: () = assert!(1 << BUCKET_BITS == lb_common::SH_BUCKETS);

#[cfg(test)]
mod tests {
    use super::*;

    /// The real servers that the kernel's `sh` gave to 60 connections from 10.0.0.101, .102 and so on: rs1, rs2 and rs3
    /// with the weights 1, 2 and 3. Recorded from Linux 6.1.
    const RECORDED: &str = "331323333232121323213131333333232232321212132331313233232321";

    #[test]
    fn buckets_agree_with_a_recording_of_the_kernel() {
        // `ip_vs_sh_reassign`: as many buckets in a row as the weight says, the server added last comes first.
        let table = ['3', '3', '3', '2', '2', '1'];
        for (client, server) in (101..).zip(RECORDED.chars()) {
            let bucket = bucket([10, 0, 0, client]) as usize;
            assert_eq!(table[bucket % table.len()], server, "10.0.0.{client}");
        }
    }
}
