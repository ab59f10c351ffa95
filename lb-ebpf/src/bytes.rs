//! Reading headers out of bytes, be they a frame under XDP or a slice in a test.

#[cfg(target_arch = "bpf")]
use aya_ebpf::bindings::xdp_md;
use network_types::{ip::Ipv4Hdr, tcp::TcpHdr};

#[cfg(target_arch = "bpf")]
use crate::packet::{Macs, Packet};

/// A header as it stands in a packet, at any address.
///
/// # Safety
/// `repr(C)` or an array of octets or words, without padding, every bit pattern valid.
pub(crate) unsafe trait Header: Copy {}

// SAFETY: octets have no padding and no invalid pattern.
unsafe impl<const N: usize> Header for [u8; N] {}
// SAFETY: words have no padding and no invalid pattern.
unsafe impl<const N: usize> Header for [u32; N] {}
// SAFETY: `repr(C)` of octets and octet arrays alone.
unsafe impl Header for Ipv4Hdr {}
// SAFETY: `repr(C)` of octets and octet arrays alone; its bit field is two octets.
unsafe impl Header for TcpHdr {}

/// Bytes that headers are read from.
pub(crate) trait Bytes {
    /// The header that starts `offset` bytes in; `None` where it would reach beyond the end.
    fn read<T: Header>(&self, offset: usize) -> Option<T>;

    /// Length in bytes of the part that can be read directly: the first buffer of a multi-buffer frame.
    fn linear_length(&self) -> usize;

    /// Length in bytes of the whole frame. Costs a helper call under XDP.
    fn length(&self) -> usize;

    /// The same offset. Under XDP, hidden from the verifier: it knows only that it has no bits beside those of its own and of
    /// `unknown`.
    fn hidden(&self, offset: usize, unknown: usize) -> usize {
        let _ = unknown;
        offset
    }
}

/// A frame under XDP, which came in by an interface and leaves by one. Its headers are read and written at constant distances
/// from the start of the IPv4 header and of the TCP or UDP header; `None` where something would reach beyond the linear part.
#[cfg(target_arch = "bpf")]
pub(crate) trait Access {
    /// What stands `AT` bytes into the IPv4 header.
    fn l3<T: Header, const AT: i32>(&self, packet: &Packet) -> Option<T>;

    /// What stands `AT` bytes into the TCP or UDP header.
    fn l4<T: Header, const AT: i32>(&self, packet: &Packet) -> Option<T>;

    /// Writes to `AT` bytes into the IPv4 header.
    fn set_l3<T: Header, const AT: i32>(&mut self, packet: &Packet, value: T) -> Option<()>;

    /// Writes to `AT` bytes into the TCP or UDP header.
    fn set_l4<T: Header, const AT: i32>(&mut self, packet: &Packet, value: T) -> Option<()>;

    /// Writes both MAC addresses.
    fn set_macs(&mut self, macs: Macs) -> Option<()>;

    /// Index of the interface that it came in by.
    fn ingress(&self) -> u32;

    /// Says that the frame, once the program returns `XDP_REDIRECT`, leaves by `ifindex`. Returns that action.
    fn redirect(&self, ifindex: u32) -> u32;

    /// The context, for helpers.
    fn as_ptr(&self) -> *mut xdp_md;
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::{Bytes, Header};

    /// A frame in memory.
    pub(crate) struct Frame(pub(crate) Vec<u8>);

    impl Bytes for Frame {
        fn read<T: Header>(&self, offset: usize) -> Option<T> {
            let bytes = self.0.get(offset..offset + size_of::<T>())?;
            // SAFETY: as long as the header, which has no invalid pattern.
            Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
        }

        fn linear_length(&self) -> usize {
            self.0.len()
        }

        fn length(&self) -> usize {
            self.0.len()
        }
    }
}
