//! The peer router: packets of unknown connections get a second chance there, once.

use lb_common::{Reason, mac_number};

use crate::{
    bytes::Access,
    cache,
    hop::{self, Hop},
    outcome::Outcome,
    packet::{GROUP, Macs},
    virtual_mac,
};

/// How the peer stands to a packet.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    /// It sent the packet. Nothing that came from the peer ever goes back to it, so that no packet can circle.
    Sender,
    /// It can be reached on the interface that the packet came in by.
    Reachable(Hop),
    /// It is not known on that interface.
    Unknown,
}

impl Peer {
    /// Looks the peer up for a packet with these addresses.
    ///
    /// # Errors
    /// `Overheard` for a packet that is addressed to another host of the segment, or to many: to hand it on would send
    /// it twice, and to answer it would reset a connection of somebody else. The kernel drops such packets too
    /// (`PACKET_OTHERHOST` in `ip_rcv_core`).
    #[inline(always)]
    pub(crate) fn of(frame: &impl Access, macs: Macs) -> Result<Self, Reason> {
        let ifindex = frame.ingress();
        if macs.destination() & GROUP != 0 {
            return Err(Reason::Overheard);
        }
        let Some(peer) = cache::peer(ifindex) else { return Ok(Self::Unknown) };
        let to = macs.destination();
        if to != mac_number(peer.source_mac) && !virtual_mac::is_one(ifindex, to) {
            Err(Reason::Overheard)
        } else if macs.source() == mac_number(peer.mac) {
            Ok(Self::Sender)
        } else {
            Ok(Self::Reachable(Hop::of_peer(ifindex, &peer)))
        }
    }
}

/// Hands the packet to the peer as it is: as if the sender had addressed the peer itself.
#[inline(always)]
pub(crate) fn second_chance(frame: &mut impl Access, peer: &Hop) -> Outcome {
    hop::send(frame, peer, Reason::SecondChance)
}
