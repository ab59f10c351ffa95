//! Virtual MAC addresses: floating addresses may keep theirs when they move to the other router (RFC 9568 7.3). To the kernel they
//! are somebody else's, as an interface has one address of its own; so what is passed to it is addressed to that. None of
//! this concerns packets of established connections, and without any configured the verifier removes it all.

use aya_ebpf::bindings::xdp_md;
use lb_common::{VirtualMacKey, mac_number};

use crate::{
    bytes::{Access, Bytes as _},
    ctx::{Frame, opaque},
    globals, lease,
    maps::VIRTUAL_MACS,
    packet::{GROUP, Macs},
};

/// Where the lease stands in what [`find`] says.
const LEASE_SHIFT: u32 = 48;

/// Whether the MAC address with this number is a virtual one on an interface.
#[inline(always)]
pub(crate) fn is_one(ifindex: u32, mac: u64) -> bool {
    globals::has_virtual_macs() && find(ifindex, mac) != 0
}

/// Addresses a frame to the interface itself that is addressed to a virtual MAC address which this router may no longer answer for.
/// As the last hop of a connection says from where replies come, they would otherwise tell the switch that the address is here.
#[inline(always)]
pub(crate) fn settle(frame: &Frame) {
    if globals::has_virtual_macs() {
        address_to_interface(frame.as_ptr(), 1);
    }
}

/// Has the kernel take a frame for its own that is passed to it and addressed to a virtual MAC address.
#[inline(always)]
pub(crate) fn pass(frame: &impl Access) {
    if globals::has_virtual_macs() {
        address_to_interface(frame.as_ptr(), 0);
    }
}

/// Addresses a frame to the interface itself that is addressed to a virtual MAC address; with `past_lease`, 1 or 0, only where the lease
/// of its group does not run. A function of its own, for the stack, and so is the next one; always 0.
#[inline(never)]
fn address_to_interface(ctx: *mut xdp_md, past_lease: u32) -> u32 {
    // The verifier takes an address for a number otherwise, as in `lease`.
    let mut frame = Frame::of(opaque(ctx as usize) as *mut xdp_md);
    let Some(macs) = frame.read(0).map(Macs) else { return 0 };
    // No look-up for broadcasts, which are many.
    if macs.destination() & GROUP == 0 {
        let found = find(frame.ingress(), macs.destination());
        if found != 0 && !(past_lease != 0 && lease::runs((found >> LEASE_SHIFT) as u32)) {
            let own = found & ((1 << LEASE_SHIFT) - 1);
            frame.write(0, Macs::new(own, macs.source()).0);
        }
    }
    0
}

/// The number of the interface's own MAC address where the other one is a virtual one there, and above it the index of the lease of its
/// group; 0 where it is none.
#[inline(never)]
fn find(ifindex: u32, mac: u64) -> u64 {
    let [a, b, c, d, e, f, ..] = mac.to_le_bytes();
    let Some(found) = VIRTUAL_MACS.get_ptr(VirtualMacKey::new(ifindex, [a, b, c, d, e, f])) else { return 0 };
    // SAFETY: a value of the map is valid for the whole run, and any bytes make one.
    let found = unsafe { found.read() };
    mac_number(found.own) | (found.lease as u64) << LEASE_SHIFT
}
