//! Whether this router may still answer for an address that moves with the active role.
//!
//! The clock is `CLOCK_BOOTTIME`: it goes on while the machine sleeps, and nobody sets it. The coarse clocks of programs are
//! `CLOCK_MONOTONIC`, which stops meanwhile; and a call of 20 ns for an ARP request is nothing.

use aya_ebpf::{bindings::xdp_md, helpers::generated::bpf_ktime_get_boot_ns};
use lb_common::Reason;

use crate::{
    arp,
    bytes::Access as _,
    ctx::{Frame, opaque},
    maps::{FLOATING, LEASES},
};

/// What becomes of a frame that is not IPv4.
#[inline(always)]
pub(crate) fn judge(frame: &Frame) -> Reason {
    if is_asked_in_vain(frame.as_ptr()) != 0 { Reason::LeaseExpired } else { Reason::NotIpv4 }
}

/// Whether a frame asks for an address that the kernel must not answer for: 1, or 0. A function of its own, off the way of
/// packets.
#[inline(never)]
fn is_asked_in_vain(ctx: *mut xdp_md) -> u32 {
    // The compiler would hand over what it reads of the context instead, as numbers that the verifier takes for no addresses.
    let ctx = opaque(ctx as usize) as *mut xdp_md;
    arp::asked_for(&Frame::of(ctx)).is_some_and(has_expired).into()
}

/// Whether `address` is answered for under a lease, and that has run out.
#[inline(always)]
fn has_expired(address: [u8; 4]) -> bool {
    let Some(lease) = FLOATING.get_ptr(address) else { return false };
    // SAFETY: a value of the map is aligned and valid for the whole run.
    let lease = unsafe { lease.read_volatile() };
    // A lease that there is not has run out.
    let Some(lease) = LEASES.get_ptr(lease) else { return true };
    // SAFETY: as above; the helper takes nothing.
    unsafe { (&raw const (*lease).until).read_volatile() <= bpf_ktime_get_boot_ns() }
}
