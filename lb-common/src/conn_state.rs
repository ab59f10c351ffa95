//! The states of a connection.

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

    /// Whether the connection may be over, so that the client may use its port again: for all that is known where replies are not seen, and
    /// for certain where they are. Half of it may be closed alone otherwise.
    #[inline(always)]
    pub const fn is_over(self, sees_replies: bool) -> bool {
        match self {
            Self::TimeWait | Self::Close => true,
            Self::FinWait => !sees_replies,
            Self::None
            | Self::Established
            | Self::SynSent
            | Self::SynRecv
            | Self::CloseWait
            | Self::LastAck
            | Self::Listen
            | Self::SynAck
            | Self::Udp => false,
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
