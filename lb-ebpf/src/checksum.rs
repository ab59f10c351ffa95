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
    let number = u32::from_be_bytes(octets);
    [(number >> 16) as u16, number as u16]
}

/// Adds the carries back. Twice is enough: the first leaves at most `0x1fffe`.
#[inline(always)]
const fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1624_comes_out_right() {
        // Section 4: HC 0xdd2f, m 0x5555, m' 0x3285 gives 0x0000, where the older equation gave 0xffff.
        let update = ChecksumUpdate::new(0xdd2fu16.to_be_bytes()).replace_u16(0x5555, 0x3285);
        assert_eq!(update.finish(), [0, 0]);
        assert_eq!(update.finish_udp(), [0xff, 0xff]);
    }

    #[test]
    fn a_known_header_has_its_known_checksum() {
        let header = [0x4500, 0x0073, 0x0000, 0x4000, 0x4011, 0xc0a8, 0x0001, 0xc0a8, 0x00c7];
        assert_eq!(checksum(header), [0xb8, 0x61]);
    }

    #[test]
    fn every_update_equals_a_sum_made_anew() {
        let mut random = Random(1);
        for _ in 0..100_000 {
            let mut packet: [u16; 12] = core::array::from_fn(|_| random.word());
            // Never all zero, like every header: then both ways agree on which zero they write.
            packet[0] |= 0x4000;
            let before = checksum(packet);
            let old_address = address(packet[4], packet[5]);
            let (old_port, old_ttl) = (packet[7], packet[2]);
            packet[4] = random.word();
            packet[5] = random.word();
            packet[7] = random.word();
            packet[2] = packet[2].wrapping_sub(0x0100);
            let update = ChecksumUpdate::new(before)
                .replace_address(old_address, address(packet[4], packet[5]))
                .replace_u16(old_port, packet[7])
                .replace_u16(old_ttl, packet[2]);
            assert_eq!(update.finish(), checksum(packet), "{packet:x?}");
        }
    }

    #[test]
    fn the_extremes_do_not_overflow() {
        let extremes = [0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff];
        for old in extremes {
            for new in extremes {
                let rest = 0x4500;
                let before = checksum([rest, old, old, old, old, old]);
                let update = ChecksumUpdate::new(before)
                    .replace_address(address(old, old), address(new, new))
                    .replace_u16(old, new)
                    .replace_u16(old, new)
                    .replace_u16(old, new);
                assert_eq!(update.finish(), checksum([rest, new, new, new, new, new]), "{old:x} to {new:x}");
            }
        }
    }

    fn address(high: u16, low: u16) -> [u8; 4] {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        [a, b, c, d]
    }

    /// The generator splitmix64, of which each number gives one word; every fourth is an extreme.
    struct Random(u64);

    impl Random {
        fn word(&mut self) -> u16 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            match mixed >> 61 {
                0 => 0,
                1 => 0xffff,
                _ => mixed as u16,
            }
        }
    }
}
