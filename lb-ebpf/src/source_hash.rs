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
