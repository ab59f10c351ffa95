//! What harness and bench share: how a run is set up. Both sides include this file.

/// Words of a frame.
pub(crate) const FRAME_WORDS: usize = 8;
/// Iterations between two samples.
pub(crate) const SAMPLE_EVERY: u64 = 32_768;
/// Samples of the longest run.
pub(crate) const SAMPLES: usize = 1024;
/// Slot of the program under test among the harness's targets.
pub(crate) const TARGET: u32 = 0;
/// Slot of the program that does nothing.
pub(crate) const EMPTY: u32 = 1;

/// How flows are taken.
pub(crate) const IN_TURN: u32 = 0;
/// See [`IN_TURN`].
pub(crate) const RANDOM: u32 = 1;

/// One run. The frame is that of flow 0; the others differ by the client's address and port, and by the service.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The frame as it stands in memory.
    pub frame: [u64; FRAME_WORDS],
    /// Number of flows less one: a power of two less one.
    pub mask: u64,
    /// Number of the first flow.
    pub first: u64,
    /// [`IN_TURN`] or [`RANDOM`].
    pub order: u32,
    /// Slot of the target.
    pub target: u32,
    /// Whether the client is the destination: of a reply.
    pub is_reply: u32,
    /// Number of services less one: a power of two less one. Service n has the virtual address of the frame plus n.
    pub services: u32,
}

/// What a run leaves.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Iterations.
    pub iterations: u64,
    /// Samples taken.
    pub samples: u64,
    /// Iterations by XDP action.
    pub actions: [u64; 8],
    /// Something that the locked add works on.
    pub drain: u64,
    /// Nanoseconds at each sample.
    pub times: [u64; SAMPLES],
}
