//! The two words of an entry, as values.

use super::stamp::Stamp;
use crate::{ConnState, IPPROTO_UDP};

/// The client's end of a connection: address and port in the lower 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(u64);

/// The first word of an entry: whose connection it is. From the lowest bit: index of the real server (16), client port
/// (16), client address (32, its first octet lowest). The real server's entry names the virtual service.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

/// The second word: everything that changes. From the lowest bit: when it was used last (24), [`ConnState`] (4),
/// whether it is UDP (1), whether it was confirmed (1), [`Phase`] (2), generation of the real server (16), index of the
/// last hop (15), whether the peer used the connection last (1). All zero in an entry that was never used; one that is free again
/// keeps the time.
///
/// An entry never says the same twice for two connections: its time does not go back, and goes on when it gets another connection. So
/// an exchange, which compares all but the key, tells them apart.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Meta(u64);

/// Where an entry stands between free and in use. Only a `Live` entry is a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody's.
    Free = 0,
    /// Owned by whoever claimed it; means nothing to others.
    Claimed = 1,
    /// Written, and its owner looks whether another processor makes the same connection.
    Pending = 2,
    /// A connection.
    Live = 3,
}

const STATE_SHIFT: u32 = Stamp::BITS;
const UDP: u64 = 1 << 28;
const CONFIRMED: u64 = 1 << 29;
const PHASE_SHIFT: u32 = 30;
const GENERATION_SHIFT: u32 = 32;
const HOP_SHIFT: u32 = 48;
const HOP: u64 = 0x7fff << HOP_SHIFT;
const PEERS: u64 = 1 << 63;
const PHASE: u64 = 3 << PHASE_SHIFT;
const STATE: u64 = 0xf << STATE_SHIFT;

impl Client {
    /// The client `address:port`.
    #[inline(always)]
    pub const fn new(address: [u8; 4], port: u16) -> Self {
        Self((u32::from_le_bytes(address) as u64) << 16 | port as u64)
    }

    /// Its IPv4 address.
    #[inline(always)]
    pub const fn address(self) -> [u8; 4] {
        ((self.0 >> 16) as u32).to_le_bytes()
    }

    /// Its port.
    #[inline(always)]
    pub const fn port(self) -> u16 {
        self.0 as u16
    }

    /// As one number below 2^48.
    #[inline(always)]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl Key {
    /// The key of a connection from `client` to the real server with index `real`.
    #[inline(always)]
    pub const fn new(client: Client, real: u16) -> Self {
        Self(client.0 << 16 | real as u64)
    }

    /// The key stored as `word`.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// As it is stored.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// The client.
    #[inline(always)]
    pub const fn client(self) -> Client {
        Client(self.0 >> 16)
    }

    /// Index of the real server.
    #[inline(always)]
    pub const fn real(self) -> u16 {
        self.0 as u16
    }
}

impl Meta {
    /// An entry that was never used.
    pub const FREE: Self = Self(0);

    /// The rest of a new connection, not yet in any phase.
    #[inline(always)]
    pub const fn new(protocol: u8, state: ConnState, seen: Stamp, generation: u32, hop: u16) -> Self {
        let udp = if protocol == IPPROTO_UDP { UDP } else { 0 };
        Self(
            seen.number() as u64
                | (state as u64) << STATE_SHIFT
                | udp
                | (generation as u16 as u64) << GENERATION_SHIFT
                | (hop as u64) << HOP_SHIFT & HOP,
        )
    }

    /// The value stored as `word`.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// As it is stored.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// The same in another phase.
    #[inline(always)]
    pub const fn in_phase(self, phase: Phase) -> Self {
        Self(self.0 & !PHASE | (phase as u64) << PHASE_SHIFT)
    }

    /// Its phase.
    #[inline(always)]
    pub const fn phase(self) -> Phase {
        match self.0 >> PHASE_SHIFT & 3 {
            0 => Phase::Free,
            1 => Phase::Claimed,
            2 => Phase::Pending,
            _ => Phase::Live,
        }
    }

    /// What is left where the connection is forgotten.
    #[inline(always)]
    pub const fn freed(self) -> Self {
        Self(self.0 & Stamp::MASK as u64)
    }

    /// The same in the entry that said `old` of another connection, or was free: later than that one.
    #[inline(always)]
    pub const fn in_place_of(self, old: Self) -> Self {
        self.at(self.seen().after(old.seen()))
    }

    /// The same at another time.
    #[inline(always)]
    const fn at(self, seen: Stamp) -> Self {
        Self(self.0 & !(Stamp::MASK as u64) | seen.number() as u64)
    }

    /// Whether it is nobody's.
    #[inline(always)]
    pub const fn is_free(self) -> bool {
        self.0 & PHASE == 0
    }

    /// Whether it is a connection.
    #[inline(always)]
    pub const fn is_live(self) -> bool {
        self.0 & PHASE == PHASE
    }

    /// Whether it is of UDP; otherwise of TCP.
    #[inline(always)]
    pub const fn is_udp(self) -> bool {
        self.0 & UDP != 0
    }

    /// Whether it is of the IPv4 protocol `protocol`.
    #[inline(always)]
    pub const fn is_of(self, protocol: u8) -> bool {
        self.is_udp() == (protocol == IPPROTO_UDP)
    }

    /// State of the connection; a number that no state has is none.
    #[inline(always)]
    pub const fn state(self) -> ConnState {
        match ConnState::from_u8(self.state_number()) {
            Some(state) => state,
            None => ConnState::None,
        }
    }

    /// The state as its number, below 16.
    #[inline(always)]
    pub const fn state_number(self) -> u8 {
        (self.0 >> STATE_SHIFT & 0xf) as u8
    }

    /// When the connection was used last.
    #[inline(always)]
    pub const fn seen(self) -> Stamp {
        Stamp::new(self.0 as u32)
    }

    /// The lower half of the generation of its real server.
    #[inline(always)]
    pub const fn generation(self) -> u16 {
        (self.0 >> GENERATION_SHIFT) as u16
    }

    /// Whether it belongs to the owner `generation` of its real server's slot.
    #[inline(always)]
    pub const fn is_of_generation(self, generation: u32) -> bool {
        self.generation() == generation as u16
    }

    /// Index of the last hop, below [`LAST_HOPS`](crate::LAST_HOPS); 0 where it is not known.
    #[inline(always)]
    pub const fn hop(self) -> u16 {
        (self.0 >> HOP_SHIFT & (HOP >> HOP_SHIFT)) as u16
    }

    /// Whether a packet followed the first one. Of interest for UDP alone, which has no handshake.
    #[inline(always)]
    pub const fn is_confirmed(self) -> bool {
        self.0 & CONFIRMED != 0
    }

    /// The same after another packet at `now`, which leaves the connection in `state`.
    #[inline(always)]
    pub const fn used(self, state: ConnState, now: Stamp) -> Self {
        Self(self.0 & !STATE | (state as u64) << STATE_SHIFT).seen_at(now)
    }

    /// The same after another packet at `now` that changes nothing else.
    #[inline(always)]
    pub const fn seen_at(self, now: Stamp) -> Self {
        Self(self.0 & !PEERS | CONFIRMED).at(now.not_before(self.seen()))
    }

    /// The same, but not before `seen`.
    #[inline(always)]
    pub const fn not_before(self, seen: Stamp) -> Self {
        self.at(self.seen().not_before(seen))
    }

    /// The same with another last hop, as a packet here leaves it.
    #[inline(always)]
    pub const fn with_hop(self, hop: u16) -> Self {
        Self(self.0 & !(HOP | PEERS) | (hop as u64) << HOP_SHIFT & HOP)
    }

    /// The same of a connection that the peer used last, as it has told.
    pub const fn of_peer(self) -> Self {
        Self(self.0 | PEERS)
    }

    /// Whether the peer used the connection last, as far as this router knows: a packet here makes it this router's,
    /// at the latest a second after the peer's last use. Only what is
    /// the peer's may go at its word.
    pub const fn is_peers(self) -> bool {
        self.0 & PEERS != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IPPROTO_TCP;

    #[test]
    fn a_key_keeps_every_part() {
        let client = Client::new([203, 0, 113, 255], 65_535);
        let key = Key::from_word(Key::new(client, 0xfffe).word());
        assert_eq!((key.client(), key.real()), (client, 0xfffe));
        assert_eq!((client.address(), client.port()), ([203, 0, 113, 255], 65_535));
    }

    #[test]
    fn the_parts_of_meta_do_not_touch_each_other() {
        for state in ConnState::ALL {
            for protocol in [IPPROTO_TCP, IPPROTO_UDP] {
                let seen = Stamp::new(Stamp::MASK);
                let meta = Meta::new(protocol, state, seen, 0x0001_ffff, 0x7fff).in_phase(Phase::Live);
                assert_eq!(meta.state(), state);
                assert_eq!(meta.is_udp(), protocol == IPPROTO_UDP);
                assert_eq!((meta.seen(), meta.hop(), meta.generation()), (seen, 0x7fff, 0xffff));
                assert!(meta.is_live() && !meta.is_confirmed() && meta.is_of_generation(0x0007_ffff));
                let used = meta.used(ConnState::TimeWait, Stamp::new(5)).with_hop(3);
                assert_eq!((used.state(), used.seen(), used.hop()), (ConnState::TimeWait, Stamp::new(5), 3));
                assert_eq!(meta.seen_at(Stamp::new(5)), meta.used(state, Stamp::new(5)));
                assert!(used.is_live() && used.is_confirmed() && used.is_of(protocol));
                assert_eq!(used.used(used.state(), Stamp::new(4)), used, "time does not go back");
                assert_eq!(used.not_before(Stamp::new(6)), used.seen_at(Stamp::new(6)));
                assert_eq!(used.not_before(Stamp::new(4)), used);
                let long_after = Stamp::new(5 + 3 * Stamp::AHEAD);
                assert_eq!(used.seen_at(long_after).not_before(used.seen()).seen(), long_after);
                let next = meta.in_place_of(used);
                assert_eq!((next.seen(), next.used(state, seen).seen()), (Stamp::new(6), Stamp::new(6)));
                assert!(used.freed().is_free() && used.freed().seen() == used.seen());
                assert_eq!(used.generation(), 0xffff);
                let peers = used.of_peer();
                assert!(peers.is_peers() && !used.is_peers() && peers.hop() == 3 && peers.is_live());
                let here =
                    [peers.with_hop(3), peers.seen_at(used.seen()), peers.used(used.state(), used.seen())];
                assert_eq!(here, [used; 3], "whatever a packet leaves is this router's");
            }
        }
    }

    #[test]
    fn what_is_in_no_other_phase_is_free() {
        for phase in [Phase::Free, Phase::Claimed, Phase::Pending, Phase::Live] {
            assert_eq!(Meta::FREE.in_phase(phase).phase(), phase);
            assert_eq!(Meta::FREE.in_phase(phase).is_free(), phase == Phase::Free);
        }
    }
}
