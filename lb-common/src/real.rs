//! A real server of a service: where to send a packet, and by which method.

/// One entry of the real server array. A real server that stands in two services has an entry in each. A version with another layout
/// finds the fields by their names, as those of a [flow](crate::flow_table::RawEntry).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Real {
    /// IPv4 address of the real server.
    pub address: [u8; 4],
    /// Port on the real server, host order. With direct routing always the port of the service.
    pub port: u16,
    /// A [`Method`](crate::Method) as its number.
    pub method: u8,
    /// A [`RealState`] as its number.
    pub state: u8,
    /// MAC address of the next hop: the real server itself, or the gateway before it.
    pub mac: [u8; 6],
    /// MAC address of the interface that the packet leaves by.
    pub source_mac: [u8; 6],
    /// Interface that the packet leaves by; 0 while the next hop is not resolved.
    pub ifindex: u32,
    /// Counts the owners of this slot. A flow of another generation belongs to a server that is gone.
    pub generation: u32,
    /// [`Service::id`](crate::Service::id) of the service it belongs to.
    pub service: u32,
    /// Weight in force, `0..=65535`; 0 takes no new connections. For people: the ring decides.
    pub weight: u32,
    /// Virtual IPv4 address of the service: the flow table names a connection's service by its real server.
    pub virtual_address: [u8; 4],
    /// Virtual port of the service, host order.
    pub virtual_port: u16,
    /// IPv4 protocol number of the service.
    pub protocol: u8,
    /// Nothing.
    pub _pad: u8,
    /// To a whole cache line: every packet of a connection reads this entry.
    pub _reserved: [u16; 10],
}

impl Real {
    /// Both MAC addresses as they stand in a frame to it, in words of memory.
    #[inline(always)]
    pub const fn macs(&self) -> [u32; 3] {
        // SAFETY: the two addresses are twelve octets in a row, at a multiple of four; any octets make words.
        unsafe { (&raw const self.mac).cast::<[u32; 3]>().read() }
    }
}

/// Key by which a reply of a NAT real server is recognised when its flow is not known.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealKey {
    /// IPv4 address of the real server.
    pub address: [u8; 4],
    /// Port on the real server, host order.
    pub port: u16,
    /// IPv4 protocol number.
    pub protocol: u8,
    _pad: u8,
}

impl RealKey {
    /// The key of `protocol address:port`.
    #[inline(always)]
    pub const fn new(protocol: u8, address: [u8; 4], port: u16) -> Self {
        Self { address, port, protocol, _pad: 0 }
    }
}

/// What may be sent to a real server.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RealState {
    /// The slot is free, or its server was removed from the configuration: its flows are unknown connections.
    Removed = 0,
    /// Takes new connections (as its weight says) and keeps its own.
    Up = 1,
    /// Takes no new connections, keeps those it has: weight 0, drained or disabled by the operator.
    Quiesced = 2,
    /// Failed its check: takes no new connections; TCP connections stay with it, UDP flows and repeated SYNs move.
    Down = 3,
}

impl RealState {
    /// The state stored as `n`; `None` where no such number exists.
    #[inline(always)]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Removed),
            1 => Some(Self::Up),
            2 => Some(Self::Quiesced),
            3 => Some(Self::Down),
            _ => None,
        }
    }
}

const _: () = assert!(size_of::<Real>() == 64);
const _: () = assert!(core::mem::offset_of!(Real, mac) == 8 && core::mem::offset_of!(Real, source_mac) == 14);
const _: () = assert!(size_of::<RealKey>() == 8);
