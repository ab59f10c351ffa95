//! What the data plane must know about its router as a whole.

/// The one entry of the router map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterState {
    /// A [`RouterRole`] as its number.
    pub role: u8,
    _pad: [u8; 3],
}

impl RouterState {
    /// The state of a router in `role`.
    pub const fn new(role: RouterRole) -> Self {
        Self { role: role as u8, _pad: [0; 3] }
    }
}

/// Whether this router accepts new connections.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouterRole {
    /// Forwards the connections it knows, and opens those that the peer passes on; everything else for a service goes to the
    /// peer.
    Standby = 0,
    /// Schedules new connections.
    Active = 1,
}

impl RouterRole {
    /// The role stored as `n`; `None` where no such number exists.
    #[inline(always)]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Standby),
            1 => Some(Self::Active),
            _ => None,
        }
    }
}

const _: () = assert!(size_of::<RouterState>() == 4);
