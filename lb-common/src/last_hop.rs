//! The neighbour that a client's packets come from, and to which the answers go back.

#[cfg(not(target_arch = "bpf"))]
use core::sync::atomic::{AtomicU64, Ordering};

/// Entries of the table of last hops. A flow names one by its index; index 0 is none.
pub const LAST_HOPS: usize = 1 << 15;

/// One entry: a neighbour, the interface it is on, and the router's own MAC address there. Two words, each written at
/// once: lower half of the interface index (16 bits) and MAC address of the neighbour (48, its first octet lowest); upper
/// half and own MAC address.
/// Free where the first word is zero; without meaning where the second is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LastHop(pub [u64; 2]);

impl LastHop {
    /// What stands in an entry that is being freed: no neighbour's, and not free yet.
    pub const LEAVING: Self = Self([1, 0]);

    /// The neighbour `mac` on interface `ifindex`, where the router has `local_mac`.
    #[inline(always)]
    pub const fn new(ifindex: u32, mac: [u8; 6], local_mac: [u8; 6]) -> Self {
        let [mac, local_mac] = [mac_number(mac), mac_number(local_mac)];
        Self([mac << 16 | ifindex as u16 as u64, local_mac << 16 | (ifindex >> 16) as u64])
    }

    /// The neighbour that sent a frame which begins with `words` of memory: both MAC addresses, that of the router first.
    #[inline(always)]
    pub const fn of_words(ifindex: u32, words: [u32; 3]) -> Self {
        let [low, middle, high] = words;
        let [from, to] = [(high as u64) << 32 | middle as u64, (middle as u64) << 32 | low as u64];
        Self([from & !0xffff | ifindex as u16 as u64, to << 16 | (ifindex >> 16) as u64])
    }

    /// The MAC addresses as numbers: of the neighbour, and the router's own.
    #[inline(always)]
    pub const fn mac_numbers(&self) -> [u64; 2] {
        let Self([first, second]) = *self;
        [first >> 16, second >> 16]
    }

    /// Index of the interface.
    #[inline(always)]
    pub const fn ifindex(&self) -> u32 {
        let Self([low, high]) = *self;
        (high as u32) << 16 | low as u16 as u32
    }

    /// MAC address of the neighbour.
    #[inline(always)]
    pub const fn mac(&self) -> [u8; 6] {
        let Self([word, _]) = *self;
        octets(word)
    }

    /// The router's own MAC address on that interface.
    #[inline(always)]
    pub const fn local_mac(&self) -> [u8; 6] {
        let Self([_, word]) = *self;
        octets(word)
    }

    /// Whether it names a neighbour.
    #[inline(always)]
    pub const fn is_known(&self) -> bool {
        let Self([first, second]) = *self;
        first >> 16 != 0 && second >> 16 != 0
    }

    /// Where a search for it begins. A neighbour chooses its own MAC address, and could choose one that begins where
    /// another does; `key` is secret.
    #[inline(always)]
    pub const fn start(&self, key: u64) -> usize {
        let Self([first, second]) = *self;
        let hash = (first ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ second;
        ((hash ^ hash >> 32).wrapping_mul(key | 1) >> 49) as usize
    }
}

/// A MAC address as a number of 48 bits, its first octet lowest: as it is read from memory.
#[inline(always)]
pub const fn mac_number(mac: [u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = mac;
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

#[inline(always)]
const fn octets(word: u64) -> [u8; 6] {
    let [_, _, a, b, c, d, e, f] = word.to_le_bytes();
    [a, b, c, d, e, f]
}

/// An entry in memory that the program shares. Only the daemon frees entries.
#[cfg(not(target_arch = "bpf"))]
#[derive(Debug, Default)]
#[repr(C)]
pub struct SharedHop([AtomicU64; 2]);

#[cfg(not(target_arch = "bpf"))]
impl SharedHop {
    /// What it says.
    pub fn read(&self) -> LastHop {
        let Self([first, second]) = self;
        LastHop([first.load(Ordering::Acquire), second.load(Ordering::Acquire)])
    }

    /// Puts a neighbour there; for tests, and for whoever plays the program.
    pub fn set(&self, hop: LastHop) {
        let (Self([first, second]), LastHop([low, high])) = (self, hop);
        second.store(high, Ordering::Release);
        first.store(low, Ordering::Release);
    }

    /// Takes a free entry for a neighbour, as the program does; false where it is not free.
    pub fn add(&self, hop: LastHop) -> bool {
        let (Self([first, second]), LastHop([low, high])) = (self, hop);
        let taken = first.compare_exchange(0, low, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if taken {
            second.store(high, Ordering::SeqCst);
        }
        taken
    }

    /// Makes a neighbour leave: the program finds it no more, and whoever names it meets nobody.
    pub fn leave(&self) {
        let (Self([first, second]), LastHop([leaving, nobody])) = (self, LastHop::LEAVING);
        // Nobody stands there before the number stops being the neighbour's.
        second.store(nobody, Ordering::SeqCst);
        first.store(leaving, Ordering::SeqCst);
    }

    /// Gives the router another MAC address there, unless the entry is no longer what was `seen`: what goes to the neighbour
    /// comes from it.
    pub fn set_local_mac(&self, seen: LastHop, local_mac: [u8; 6]) {
        let (Self([_, second]), LastHop([_, old])) = (self, seen);
        let LastHop([_, new]) = LastHop::new(seen.ifindex(), seen.mac(), local_mac);
        // One that others change meanwhile is left to them.
        let _ = second.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Frees an entry that has [left](Self::leave).
    pub fn free(&self) {
        let Self([first, _]) = self;
        first.store(0, Ordering::SeqCst);
    }
}

const _: () = assert!(size_of::<LastHop>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routers_own_address_changes_where_nothing_else_has() {
        let entry = SharedHop::default();
        let [seen, other] = [[6; 6], [8; 6]].map(|local| LastHop::new(0x1_0007, [2; 6], local));
        entry.set(seen);
        entry.set_local_mac(seen, [4; 6]);
        assert_eq!(entry.read(), LastHop::new(0x1_0007, [2; 6], [4; 6]));
        entry.set(other);
        entry.set_local_mac(seen, [4; 6]);
        assert_eq!(entry.read(), other);
    }

    #[test]
    fn a_neighbour_reads_back() {
        let (mac, local) = ([2, 0, 0, 0, 0xff, 1], [0xfe, 1, 2, 3, 4, 5]);
        let hop = LastHop::new(0x0123_4567, mac, local);
        assert_eq!((hop.ifindex(), hop.mac(), hop.local_mac()), (0x0123_4567, mac, local));
        let frame = [local, mac].concat();
        let words = [0, 4, 8].map(|at| u32::from_ne_bytes(frame[at..at + 4].try_into().unwrap()));
        assert_eq!(LastHop::of_words(0x0123_4567, words), hop);
        assert!(hop.is_known() && !LastHop::default().is_known() && !LastHop::LEAVING.is_known());
        assert!((0..100).all(|key| hop.start(key) < LAST_HOPS));
    }
}
