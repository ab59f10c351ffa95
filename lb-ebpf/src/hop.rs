//! The last step of every packet that is sent: MAC addresses and the interface.

use aya_ebpf::{
    bindings::{BPF_FIB_LKUP_RET_SUCCESS, bpf_fib_lookup as FibLookup, xdp_md},
    helpers::generated::bpf_fib_lookup,
};
use lb_common::{LastHop, PeerHop, Real, Reason, mac_number};

use crate::{
    bytes::Access,
    ctx::Frame,
    outcome::{Outcome, Sent},
    packet::{Macs, Packet},
};

/// `AF_INET` of Linux.
const AF_INET: u8 = 2;

/// A neighbour on a segment, and how this router stands on that segment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hop {
    /// Interface towards it; 0 where not known.
    pub(crate) ifindex: u32,
    /// Own MAC address on the segment, and its.
    pub(crate) macs: Macs,
}

impl Hop {
    /// No neighbour.
    pub(crate) const UNKNOWN: Self = Self { ifindex: 0, macs: Macs([0; 3]) };

    /// The next hop of a real server.
    #[inline(always)]
    pub(crate) fn of_real(real: &Real) -> Self {
        Self { ifindex: real.ifindex, macs: Macs(real.macs()) }
    }

    /// The peer router on interface `ifindex`.
    #[inline(always)]
    pub(crate) fn of_peer(ifindex: u32, peer: &PeerHop) -> Self {
        Self { ifindex, macs: Macs::new(mac_number(peer.mac), mac_number(peer.source_mac)) }
    }

    /// The neighbour that a packet came from.
    #[inline(always)]
    pub(crate) fn back(ifindex: u32, packet: &Packet) -> Self {
        Self { ifindex, macs: packet.macs.back() }
    }

    /// A neighbour from the table of last hops; `None` where it is not known.
    #[inline(always)]
    pub(crate) fn of_last(last: &LastHop) -> Option<Self> {
        let [mac, local_mac] = last.mac_numbers();
        last.is_known().then(|| Self { ifindex: last.ifindex(), macs: Macs::new(mac, local_mac) })
    }

    /// Whether the packet may leave by this hop.
    ///
    /// # Errors
    /// `OtherVlan`: a tag means something on the segment that it came from alone. The kernel takes it off and hands the
    /// packet to the interface of the VLAN, on which the program may stand too.
    #[inline(always)]
    pub(crate) fn check_vlan(&self, frame: &impl Access, packet: &Packet) -> Result<(), Reason> {
        if packet.in_vlan && self.ifindex != frame.ingress() { Err(Reason::OtherVlan) } else { Ok(()) }
    }

    /// The next hop of the kernel's routing table from `source` to `destination`; `None` where there is no route, or
    /// the neighbour is not resolved.
    #[inline(always)]
    pub(crate) fn by_route(frame: &impl Access, source: [u8; 4], destination: [u8; 4]) -> Option<Self> {
        let mut hop = Self::UNKNOWN;
        let [source, destination] = [source, destination].map(u32::from_ne_bytes);
        route(frame.as_ptr(), source, destination, &mut hop).then_some(hop)
    }
}

/// Asks the kernel's routing table; addresses in network order. A function of its own, off the way of common packets.
#[inline(never)]
fn route(ctx: *mut xdp_md, source: u32, destination: u32, hop: &mut Hop) -> bool {
    // SAFETY: numbers and arrays of numbers: all zero is a valid value.
    let mut lookup: FibLookup = unsafe { core::mem::zeroed() };
    lookup.family = AF_INET;
    lookup.ifindex = Frame::of(ctx).ingress();
    lookup.__bindgen_anon_3.ipv4_src = source;
    lookup.__bindgen_anon_4.ipv4_dst = destination;
    let size = size_of::<FibLookup>() as i32;
    // SAFETY: the context is the kernel's own, `lookup` is valid for reading and writing `size` bytes.
    let result = unsafe { bpf_fib_lookup(ctx.cast(), &raw mut lookup, size, 0) };
    *hop = Hop { ifindex: lookup.ifindex, macs: Macs::new(mac_number(lookup.dmac), mac_number(lookup.smac)) };
    result == BPF_FIB_LKUP_RET_SUCCESS as i64
}

/// Addresses the frame to `hop` and sends it.
#[inline(always)]
pub(crate) fn send(frame: &mut impl Access, hop: &Hop, reason: Reason) -> Outcome {
    frame.set_macs(hop.macs).ok_or(Reason::Malformed)?;
    Ok(Sent { reason, ifindex: hop.ifindex })
}
