//! A connection, as each direction of it is kept in the flow table.

/// Addresses and ports of a packet as it arrives.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// Source IPv4 address.
    pub source: [u8; 4],
    /// Destination IPv4 address.
    pub destination: [u8; 4],
    /// Source port, host order.
    pub source_port: u16,
    /// Destination port, host order.
    pub destination_port: u16,
    /// IPv4 protocol number.
    pub protocol: u8,
    // Numbers and not octets: zeroing three octets is a call of `memset` in BPF, zeroing two numbers is not.
    _pad: u8,
    _pad_end: u16,
}

impl FlowKey {
    /// The key of a packet from `source:source_port` to `destination:destination_port`.
    #[inline(always)]
    pub const fn new(
        protocol: u8,
        source: [u8; 4],
        source_port: u16,
        destination: [u8; 4],
        destination_port: u16,
    ) -> Self {
        Self { source, destination, source_port, destination_port, protocol, _pad: 0, _pad_end: 0 }
    }
}

/// One direction of a connection. The entry of [`Direction::Original`] owns state and age; the reply entry, which only
/// NAT has, points to it by `other`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// When the last packet of either direction was seen. Kept in the original entry.
    pub last_seen: u64,
    /// Index into the real server array.
    pub real: u32,
    /// [`Real::generation`](crate::Real::generation) when the connection was made.
    pub generation: u32,
    /// Key of the other direction; all zero where there is none (direct routing).
    pub other: FlowKey,
    /// Original entry: interface by which the client's packets arrive; 0 where not known.
    pub last_hop_ifindex: u32,
    /// Original entry: MAC address from which the client's packets arrive.
    pub last_hop_mac: [u8; 6],
    /// Original entry: MAC address of the router to which they came.
    pub local_mac: [u8; 6],
    /// Original entry: a [`ConnState`] as its number.
    pub state: u8,
    /// A [`Direction`] as its number.
    pub direction: u8,
    _pad: u16,
    _pad_end: u32,
}

/// Which way a flow entry looks.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Client to virtual address.
    Original = 0,
    /// Real server to client.
    Reply = 1,
}

/// State of a connection, with the names and timeouts of the kernel's IPVS (`ip_vs_proto_tcp.c`, `ip_vs_proto_udp.c`).
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnState {
    /// No state yet.
    None = 0,
    /// Handshake done.
    Established = 1,
    /// SYN seen from the real server's side.
    SynSent = 2,
    /// SYN seen from the client.
    SynRecv = 3,
    /// One side has closed.
    FinWait = 4,
    /// Both sides have closed.
    TimeWait = 5,
    /// Reset.
    Close = 6,
    /// The other side has closed.
    CloseWait = 7,
    /// Waiting for the last acknowledgement.
    LastAck = 8,
    /// A server's side that waits for a SYN.
    Listen = 9,
    /// SYN cookie handshake.
    SynAck = 10,
    /// Datagrams: there is no connection, only recent use.
    Udp = 11,
}

impl ConnState {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Established,
        Self::SynSent,
        Self::SynRecv,
        Self::FinWait,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::SynAck,
        Self::Udp,
    ];

    /// The state stored as `n`; `None` where no such number exists.
    #[inline(always)]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::None),
            1 => Some(Self::Established),
            2 => Some(Self::SynSent),
            3 => Some(Self::SynRecv),
            4 => Some(Self::FinWait),
            5 => Some(Self::TimeWait),
            6 => Some(Self::Close),
            7 => Some(Self::CloseWait),
            8 => Some(Self::LastAck),
            9 => Some(Self::Listen),
            10 => Some(Self::SynAck),
            11 => Some(Self::Udp),
            _ => None,
        }
    }

    /// Seconds without a packet after which a connection in this state is forgotten.
    #[inline(always)]
    pub const fn timeout_secs(self) -> u64 {
        match self {
            Self::None => 2,
            Self::Established => 900,
            Self::SynSent | Self::FinWait | Self::TimeWait | Self::Listen | Self::SynAck => 120,
            Self::SynRecv | Self::CloseWait => 60,
            Self::Close => 10,
            Self::LastAck => 30,
            Self::Udp => 300,
        }
    }

    /// Whether IPVS counts the connection as active (`ActiveConn`); UDP is always inactive (`InActConn`).
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Established | Self::SynSent | Self::SynRecv | Self::SynAck)
    }

    /// The name in the column `state` of `ipvsadm -Lnc`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait => "FIN_WAIT",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::SynAck => "SYNACK",
            Self::Udp => "UDP",
        }
    }
}

impl Flow {
    /// A new flow entry.
    #[inline(always)]
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument a field; a builder would cost the XDP program stack"
    )]
    pub const fn new(
        direction: Direction,
        state: ConnState,
        last_seen: u64,
        real: u32,
        generation: u32,
        other: FlowKey,
        last_hop_ifindex: u32,
        last_hop_mac: [u8; 6],
        local_mac: [u8; 6],
    ) -> Self {
        Self {
            last_seen,
            real,
            generation,
            other,
            last_hop_ifindex,
            last_hop_mac,
            local_mac,
            state: state as u8,
            direction: direction as u8,
            _pad: 0,
            _pad_end: 0,
        }
    }

    /// Whether this is the client's direction.
    #[inline(always)]
    pub const fn is_original(&self) -> bool {
        self.direction == Direction::Original as u8
    }

    /// Nanoseconds left at `now` before the connection is forgotten; 0 when it is due.
    #[inline(always)]
    pub const fn remaining(&self, now: u64) -> u64 {
        let state = match ConnState::from_u8(self.state) {
            Some(state) => state,
            None => ConnState::None,
        };
        (self.last_seen + state.timeout_secs() * 1_000_000_000).saturating_sub(now)
    }
}

const _: () = assert!(size_of::<FlowKey>() == 16);
const _: () = assert!(size_of::<Flow>() == 56);
