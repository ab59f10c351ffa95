//! A virtual service: protocol, virtual address and port, and how a new connection finds its real server.

/// Key of the service map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// Virtual IPv4 address.
    pub address: [u8; 4],
    /// Virtual port, host order.
    pub port: u16,
    /// IPv4 protocol number, [`IPPROTO_TCP`](crate::IPPROTO_TCP) or [`IPPROTO_UDP`](crate::IPPROTO_UDP).
    pub protocol: u8,
    _pad: u8,
}

impl ServiceKey {
    /// The key of `protocol address:port`.
    #[inline(always)]
    pub const fn new(protocol: u8, address: [u8; 4], port: u16) -> Self {
        Self { address, port, protocol, _pad: 0 }
    }
}

/// Value of the service map. Replacing it is the one atomic step by which a new ring becomes visible.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Number of this service, stable while it is configured.
    pub id: u32,
    /// Index of the ring in use: `2 * id` or `2 * id + 1`, in turn, so that a ring is never written while it is read.
    pub ring: u32,
    /// Slots of that ring in use, `0..=RING_SLOTS`; 0 when no real server may take a new connection.
    pub ring_len: u32,
    /// A [`Scheduler`] as its number.
    pub scheduler: u8,
    /// Not 0: this router opens no connections of this service, whatever its role; it has those of the peer, of a group of
    /// services that is active there. Where there are no groups, the router's role alone decides.
    pub closed: u8,
    _pad: [u8; 2],
}

impl Service {
    /// A service that reads `ring_len` slots of ring `ring` by `scheduler`.
    pub const fn new(id: u32, ring: u32, ring_len: u32, scheduler: Scheduler) -> Self {
        Self { id, ring, ring_len, scheduler: scheduler as u8, closed: 0, _pad: [0; 2] }
    }

    /// The same, closed or not.
    pub const fn closed(self, closed: bool) -> Self {
        Self { closed: closed as u8, ..self }
    }
}

/// How the ring of a service is read. The daemon has prepared the ring accordingly.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheduler {
    /// Round robin: the next slot.
    RoundRobin = 0,
    /// Weighted round robin: the next slot of a ring in the order of the kernel's `ip_vs_wrr.c`.
    WeightedRoundRobin = 1,
    /// Source hashing: the slot of the client's address, as the kernel's `ip_vs_sh.c`.
    SourceHash = 2,
    /// Maglev hashing: the slot of the client's address, in a ring that changes little when its servers do.
    Maglev = 3,
}

impl Scheduler {
    /// The scheduler stored as `n`; `None` where no such number exists.
    #[inline(always)]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::RoundRobin),
            1 => Some(Self::WeightedRoundRobin),
            2 => Some(Self::SourceHash),
            3 => Some(Self::Maglev),
            _ => None,
        }
    }

    /// Whether the next slot of the ring is taken in turn; otherwise the client's address says which.
    pub const fn is_in_turn(self) -> bool {
        matches!(self, Self::RoundRobin | Self::WeightedRoundRobin)
    }

    /// The name that ipvsadm and keepalived use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "rr",
            Self::WeightedRoundRobin => "wrr",
            Self::SourceHash => "sh",
            Self::Maglev => "mh",
        }
    }
}

const _: () = assert!(size_of::<ServiceKey>() == 8);
const _: () = assert!(size_of::<Service>() == 16);
