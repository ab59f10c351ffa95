//! Reading headers out of bytes, be they a frame under XDP or a slice in a test.

use network_types::{ip::Ipv4Hdr, tcp::TcpHdr};

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
