//! What a router of a pair is at the moment.

/// A router's role, as its heartbeats carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Listens for the peer before it takes any role.
    Starting = 0,
    /// Watches the active router.
    Standby = 1,
    /// Holds the virtual addresses and schedules connections.
    Active = 2,
    /// Still forwards, and waits for the peer to take over.
    Leaving = 3,
}

impl Role {
    /// The role with number `n`; `None` where no such number exists.
    #[must_use]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Starting),
            1 => Some(Self::Standby),
            2 => Some(Self::Active),
            3 => Some(Self::Leaving),
            _ => None,
        }
    }

    /// Name as status shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Active => "active",
            Self::Leaving => "leaving",
        }
    }

    /// Whether a router in this role holds the addresses and schedules connections. A leaving router does: it stops
    /// only when the peer has taken over.
    #[must_use]
    pub const fn forwards(self) -> bool {
        match self {
            Self::Active | Self::Leaving => true,
            Self::Starting | Self::Standby => false,
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_roles_agree_both_ways() {
        for n in 0..=u8::MAX {
            assert!(Role::from_u8(n).is_none_or(|role| role as u8 == n));
        }
        assert_eq!((0..=u8::MAX).filter_map(Role::from_u8).count(), 4);
    }
}
