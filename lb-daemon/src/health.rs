//! Health checks: one task for each service and real server; [`state`] decides, [`probe`] asks, [`Checkers`] keeps the
//! tasks.

mod checkers;
pub mod probe;
pub mod state;

pub use checkers::Checkers;

use crate::plan::RealId;

/// A real server's health has been measured for the first time, or has flipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which one.
    pub real: RealId,
    /// What was measured.
    pub healthy: bool,
    /// Why, in a few words: `"connected in 1 ms"`, `"connection refused"`, `"no answer within 1s"`.
    pub detail: String,
}
