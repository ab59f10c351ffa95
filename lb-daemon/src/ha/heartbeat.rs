//! What the routers of a pair tell each other. [`codec`] puts it on the wire, [`keyring`] signs it.

mod addition;
pub mod codec;
pub mod keyring;
mod position;

pub use position::Position;

use super::{Role, engine::Forced};

/// Longest router name on the wire, in bytes; a longer one is cut.
pub const MAX_NAME: usize = 64;

/// One heartbeat. The same one goes out on every path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Role of the sender.
    pub role: Role,
    /// A standby router of the higher rank asks for the role.
    pub wants_role: bool,
    /// A starting router whose data plane has stayed active across the restart of its daemon.
    pub resumes: bool,
    /// The sender has a fault: it should be active only where no router without one is.
    pub fault: bool,
    /// The sender's priority is lower than configured.
    pub weak: bool,
    /// What the operator holds the sender in.
    pub forced: Option<Forced>,
    /// Election priority of the sender, as it is now.
    pub priority: u8,
    /// [`Cause::code`](super::engine::Cause::code) of the sender's role; for the log alone.
    pub cause: u8,
    /// Random number of this life of the sender; never 0.
    pub incarnation: u64,
    /// Number of this heartbeat within the incarnation, from 1.
    pub sequence: u64,
    /// Hash of the sender's configuration, as far as both routers must agree on it.
    pub config_hash: u64,
    /// What the sender has heard last of the receiver.
    pub echo: Option<Echo>,
    /// Name of the sender.
    pub name: String,
    /// Name of the group that the role is of; empty where there is but one.
    pub group: String,
    /// How far the sender is with the copy of connections; `None` where none are copied, and from older versions.
    pub position: Option<Position>,
}

/// Names one heartbeat of the other router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Its [`Heartbeat::incarnation`].
    pub incarnation: u64,
    /// Its [`Heartbeat::sequence`].
    pub sequence: u64,
}

/// Why a datagram was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Ignored {
    /// Its authentication tag does not fit: another key, or changed on the way.
    #[error("authentication failed: another key, or changed on the way")]
    WrongKey,
    /// It was sent before one that has been heard already, or is our own come back.
    #[error("recorded earlier and sent again")]
    Replayed,
    /// Too short, too long, or no heartbeat at all.
    #[error("not a whole heartbeat")]
    Truncated,
    /// It comes from an address that is not the peer's on this path.
    #[error("not from the peer's address")]
    Stranger,
    /// Another version of the protocol.
    #[error("another version of the protocol")]
    Version,
    /// Authentic, but of a group that this router does not have.
    #[error("of a group that is not configured here")]
    UnknownGroup,
    /// Authentic, but it does not show that its sender lives now: see [`guard`](super::guard). One or two are normal
    /// whenever a router starts.
    #[error("its sender has not heard this router yet, or it was recorded earlier")]
    Unproven,
}

impl Ignored {
    /// Name of the counter in [`PeerStatus::ignored`](crate::api::types::PeerStatus::ignored).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WrongKey => "wrong_key",
            Self::Replayed => "replayed",
            Self::Truncated => "truncated",
            Self::Stranger => "stranger",
            Self::Version => "version",
            Self::UnknownGroup => "unknown_group",
            Self::Unproven => "unproven",
        }
    }
}

#[cfg(test)]
impl Heartbeat {
    /// What a router of life `incarnation` says first that has nothing to say, for tests.
    pub(crate) fn plain(role: Role, incarnation: u64) -> Self {
        Self {
            role,
            wants_role: false,
            resumes: false,
            fault: false,
            weak: false,
            forced: None,
            priority: 100,
            cause: 0,
            incarnation,
            sequence: 1,
            config_hash: 0,
            echo: None,
            name: String::new(),
            group: String::new(),
            position: None,
        }
    }
}
