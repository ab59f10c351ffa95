//! Time in the flow table: when an entry was used last, and how long it lives.

use super::entry::{Meta, Phase};
use crate::ConnState;

/// Jiffies are divided by two to this power: about an eighth of a second at 250 Hz (the kernel's `CONFIG_HZ` is 100 to
/// 1000, so 0.03 to 0.32 seconds).
pub const STAMP_SHIFT: u32 = 5;

/// A moment, in units of 2^[`STAMP_SHIFT`] jiffies, modulo 2^24: six days at 1000 Hz, nearly two months at 100 Hz.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp(u32);

/// How long an entry lives after its last use, in units of [`Stamp`], by the number of its [`ConnState`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts(pub [u32; 16]);

/// How readily an entry is given up for a new connection: the greater, the sooner.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(u32);

impl Stamp {
    /// Bits of a stamp.
    pub const BITS: u32 = 24;
    /// Largest stamp.
    pub const MASK: u32 = (1 << Self::BITS) - 1;

    /// How far the stamp of an entry may run ahead of the time: eight seconds at 1000 Hz. What is later by more is long ago, and
    /// the range has come round since.
    pub const AHEAD: u32 = 256;

    /// The stamp in the lower bits of `n`.
    #[inline(always)]
    pub const fn new(n: u32) -> Self {
        Self(n & Self::MASK)
    }

    /// The stamp of a moment in jiffies.
    #[inline(always)]
    pub const fn of_jiffies(jiffies: u64) -> Self {
        Self::new((jiffies >> STAMP_SHIFT) as u32)
    }

    /// As a number below 2^24.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Whether this is less than `units` after `earlier`, or before it; what is further off than a quarter of the range is
    /// told by [`since`](Self::since) alone. One subtraction for each packet, where that takes a comparison too.
    #[inline(always)]
    pub const fn is_within(self, units: u32, earlier: Self) -> bool {
        self.0.wrapping_sub(earlier.0).wrapping_sub(units) & (Self::MASK / 2 + 1) != 0
    }

    /// This, or `other` where that is later, by less than [`AHEAD`](Self::AHEAD).
    #[inline(always)]
    pub const fn not_before(self, other: Self) -> Self {
        if self.lag(other) < Self::AHEAD { other } else { self }
    }

    /// This, or the next after `other` where this is not later than `other`, by less than [`AHEAD`](Self::AHEAD).
    #[inline(always)]
    pub const fn after(self, other: Self) -> Self {
        if self.lag(other) < Self::AHEAD { Self::new(other.0 + 1) } else { self }
    }

    /// Units from this to `other`, modulo the range.
    #[inline(always)]
    const fn lag(self, other: Self) -> u32 {
        other.0.wrapping_sub(self.0) & Self::MASK
    }

    /// Units from `earlier` to this. Zero where `earlier` is later by up to half of the range: the clocks of two
    /// processors differ by a tick.
    #[inline(always)]
    pub const fn since(self, earlier: Self) -> u32 {
        let age = self.0.wrapping_sub(earlier.0) & Self::MASK;
        if age > Self::MASK / 2 { 0 } else { age }
    }
}

impl Timeouts {
    /// The timeouts of [`ConnState::timeout_secs`] where a second has `hz` jiffies, rounded up.
    pub const fn at(hz: u32) -> Self {
        let mut units = [0; 16];
        let mut i = 0;
        while i < ConnState::ALL.len() {
            units[i] = units_of(ConnState::ALL[i].timeout_secs(), hz);
            i += 1;
        }
        Self(units)
    }

    /// Units that a connection with this entry still lives at `now`; 0 when it is due.
    #[inline(always)]
    pub fn remaining(&self, meta: Meta, now: Stamp) -> u32 {
        let lifetime = self.0.get((meta.state_number() & 0xf) as usize).copied().unwrap_or(0);
        lifetime.saturating_sub(now.since(meta.seen()))
    }
}

/// Units of [`Stamp`] in `secs` seconds, rounded up.
pub const fn units_of(secs: u64, hz: u32) -> u32 {
    (secs * hz as u64).div_ceil(1 << STAMP_SHIFT) as u32
}

impl Rank {
    /// Not to be given up: an established connection, or one that is being made.
    pub const PROTECTED: Self = Self(0);
    /// Free, or as good as free.
    pub const FREE: Self = Self(u32::MAX);

    const CLOSED: u32 = 2 << Stamp::BITS;
    const HALF_OPEN: u32 = 1 << Stamp::BITS;
}

/// How readily an entry is given up at `now`: what is free or due first, then what is closed, then what was never
/// answered (a half-open TCP connection, or a UDP flow of one datagram); of equals the oldest. Nothing else is.
#[inline(always)]
pub fn rank(meta: Meta, timeouts: &Timeouts, now: Stamp) -> Rank {
    match meta.phase() {
        Phase::Free => return Rank::FREE,
        Phase::Claimed | Phase::Pending => return Rank::PROTECTED,
        Phase::Live => {}
    }
    if timeouts.remaining(meta, now) == 0 {
        return Rank::FREE;
    }
    let age = now.since(meta.seen());
    match meta.state() {
        ConnState::Close | ConnState::TimeWait => Rank(Rank::CLOSED | age),
        ConnState::None | ConnState::SynRecv | ConnState::SynSent | ConnState::SynAck => {
            Rank(Rank::HALF_OPEN | age)
        }
        ConnState::Udp if !meta.is_confirmed() => Rank(Rank::HALF_OPEN | age),
        ConnState::Udp
        | ConnState::Established
        | ConnState::FinWait
        | ConnState::CloseWait
        | ConnState::LastAck
        | ConnState::Listen => Rank::PROTECTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IPPROTO_TCP, IPPROTO_UDP};

    #[test]
    fn age_survives_the_end_of_the_range_and_a_clock_that_is_behind() {
        assert_eq!(Stamp::new(3).since(Stamp::new(Stamp::MASK)), 4);
        assert_eq!(Stamp::new(3).since(Stamp::new(4)), 0);
        assert_eq!(Stamp::of_jiffies(32 * 7 + 31), Stamp::new(7));
    }

    #[test]
    fn a_stamp_never_goes_back() {
        for now in [0, 1000, Stamp::MASK] {
            let at = |step: u32| Stamp::new(now.wrapping_add(step));
            let earlier = Stamp::new(now.wrapping_sub(1));
            assert_eq!((at(0).not_before(earlier), at(0).after(earlier)), (at(0), at(0)));
            assert_eq!((at(0).not_before(at(0)), at(0).after(at(0))), (at(0), at(1)));
            let last = Stamp::AHEAD - 1;
            assert_eq!((at(0).not_before(at(last)), at(0).after(at(last))), (at(last), at(last + 1)));
            // Days ago.
            let old = at(Stamp::AHEAD);
            assert_eq!((at(0).not_before(old), at(0).after(old)), (at(0), at(0)));
        }
    }

    #[test]
    fn what_was_just_now_and_what_is_to_come_is_within_any_time() {
        let now = Stamp::new(100);
        for (earlier, within) in [(100, true), (93, true), (92, false), (0, false), (101, true), (5000, true)]
        {
            assert_eq!(now.is_within(8, Stamp::new(earlier)), within, "{earlier}");
        }
        // Over the end of the range.
        assert!(Stamp::new(3).is_within(8, Stamp::new(Stamp::MASK - 3)));
        assert!(!Stamp::new(3).is_within(8, Stamp::new(Stamp::MASK - 4)));
    }

    #[test]
    fn timeouts_are_those_of_ipvs() {
        for hz in [100, 250, 300, 1000] {
            let timeouts = Timeouts::at(hz);
            for state in ConnState::ALL {
                let jiffies = u64::from(timeouts.0[state as usize]) << STAMP_SHIFT;
                let wanted = state.timeout_secs() * u64::from(hz);
                assert!((wanted..wanted + 32).contains(&jiffies), "{} at {hz}", state.name());
            }
        }
    }

    #[test]
    fn a_connection_is_due_when_its_time_is_over() {
        let timeouts = Timeouts::at(250);
        let meta = live(IPPROTO_TCP, ConnState::Close);
        let last = timeouts.0[ConnState::Close as usize];
        assert_eq!(timeouts.remaining(meta, Stamp::new(SEEN + last - 1)), 1);
        assert_eq!(timeouts.remaining(meta, Stamp::new(SEEN + last)), 0);
        assert_eq!(rank(meta, &timeouts, Stamp::new(SEEN + last)), Rank::FREE);
    }

    #[test]
    fn what_is_given_up_first() {
        let timeouts = Timeouts::at(250);
        let now = Stamp::new(SEEN + 8);
        let rank = |meta| rank(meta, &timeouts, now);
        let order = [
            rank(Meta::FREE),
            rank(live(IPPROTO_TCP, ConnState::TimeWait)),
            rank(live(IPPROTO_TCP, ConnState::SynRecv)),
            rank(live(IPPROTO_TCP, ConnState::SynRecv).used(ConnState::SynRecv, now)),
            Rank::PROTECTED,
        ];
        assert!(order.is_sorted_by(|a, b| a > b), "{order:?}");
        for state in [ConnState::Established, ConnState::FinWait, ConnState::CloseWait, ConnState::LastAck] {
            assert_eq!(rank(live(IPPROTO_TCP, state)), Rank::PROTECTED, "{}", state.name());
        }
        let udp = live(IPPROTO_UDP, ConnState::Udp);
        assert!(rank(udp) > Rank::PROTECTED);
        assert_eq!(rank(udp.used(ConnState::Udp, now)), Rank::PROTECTED);
        for phase in [Phase::Claimed, Phase::Pending] {
            assert_eq!(rank(udp.in_phase(phase)), Rank::PROTECTED);
        }
    }

    const SEEN: u32 = 1000;

    fn live(protocol: u8, state: ConnState) -> Meta {
        Meta::new(protocol, state, Stamp::new(SEEN), 1, 0).in_phase(Phase::Live)
    }
}
