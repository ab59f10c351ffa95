//! Why a router has its role.

use std::time::Duration;

/// The cause of the last change of role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// The daemon has just started.
    Started = 0,
    /// No peer is configured.
    NoPeer = 1,
    /// The peer was silent for `dead_after`.
    PeerSilent = 2,
    /// The peer is active.
    PeerActive = 3,
    /// The peer wants to be relieved.
    PeerLeft = 4,
    /// Both routers were passive, and this one has the higher rank.
    Elected = 5,
    /// Both routers were passive, and the peer has the higher rank.
    NotElected = 6,
    /// Active before the daemon restarted, and the peer is not.
    Resumed = 7,
    /// Both routers were active, and the peer has the higher rank.
    Outranked = 8,
    /// Both routers were active: the peer took over while this one was frozen.
    Frozen = 9,
    /// Both routers were active, and the peer does not hear this one.
    Unheard = 10,
    /// The operator gave the role to the peer.
    Operator = 11,
    /// The peer, of the higher rank, asked for the role.
    Asked = 12,
    /// The daemon stops.
    Stop = 13,
    /// The peer has taken over.
    Relieved = 14,
    /// The peer has not taken over in time.
    NotRelieved = 15,
    /// This router has a fault, and the peer has none.
    Unfit = 16,
    /// The peer wants to be relieved, and has a fault.
    PeerUnfit = 17,
    /// Neither the peer nor a witness is heard.
    Isolated = 18,
    /// The operator holds this router standby.
    Held = 19,
    /// The operator holds the peer active.
    PeerHeld = 20,
}

impl Cause {
    /// Number on the wire. Never given to another cause.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The cause as a sentence; `dead_after` is the one of this router.
    #[must_use]
    pub fn sentence(self, dead_after: Duration) -> String {
        let text = match self {
            Self::Started => "listening for the peer",
            Self::NoPeer => "no peer is configured",
            Self::PeerSilent => return format!("peer silent for {}", humantime::format_duration(dead_after)),
            Self::PeerActive => "peer is active",
            Self::PeerLeft => "peer gave up the role",
            Self::Elected => "neither router was active, and this one has the higher priority",
            Self::NotElected => "neither router was active, and the peer has the higher priority",
            Self::Resumed => "was active before the restart, and the peer is not",
            Self::Outranked => "both routers were active, and the peer has the higher priority",
            Self::Frozen => "peer took over while this router was frozen",
            Self::Unheard => "both routers were active, and the peer does not hear this one",
            Self::Operator => "the operator gave the role to the peer",
            Self::Asked => "peer asked for the role, and has the higher priority",
            Self::Stop => "stopping",
            Self::Relieved => "peer has taken over",
            Self::NotRelieved => "peer did not take over in time",
            Self::Unfit => "this router has a fault, and the peer has none",
            Self::Isolated => "neither the peer nor a witness answers: this router may be cut off",
            Self::Held => "the operator holds this router standby",
            Self::PeerHeld => "the operator holds the peer active",
            Self::PeerUnfit => "peer gave up the role, for it has a fault",
        };
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silence_is_named() {
        assert_eq!(Cause::PeerSilent.sentence(Duration::from_secs(1)), "peer silent for 1s");
        assert_eq!(Cause::PeerSilent.sentence(Duration::from_millis(1500)), "peer silent for 1s 500ms");
    }

    #[test]
    fn codes_of_the_wire_stay() {
        let codes = [
            (Cause::Started, 0),
            (Cause::PeerSilent, 2),
            (Cause::Stop, 13),
            (Cause::Isolated, 18),
            (Cause::PeerHeld, 20),
        ];
        assert!(codes.iter().all(|(cause, code)| cause.code() == *code));
    }
}
