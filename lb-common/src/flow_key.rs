//! Whose packet it is.

use crate::flow_table::Client;

/// Addresses and ports of a packet as it arrives. Not a map type: the [flow table](crate::flow_table) keeps a connection shorter.
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
        Self { source, destination, source_port, destination_port, protocol }
    }

    /// The sender as the client of a connection.
    #[inline(always)]
    pub const fn from(&self) -> Client {
        Client::new(self.source, self.source_port)
    }

    /// The addressee as the client of a connection: of a reply.
    #[inline(always)]
    pub const fn to(&self) -> Client {
        Client::new(self.destination, self.destination_port)
    }
}
