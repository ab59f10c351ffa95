//! What a reload can change, and what needs a restart.

use crate::config::{ConnectionSync, HeartbeatPath, Peer};

/// What is fixed while the heartbeat runs.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    pub(super) paths: Vec<HeartbeatPath>,
    port: u16,
    sync: ConnectionSync,
}

impl From<Peer> for Fixed {
    fn from(peer: Peer) -> Self {
        Self { paths: peer.paths, port: peer.port, sync: peer.sync }
    }
}

/// Settings that were changed, but come into force with the next start of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("changed, but in force only after a restart: {}", .0.join(", "))]
pub struct NeedsRestart(pub Vec<&'static str>);

/// What of `new` differs from what runs.
pub(super) fn compare(running: Option<&Fixed>, new: Option<&Fixed>) -> Result<(), NeedsRestart> {
    let changed: Vec<_> = match (running, new) {
        (None, None) => Vec::new(),
        (Some(_), None) | (None, Some(_)) => vec!["peer"],
        (Some(running), Some(new)) => [
            (running.paths != new.paths).then_some("peer.paths"),
            (running.port != new.port).then_some("peer.port"),
            (running.sync != new.sync).then_some("peer.sync"),
        ]
        .into_iter()
        .flatten()
        .collect(),
    };
    if changed.is_empty() { Ok(()) } else { Err(NeedsRestart(changed)) }
}
