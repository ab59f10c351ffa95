//! The peer router: packets of unknown connections get a second chance there, once.

use lb_common::{PeerHop, Reason};

use crate::{
    ctx::Frame,
    hop::{self, Hop},
    maps::PEER_HOPS,
    outcome::Outcome,
    packet::Packet,
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
    /// Looks the peer up for a packet.
    #[inline(always)]
    pub(crate) fn of(frame: &Frame, packet: &Packet) -> Self {
        let ifindex = frame.ingress();
        let Some(peer) = PEER_HOPS.get_ptr(ifindex) else { return Self::Unknown };
        // SAFETY: a value of the map is valid for the whole run, and any bytes make MAC addresses.
        let peer: PeerHop = unsafe { peer.read() };
        if packet.macs.source == peer.mac {
            Self::Sender
        } else {
            Self::Reachable(Hop::of_peer(ifindex, &peer))
        }
    }
}

/// Hands the packet to the peer as it is: as if the sender had addressed the peer itself.
#[inline(always)]
pub(crate) fn second_chance(frame: &mut Frame, peer: &Hop) -> Outcome {
    hop::send(frame, peer, Reason::SecondChance)
}
