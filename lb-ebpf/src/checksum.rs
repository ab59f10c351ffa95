//! Internet checksums: updates by RFC 1624 and, for headers made here, whole sums by RFC 1071.

/// What a checksum changes by when words under it are replaced: the `~m + m'` of equation 3 of RFC 1624,
/// `HC' = ~(~HC + ~m + m')`. Words and checksums are taken as they stand in memory: a one's complement sum does not ask for
/// the order of octets (RFC 1071 2 B), and no octet is moved.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    /// One's complement sum, carries not yet folded. An address adds at most `2 * 0xffff_ffff`.
    sum: u64,
}

impl Change {
    /// One less in a time to live: with the octet after it, the lower one of a word of memory.
    pub(crate) const TTL_DECREMENT: Self = Self::NONE.word([1, 0], [0, 0]);
    /// No word is replaced.
    const NONE: Self = Self { sum: 0 };

    /// An IPv4 address is replaced.
    #[inline(always)]
    pub(crate) const fn of_address(old: [u8; 4], new: [u8; 4]) -> Self {
        Self { sum: !u32::from_ne_bytes(old) as u64 + u32::from_ne_bytes(new) as u64 }
    }

    /// And another word.
    #[inline(always)]
    pub(crate) const fn word(self, old: [u8; 2], new: [u8; 2]) -> Self {
        Self { sum: self.sum + !u16::from_ne_bytes(old) as u64 + u16::from_ne_bytes(new) as u64 }
    }

    /// Both changes.
    #[inline(always)]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum }
    }

    /// The checksum after the change.
    #[inline(always)]
    pub(crate) const fn of(self, checksum: [u8; 2]) -> [u8; 2] {
        (!fold(self.sum + !u16::from_ne_bytes(checksum) as u64)).to_ne_bytes()
    }

    /// As [`of`](Self::of), for UDP, where 0 would say "none" and is sent as `0xffff` (RFC 768).
    #[inline(always)]
    pub(crate) const fn of_udp(self, checksum: [u8; 2]) -> [u8; 2] {
        match self.of(checksum) {
            [0, 0] => [0xff; 2],
            checksum => checksum,
        }
    }
}

/// The checksum over 16-bit words, network order.
#[inline(always)]
pub(crate) fn checksum<const N: usize>(words: [u16; N]) -> [u8; 2] {
    let sum = words.into_iter().fold(0, |sum: u64, word| sum + word as u64);
    (!fold(sum)).to_be_bytes()
}

/// The two 16-bit words of an IPv4 address, or of another number of four octets.
#[inline(always)]
pub(crate) const fn words(octets: [u8; 4]) -> [u16; 2] {
    let number = u32::from_be_bytes(octets);
    [(number >> 16) as u16, number as u16]
}

/// Adds the carries back, of a sum below 2^48: what is left is at most `0xffff_ffff + 0xffff`, then `0x1fffe`, then `0xffff`.
#[inline(always)]
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1624_comes_out_right() {
        // Section 4: HC 0xdd2f, m 0x5555, m' 0x3285 gives 0x0000, where the older equation gave 0xffff.
        let change = Change::NONE.word([0x55, 0x55], [0x32, 0x85]);
        assert_eq!(change.of([0xdd, 0x2f]), [0, 0]);
        assert_eq!(change.of_udp([0xdd, 0x2f]), [0xff, 0xff]);
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
            let change = Change::of_address(old_address, address(packet[4], packet[5]))
                .word(old_port.to_be_bytes(), packet[7].to_be_bytes());
            let change = if old_ttl >= 0x0100 {
                change.and(Change::TTL_DECREMENT)
            } else {
                change.word(old_ttl.to_be_bytes(), packet[2].to_be_bytes())
            };
            assert_eq!(change.of(before), checksum(packet), "{packet:x?}");
        }
    }

    #[test]
    fn the_extremes_do_not_overflow() {
        let extremes = [0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff];
        for old in extremes {
            for new in extremes {
                let rest = 0x4500;
                let before = checksum([rest, old, old, old, old, old]);
                let [old_octets, new_octets] = [old.to_be_bytes(), new.to_be_bytes()];
                let change = Change::of_address(address(old, old), address(new, new))
                    .word(old_octets, new_octets)
                    .word(old_octets, new_octets)
                    .word(old_octets, new_octets);
                assert_eq!(
                    change.of(before),
                    checksum([rest, new, new, new, new, new]),
                    "{old:x} to {new:x}"
                );
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
