//! What harness and bench share: how a run is set up. Both sides include this file.

/// Words of a frame.
pub(crate) const FRAME_WORDS: usize = 8;
/// Iterations of a slice: two to this power.
pub(crate) const SLICE_SHIFT: u32 = 13;
/// Times of the longest run: one at the start of each slice, and one at the end.
pub(crate) const TIMES: usize = 4096;
/// Slot of the program under test among the harness's targets.
pub(crate) const TARGET: u32 = 0;
/// Slot of the program that it is compared with.
pub(crate) const BASE: u32 = 1;

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
    /// Slices. An iteration beyond them does nothing but note the time.
    pub slices: u64,
    /// [`IN_TURN`] or [`RANDOM`].
    pub order: u32,
    /// Whether the slices 0, 2, 4… are the base's, and see the flows that the slice after them sees.
    pub is_alternating: u32,
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
    /// Iterations by XDP action.
    pub actions: [u64; 8],
    /// Something that the locked add works on.
    pub drain: u64,
    /// Frames that came out at the far end of the cable.
    pub arrived: u64,
    /// Nanoseconds at the start of each slice, and at the end of the last one.
    pub times: [u64; TIMES],
}
