//! Internet checksums: updates by RFC 1624 and, for headers made here, whole sums by RFC 1071.

/// A checksum while the words under it are being replaced: equation 3 of RFC 1624, `HC' = ~(~HC + ~m + m')`.
#[derive(Clone, Copy)]
pub(crate) struct ChecksumUpdate {
    /// One's complement sum, carries not yet folded. Each replacement adds at most `4 * 0xffff`.
    sum: u32,
}

impl ChecksumUpdate {
    /// Starts from the checksum in the packet, network order.
    #[inline(always)]
    pub(crate) const fn new(checksum: [u8; 2]) -> Self {
        Self { sum: !u16::from_be_bytes(checksum) as u32 }
    }

    /// Replaces one 16-bit word.
    #[inline(always)]
    pub(crate) const fn replace_u16(self, old: u16, new: u16) -> Self {
        Self { sum: self.sum + !old as u32 + new as u32 }
    }

    /// Replaces an IPv4 address.
    #[inline(always)]
    pub(crate) const fn replace_address(self, old: [u8; 4], new: [u8; 4]) -> Self {
        let ([old_high, old_low], [new_high, new_low]) = (words(old), words(new));
        self.replace_u16(old_high, new_high).replace_u16(old_low, new_low)
    }

    /// The new checksum, network order.
    #[inline(always)]
    pub(crate) const fn finish(self) -> [u8; 2] {
        (!fold(self.sum)).to_be_bytes()
    }

    /// The new checksum of UDP, where 0 would say "none" and is sent as `0xffff` (RFC 768).
    #[inline(always)]
    pub(crate) const fn finish_udp(self) -> [u8; 2] {
        match !fold(self.sum) {
            0 => [0xff; 2],
            checksum => checksum.to_be_bytes(),
        }
    }
}

/// The checksum over 16-bit words, network order.
#[inline(always)]
pub(crate) fn checksum<const N: usize>(words: [u16; N]) -> [u8; 2] {
    let sum = words.into_iter().fold(0, |sum: u32, word| sum + word as u32);
    (!fold(sum)).to_be_bytes()
}

/// The two 16-bit words of an IPv4 address, or of another number of four octets.
#[inline(always)]
pub(crate) const fn words(octets: [u8; 4]) -> [u16; 2] {
    let [a, b, c, d] = octets;
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

/// Adds the carries back. Twice is enough: the first leaves at most `0x1fffe`.
#[inline(always)]
const fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}
