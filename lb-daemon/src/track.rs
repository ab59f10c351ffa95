//! What the router watches about itself: links, gateways, and what scripts say. [`state`] decides what follows, [`probe`] looks,
//! [`Watchers`] keeps the tasks.

pub mod probe;
pub mod state;
mod watchers;

pub use state::Tracks;
pub use watchers::Watchers;

/// A track has been looked at for the first time, or has flipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Name of the track.
    pub track: String,
    /// Whether all is well.
    pub ok: bool,
    /// Why, in a few words: `"no carrier"`, `"no echo within 500ms"`.
    pub detail: String,
}
