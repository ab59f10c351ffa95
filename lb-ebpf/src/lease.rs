//! Whether this router may still answer for an address that moves with the active role, and who answers: the kernel, or the program
//! for an address with a virtual MAC address.
//!
//! The clock is `CLOCK_BOOTTIME`: it goes on while the machine sleeps, and nobody sets it. The coarse clocks of programs are
//! `CLOCK_MONOTONIC`, which stops meanwhile; and a call of 20 ns for an ARP request is nothing.

use aya_ebpf::{bindings::xdp_md, helpers::generated::bpf_ktime_get_boot_ns};
use lb_common::{Reason, mac_number};

use crate::{
    arp::{self, Request},
    bytes::Access as _,
    ctx::{Frame, opaque},
    maps::{FLOATING, LEASES},
    outcome::{Outcome, Sent},
    virtual_mac,
};

/// What becomes of a frame that is not IPv4.
#[inline(always)]
pub(crate) fn judge(frame: &Frame) -> Outcome {
    match answer(frame.as_ptr()) {
        ANSWERED => Ok(Sent { reason: Reason::ArpAnswered, ifindex: frame.ingress() }),
        IN_VAIN => Err(Reason::LeaseExpired),
        _ => Err(Reason::NotIpv4),
    }
}

/// See [`answer`].
const ANSWERED: u32 = 0;
/// See [`answer`].
const IN_VAIN: u32 = 1;
/// See [`answer`].
const NOT_OURS: u32 = 2;

/// Turns a request for an address with a virtual MAC address into its answer; [`IN_VAIN`] for one that asks for an address which
/// nobody here may answer for, [`NOT_OURS`] for any other frame. A function of its own, off the way of packets.
#[inline(never)]
fn answer(ctx: *mut xdp_md) -> u32 {
    // The compiler would hand over what it reads of the context instead, as numbers that the verifier takes for no addresses.
    let ctx = opaque(ctx as usize) as *mut xdp_md;
    let mut frame = Frame::of(ctx);
    let Some(request) = arp::request(&frame) else { return NOT_OURS };
    let Some(floating) = FLOATING.get_ptr(request.target) else { return NOT_OURS };
    // SAFETY: a value of the map is aligned and valid for the whole run.
    let floating = unsafe { floating.read_volatile() };
    if !runs(floating.lease) {
        return IN_VAIN;
    }
    match floating.virtual_mac() {
        // Whoever asks on another segment than its own gets what the kernel answers there.
        Some(mac) if virtual_mac::is_one(frame.ingress(), mac_number(mac)) => {
            write(&mut frame, &request, mac).map_or(IN_VAIN, |()| ANSWERED)
        }
        Some(_) | None => NOT_OURS,
    }
}

#[inline(always)]
fn write(frame: &mut Frame, request: &Request, mac: [u8; 6]) -> Option<()> {
    let answer = request.answered(mac);
    frame.write(request.operation_at(), answer.fields)?;
    frame.write(0, answer.macs.0)
}

/// Whether a lease runs. One that there is not has run out.
#[inline(always)]
pub(crate) fn runs(lease: u32) -> bool {
    let Some(lease) = LEASES.get_ptr(lease) else { return false };
    // SAFETY: a value of the map is aligned and valid for the whole run; the helper takes nothing.
    unsafe { (&raw const (*lease).until).read_volatile() > bpf_ktime_get_boot_ns() }
}
