//! Frames of the common shape: no VLAN tag, an IPv4 header without options, no fragment, TCP or UDP, all headers in the first
//! buffer. Their bounds are checked once, and every offset is a constant. All other frames take the general way.

use aya_ebpf::bindings::xdp_md;
use lb_common::{FlowKey, IPPROTO_TCP, IPPROTO_UDP};
use network_types::{
    eth::{EthHdr, EtherType},
    ip::Ipv4Hdr,
    tcp::TcpHdr,
    udp::UdpHdr,
};

use crate::{
    bytes::{Access, Header},
    ctx::Frame,
    packet::{Macs, Packet, TcpFlags},
    parse::{FRAGMENT, TCP_DATA_OFFSET},
    words,
};

/// Offsets in such a frame: of the IPv4 header, and of the TCP or UDP header.
const L3: i32 = EthHdr::LEN as i32;
/// See [`L3`].
const L4: i32 = L3 + Ipv4Hdr::LEN as i32;
/// The first octet of an IPv4 header of version 4 with five words (RFC 791 3.1).
const VERSION_AND_LENGTH: u8 = 0x45;

/// A frame of the common shape.
pub(crate) struct Plain {
    frame: Frame,
    start: usize,
    end: usize,
    /// What is read once and asked for more than once.
    total_length: u16,
    source: [u8; 4],
    destination: [u8; 4],
}

/// What a frame is at first sight.
pub(crate) enum Sight {
    /// Perhaps of the common shape: its IPv4 header is.
    Plain(Plain),
    /// Neither IPv4 nor ARP, nor behind a tag.
    NotIpv4(Frame),
    /// Anything else.
    Odd,
}

impl Plain {
    /// Looks at the frame.
    #[inline(always)]
    pub(crate) fn of(frame: Frame) -> Sight {
        let (start, end) = frame.linear();
        // As long as the longer of the headers: a shorter datagram takes the general way.
        if start + L4 as usize + TcpHdr::LEN > end {
            return Sight::Odd;
        }
        let ether_type = u16::from_ne_bytes(get::<_, L3, -2>(start));
        if ether_type != EtherType::Ipv4 as u16 {
            let is_odd = ether_type == EtherType::Ieee8021q as u16
                || ether_type == EtherType::Ieee8021ad as u16
                || ether_type == EtherType::Arp as u16;
            return if is_odd { Sight::Odd } else { Sight::NotIpv4(frame) };
        }
        let [version_and_length]: [u8; 1] = get::<_, L3, 0>(start);
        let total_length = u16::from_be_bytes(get::<_, L3, 2>(start));
        if version_and_length != VERSION_AND_LENGTH || L3 as usize + total_length as usize > end - start {
            return Sight::Odd;
        }
        let (source, destination) = (get::<_, L3, 12>(start), get::<_, L3, 16>(start));
        Sight::Plain(Self { frame, start, end, total_length, source, destination })
    }

    /// Source address.
    #[inline(always)]
    pub(crate) fn source(&self) -> [u8; 4] {
        self.source
    }

    /// Destination address.
    #[inline(always)]
    pub(crate) fn destination(&self) -> [u8; 4] {
        self.destination
    }

    /// The protocol of the packet; `None` for a fragment, whose ports may be elsewhere.
    #[inline(always)]
    pub(crate) fn protocol(&self) -> Option<u8> {
        let [protocol]: [u8; 1] = get::<_, L3, 9>(self.start);
        let fragment = u16::from_be_bytes(get::<_, L3, 6>(self.start));
        (fragment & FRAGMENT == 0).then_some(protocol)
    }

    /// Describes the packet; `None` where another look is needed.
    #[inline(always)]
    pub(crate) fn packet(&self) -> Option<Packet> {
        match self.protocol()? {
            IPPROTO_TCP => self.tcp(),
            IPPROTO_UDP => self.udp(),
            _ => None,
        }
    }

    /// Describes the packet, which is of TCP, with the same care as [`parse`](crate::parse::packet); `None` where it
    /// contradicts itself.
    #[inline(always)]
    pub(crate) fn tcp(&self) -> Option<Packet> {
        let [data_offset, flags]: [u8; 2] = get::<_, L4, { TCP_DATA_OFFSET as i32 }>(self.start);
        let header_length = (data_offset >> 4) as usize * 4;
        let is_sound =
            header_length >= TcpHdr::LEN && Ipv4Hdr::LEN + header_length <= self.total_length as usize;
        is_sound.then(|| self.described(IPPROTO_TCP, TcpFlags(flags)))
    }

    /// Describes the packet, which is of UDP; `None` where it contradicts itself.
    #[inline(always)]
    pub(crate) fn udp(&self) -> Option<Packet> {
        let claimed = u16::from_be_bytes(get::<_, L4, 4>(self.start)) as usize;
        let is_sound = claimed >= UdpHdr::LEN && Ipv4Hdr::LEN + claimed <= self.total_length as usize;
        is_sound.then(|| self.described(IPPROTO_UDP, TcpFlags::NONE))
    }

    #[inline(always)]
    fn described(&self, protocol: u8, flags: TcpFlags) -> Packet {
        let source_port = u16::from_be_bytes(get::<_, L4, 0>(self.start));
        let destination_port = u16::from_be_bytes(get::<_, L4, 2>(self.start));
        let [ttl]: [u8; 1] = get::<_, L3, 8>(self.start);
        Packet {
            macs: self.macs(),
            l3: L3 as usize,
            l4: L4 as usize,
            key: FlowKey::new(protocol, self.source, source_port, self.destination, destination_port),
            in_vlan: false,
            total_length: self.total_length,
            frame_length: self.end - self.start,
            ttl,
            flags,
        }
    }

    /// Length in bytes.
    #[inline(always)]
    pub(crate) fn length(&self) -> usize {
        self.end - self.start
    }

    /// Both MAC addresses.
    #[inline(always)]
    pub(crate) fn macs(&self) -> Macs {
        Macs(get::<_, 0, 0>(self.start))
    }
}

/// What stands `BASE + AT` bytes into a frame that starts at `start`.
#[inline(always)]
fn get<T: Header, const BASE: i32, const AT: i32>(start: usize) -> T {
    // SAFETY: `Plain::of` compares the end of all headers with that of the frame; what lies beyond does not pass the verifier.
    unsafe { words::load::<T, BASE, AT>(start as *const u8) }
}

/// Writes to `BASE + AT` bytes into a frame that starts at `start`.
#[inline(always)]
fn set<T: Header, const BASE: i32, const AT: i32>(start: usize, value: T) {
    // SAFETY: as in `get`.
    unsafe { words::store::<T, BASE, AT>(start as *mut u8, value) }
}

impl Access for Plain {
    #[inline(always)]
    fn l3<T: Header, const AT: i32>(&self, _: &Packet) -> Option<T> {
        Some(get::<T, L3, AT>(self.start))
    }

    #[inline(always)]
    fn l4<T: Header, const AT: i32>(&self, _: &Packet) -> Option<T> {
        Some(get::<T, L4, AT>(self.start))
    }

    #[inline(always)]
    fn set_l3<T: Header, const AT: i32>(&mut self, _: &Packet, value: T) -> Option<()> {
        set::<T, L3, AT>(self.start, value);
        Some(())
    }

    #[inline(always)]
    fn set_l4<T: Header, const AT: i32>(&mut self, _: &Packet, value: T) -> Option<()> {
        set::<T, L4, AT>(self.start, value);
        Some(())
    }

    #[inline(always)]
    fn set_macs(&mut self, macs: Macs) -> Option<()> {
        set::<_, 0, 0>(self.start, macs.0);
        Some(())
    }

    #[inline(always)]
    fn ingress(&self) -> u32 {
        self.frame.ingress()
    }

    #[inline(always)]
    fn redirect(&self, ifindex: u32) -> u32 {
        self.frame.redirect(ifindex)
    }

    #[inline(always)]
    fn as_ptr(&self) -> *mut xdp_md {
        self.frame.as_ptr()
    }
}
