//! Frames for tests: IPv4 with TCP or UDP, with every checksum computed anew from the whole packet.
//!
//! A frame is a value that is changed step by step and becomes bytes at the end, so that an expected frame is written as
//! the difference to the frame that went in.

use std::net::SocketAddrV4;

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, TcpHeader, UdpHeader};

/// `ETH_P_IP` of Linux.
const ETH_P_IP: u16 = 0x0800;
/// Hardware address, network order.
pub type Mac = [u8; 6];

/// A frame to be.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Destination MAC address.
    pub to: Mac,
    /// Source MAC address.
    pub from: Mac,
    tags: Vec<(u16, u16)>,
    ip: Ipv4Header,
    transport: Transport,
    payload: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Transport {
    Tcp(TcpHeader),
    Udp { header: UdpHeader, has_checksum: bool },
    Other(IpNumber),
}

impl Frame {
    /// A TCP segment without flags from `source` to `destination`.
    pub fn tcp(source: SocketAddrV4, destination: SocketAddrV4) -> Self {
        let header = TcpHeader::new(source.port(), destination.port(), 0, 0xfaf0);
        Self::new(source, destination, Transport::Tcp(header))
    }

    /// A UDP datagram from `source` to `destination`.
    pub fn udp(source: SocketAddrV4, destination: SocketAddrV4) -> Self {
        let header = UdpHeader {
            source_port: source.port(),
            destination_port: destination.port(),
            length: 0,
            checksum: 0,
        };
        Self::new(source, destination, Transport::Udp { header, has_checksum: true })
    }

    /// A packet of another protocol.
    pub fn other(protocol: u8, source: SocketAddrV4, destination: SocketAddrV4) -> Self {
        Self::new(source, destination, Transport::Other(IpNumber(protocol)))
    }

    /// Sets the Ethernet addresses.
    #[must_use]
    pub fn link(mut self, from: Mac, to: Mac) -> Self {
        self.from = from;
        self.to = to;
        self
    }

    /// Adds a VLAN tag inside those that are there: its type and its tag control information.
    #[must_use]
    pub fn tag(mut self, ether_type: u16, control: u16) -> Self {
        self.tags.push((ether_type, control));
        self
    }

    /// Sets the source address and port.
    #[must_use]
    pub fn source(mut self, source: SocketAddrV4) -> Self {
        self.ip.source = source.ip().octets();
        match &mut self.transport {
            Transport::Tcp(header) => header.source_port = source.port(),
            Transport::Udp { header, .. } => header.source_port = source.port(),
            Transport::Other(_) => {}
        }
        self
    }

    /// Sets the destination address and port.
    #[must_use]
    pub fn destination(mut self, destination: SocketAddrV4) -> Self {
        self.ip.destination = destination.ip().octets();
        match &mut self.transport {
            Transport::Tcp(header) => header.destination_port = destination.port(),
            Transport::Udp { header, .. } => header.destination_port = destination.port(),
            Transport::Other(_) => {}
        }
        self
    }

    /// Sets the TCP flags by their letters: any of `S`, `A`, `F`, `R` and `P`.
    #[must_use]
    pub fn flags(mut self, letters: &str) -> Self {
        if let Transport::Tcp(header) = &mut self.transport {
            header.syn = letters.contains('S');
            header.ack = letters.contains('A');
            header.fin = letters.contains('F');
            header.rst = letters.contains('R');
            header.psh = letters.contains('P');
        }
        self
    }

    /// Sets the TCP sequence and acknowledgement numbers.
    #[must_use]
    pub fn numbers(mut self, sequence: u32, acknowledgement: u32) -> Self {
        if let Transport::Tcp(header) = &mut self.transport {
            header.sequence_number = sequence;
            header.acknowledgment_number = acknowledgement;
        }
        self
    }

    /// Sets the TCP window.
    #[must_use]
    pub fn window(mut self, window: u16) -> Self {
        if let Transport::Tcp(header) = &mut self.transport {
            header.window_size = window;
        }
        self
    }

    /// Sets the TCP options; a multiple of four bytes, 40 at most.
    #[must_use]
    pub fn tcp_options(mut self, options: &[u8]) -> Self {
        if let Transport::Tcp(header) = &mut self.transport {
            header.set_options_raw(options).expect("TCP options are a multiple of four bytes, 40 at most");
        }
        self
    }

    /// Leaves the UDP checksum out: zero on the wire.
    #[must_use]
    pub fn without_checksum(mut self) -> Self {
        if let Transport::Udp { has_checksum, .. } = &mut self.transport {
            *has_checksum = false;
        }
        self
    }

    /// Sets the IP options; a multiple of four bytes, 40 at most.
    #[must_use]
    pub fn ip_options(mut self, options: &[u8]) -> Self {
        self.ip.options = options.try_into().expect("IP options are a multiple of four bytes, 40 at most");
        self
    }

    /// Sets the time to live.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ip.time_to_live = ttl;
        self
    }

    /// Sets the identification and the flag "don't fragment".
    #[must_use]
    pub fn identification(mut self, identification: u16, dont_fragment: bool) -> Self {
        self.ip.identification = identification;
        self.ip.dont_fragment = dont_fragment;
        self
    }

    /// Makes a fragment of it: the flag "more fragments" and the offset in units of eight bytes.
    #[must_use]
    pub fn fragment(mut self, more: bool, offset: u16) -> Self {
        self.ip.more_fragments = more;
        self.ip.dont_fragment = false;
        self.ip.fragment_offset = IpFragOffset::try_new(offset).expect("a fragment offset has 13 bits");
        self
    }

    /// Sets what follows the headers.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// Offset of the IPv4 header in the bytes.
    pub fn l3(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    /// Offset of the TCP or UDP header in the bytes.
    pub fn l4(&self) -> usize {
        self.l3() + self.ip.header_len()
    }

    /// The frame as it is on the wire, without the frame check sequence and without padding.
    pub fn bytes(&self) -> Vec<u8> {
        let mut ip = self.ip.clone();
        let transport = self.transport_bytes(&ip);
        let length = ip.header_len() + transport.len() + self.payload.len();
        ip.total_len = u16::try_from(length).expect("an IPv4 packet has 65,535 bytes at most");
        ip.header_checksum = ip.calc_header_checksum();
        let mut bytes = [self.to, self.from].concat();
        for (ether_type, control) in &self.tags {
            bytes.extend(ether_type.to_be_bytes());
            bytes.extend(control.to_be_bytes());
        }
        bytes.extend(ETH_P_IP.to_be_bytes());
        bytes.extend(ip.to_bytes());
        bytes.extend(transport);
        bytes.extend(&self.payload);
        bytes
    }

    fn new(source: SocketAddrV4, destination: SocketAddrV4, transport: Transport) -> Self {
        let protocol = match transport {
            Transport::Tcp(_) => IpNumber::TCP,
            Transport::Udp { .. } => IpNumber::UDP,
            Transport::Other(protocol) => protocol,
        };
        let (from, to) = (source.ip().octets(), destination.ip().octets());
        let ip = Ipv4Header::new(0, 64, protocol, from, to).expect("an empty payload is not too long");
        Self { to: [0; 6], from: [0; 6], tags: Vec::new(), ip, transport, payload: Vec::new() }
    }

    fn transport_bytes(&self, ip: &Ipv4Header) -> Vec<u8> {
        match &self.transport {
            Transport::Tcp(header) => {
                let mut header = header.clone();
                header.checksum = header.calc_checksum_ipv4(ip, &self.payload).expect("fits an IPv4 packet");
                header.to_bytes().to_vec()
            }
            Transport::Udp { header, has_checksum } => {
                let mut header = header.clone();
                let length = UdpHeader::LEN + self.payload.len();
                header.length = u16::try_from(length).expect("fits an IPv4 packet");
                if *has_checksum {
                    header.checksum =
                        header.calc_checksum_ipv4(ip, &self.payload).expect("fits an IPv4 packet");
                }
                header.to_bytes().to_vec()
            }
            Transport::Other(_) => Vec::new(),
        }
    }
}
