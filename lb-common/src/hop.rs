//! The way to the peer router, by which a packet of an unknown connection gets a second chance.

/// Value of the peer map: how to reach the peer router on one interface.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerHop {
    /// MAC address of the peer on this segment.
    pub mac: [u8; 6],
    /// Own MAC address on this segment.
    pub source_mac: [u8; 6],
}

const _: () = assert!(size_of::<PeerHop>() == 12);
