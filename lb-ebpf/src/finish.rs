//! The end of every packet. No other place knows XDP actions.

use aya_ebpf::bindings::xdp_action;
use lb_common::Verdict;

use crate::{
    count,
    ctx::Frame,
    outcome::{Outcome, Sent},
};

/// Counts a frame of `bytes` that came to `outcome`; the XDP action.
#[inline(always)]
pub(crate) fn finish(frame: &Frame, outcome: Outcome, bytes: usize) -> u32 {
    let reason = match outcome {
        Ok(sent) => sent.reason,
        Err(reason) => reason,
    };
    count::reason(reason, bytes);
    match (reason.verdict(), outcome) {
        (Verdict::Pass, _) => xdp_action::XDP_PASS,
        (Verdict::Send, Ok(Sent { ifindex, .. })) if ifindex == frame.ingress() => xdp_action::XDP_TX,
        (Verdict::Send, Ok(Sent { ifindex, .. })) => frame.redirect(ifindex),
        (Verdict::Drop, _) | (Verdict::Send, Err(_)) => xdp_action::XDP_DROP,
    }
}
