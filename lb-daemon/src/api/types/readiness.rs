//! How ready a standby router is to be active.

use serde::{Deserialize, Serialize};

/// Whether a router of the higher priority takes its role back when it returns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailbackStatus {
    /// `"auto"` or `"manual"`.
    pub mode: String,
    /// With `"auto"`: milliseconds for which it hears its peer active first.
    pub delay_ms: Option<u64>,
    /// Whether it could be active as well as its peer is: it has what the peer has told of connections, and none of its real servers
    /// is on its way back. With `"auto"` it waits for that too.
    pub ready: bool,
}

/// How far a standby router is behind with the connections of the active one, as the heartbeats say: without the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BehindStatus {
    /// Records that it lacks: 0, it has everything; `null`, nobody knows, since it has not had everything yet or nothing is told to it.
    pub records: Option<u64>,
    /// Bytes that they are in the stream.
    pub bytes: Option<u64>,
    /// Milliseconds for which it has lacked the oldest of them at least, to a heartbeat; 0 where it lacks none.
    pub age_ms: u64,
    /// Whether that is so much that the loss of the active router would cost connections: nobody knows how many it lacks, or it
    /// has lacked some for a second and for `dead_after`.
    pub far: bool,
}
