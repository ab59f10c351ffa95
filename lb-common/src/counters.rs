//! Counters. Every one is per CPU: a reader adds the CPUs up.

/// Packets and bytes, one for each [`Reason`](crate::Reason).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes of the frames as they arrived, Ethernet header included.
    pub bytes: u64,
}

/// Counters of a real server, with the meaning that `ipvsadm --stats` gives them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RealCounters {
    /// Connections scheduled to it.
    pub connections: u64,
    /// Packets from clients to it.
    pub in_packets: u64,
    /// Bytes of their IP packets (the IP total length, without the Ethernet header).
    pub in_bytes: u64,
    /// Packets from it to clients that passed the router: NAT only.
    pub out_packets: u64,
    /// Bytes of their IP packets.
    pub out_bytes: u64,
}

impl core::ops::AddAssign for Counter {
    fn add_assign(&mut self, other: Self) {
        let Self { packets, bytes } = other;
        self.packets += packets;
        self.bytes += bytes;
    }
}

impl core::ops::AddAssign for RealCounters {
    fn add_assign(&mut self, other: Self) {
        let Self { connections, in_packets, in_bytes, out_packets, out_bytes } = other;
        self.connections += connections;
        self.in_packets += in_packets;
        self.in_bytes += in_bytes;
        self.out_packets += out_packets;
        self.out_bytes += out_bytes;
    }
}

const _: () = assert!(size_of::<Counter>() == 16);
const _: () = assert!(size_of::<RealCounters>() == 40);
