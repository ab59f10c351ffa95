//! How far a router is with the copy of connections: what the routers compare without the stream.

use bytes::{Buf, BufMut};

/// Octets on the wire.
const LEN: usize = 16;

/// A place in a copy: as an active router what it has told, as a standby what it has applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Random number of the copy, from a full transfer on; 0 where there is none, or the standby has not had all of it.
    pub session: u64,
    /// Records of it so far.
    pub records: u64,
}

impl Position {
    /// No place in any copy.
    pub const NONE: Self = Self { session: 0, records: 0 };

    /// Whether a standby that is here has all that an active router which is at `told` has told.
    #[must_use]
    pub const fn has(&self, told: &Self) -> bool {
        self.session != 0 && self.session == told.session && self.records >= told.records
    }

    /// Records that a standby which is here lacks of what has been `told`; `None`: another copy, so that nobody knows.
    #[must_use]
    pub const fn lacks(&self, told: &Self) -> Option<u64> {
        if self.session == 0 || self.session != told.session {
            return None;
        }
        Some(told.records.saturating_sub(self.records))
    }

    /// Its bytes in a heartbeat.
    pub(super) fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let mut out = &mut bytes[..];
        out.put_u64(self.session);
        out.put_u64(self.records);
        bytes
    }

    /// The position at the start of `bytes`: a later version may have more to say.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut next = || bytes.try_get_u64().ok();
        Some(Self { session: next()?, records: next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_positions_of_one_copy_are_compared() {
        let at = |session, records| Position { session, records };
        for (standby, active, has, lacks) in [
            (at(7, 10), at(7, 10), true, Some(0)),
            (at(7, 11), at(7, 10), true, Some(0)),
            (at(7, 9), at(7, 10), false, Some(1)),
            (at(8, 99), at(7, 10), false, None),
            (Position::NONE, at(7, 0), false, None),
            (at(7, 10), Position::NONE, false, None),
            (Position::NONE, Position::NONE, false, None),
        ] {
            assert_eq!(
                (standby.has(&active), standby.lacks(&active)),
                (has, lacks),
                "{standby:?}, {active:?}"
            );
        }
    }

    #[test]
    fn what_a_later_version_adds_is_skipped_and_less_is_nothing() {
        let position = Position { session: 0x0102_0304_0506_0708, records: 9 };
        let bytes = position.to_bytes();
        assert_eq!(bytes, *b"\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\0\x09");
        assert_eq!(Position::from_bytes(&[&bytes[..], b"more"].concat()), Some(position));
        assert_eq!(Position::from_bytes(&bytes[1..]), None);
    }
}
