//! Which addresses may concern the balancer at all: most packets that pass a router do not.

/// Words of each set.
pub const FILTER_WORDS: usize = 1024;

/// Two sets of IPv4 addresses, each as 65,536 bits: an address may be in a set only where the bit of its hash is set.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressFilter {
    /// Virtual addresses: destinations of what clients send.
    pub virtual_addresses: [u64; FILTER_WORDS],
    /// NAT real servers: sources of replies.
    pub real_addresses: [u64; FILTER_WORDS],
}

impl AddressFilter {
    /// No address.
    pub const EMPTY: Self = Self { virtual_addresses: [0; FILTER_WORDS], real_addresses: [0; FILTER_WORDS] };

    /// The word of an address and its bit in it. Neighbouring addresses share a word, and so a cache line, while
    /// the addresses of one network get bits of their own: the lower half of the address, moved by the upper half.
    #[inline(always)]
    pub const fn bit(address: [u8; 4]) -> (usize, u64) {
        let address = u32::from_be_bytes(address);
        let (upper, lower) = ((address >> 16) as u16, address as u16);
        let position = lower.wrapping_add(upper.wrapping_mul(0x9e37));
        ((position >> 6) as usize, 1 << (position & 63))
    }
}

impl Default for AddressFilter {
    fn default() -> Self {
        Self::EMPTY
    }
}

const _: () = assert!(size_of::<AddressFilter>() == 2 * 8 * FILTER_WORDS);
const _: () = assert!(FILTER_WORDS * 64 == 1 << 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_network_of_65536_has_a_bit_of_its_own() {
        let mut filter = AddressFilter::EMPTY;
        for (c, d) in (0..=u8::MAX).flat_map(|c| (0..=u8::MAX).map(move |d| (c, d))) {
            let (word, bit) = AddressFilter::bit([10, 0, c, d]);
            assert_eq!(filter.virtual_addresses[word] & bit, 0, "10.0.{c}.{d}");
            filter.virtual_addresses[word] |= bit;
        }
        assert!(filter.virtual_addresses.iter().all(|&word| word == u64::MAX));
    }

    #[test]
    fn the_same_host_number_in_many_networks_is_spread() {
        let bits: Vec<_> = (0..=255).map(|network| AddressFilter::bit([10, network, 0, 1])).collect();
        let mut distinct = bits.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), bits.len());
    }
}
