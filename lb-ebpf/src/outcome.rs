//! What a stage says about a packet: sent, or why not.

use lb_common::Reason;

/// `Ok` for a packet that was rewritten and is to be sent, `Err` for every other end.
pub(crate) type Outcome = Result<Sent, Reason>;

/// A packet that leaves.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    /// Why; its verdict is [`Verdict::Send`](lb_common::Verdict::Send).
    pub(crate) reason: Reason,
    /// By which interface.
    pub(crate) ifindex: u32,
}
