//! The end of every packet. No other place knows XDP actions.

use aya_ebpf::bindings::xdp_action;
use lb_common::{FlowKey, Verdict};

use crate::{
    count,
    ctx::Frame,
    log,
    outcome::{Outcome, Sent},
};

/// Counts a frame of `bytes` that came to `outcome`; the XDP action. `key` is whose packet it is, where it was parsed.
#[inline(always)]
pub(crate) fn finish(frame: &Frame, key: Option<&FlowKey>, outcome: Outcome, bytes: usize) -> u32 {
    let reason = match outcome {
        Ok(sent) => sent.reason,
        Err(reason) => reason,
    };
    count::reason(reason, bytes);
    match (reason.verdict(), outcome) {
        (Verdict::Pass, _) => xdp_action::XDP_PASS,
        (Verdict::Send, Ok(Sent { ifindex, .. })) if ifindex == frame.ingress() => xdp_action::XDP_TX,
        (Verdict::Send, Ok(Sent { ifindex, .. })) => frame.redirect(ifindex),
        (Verdict::Drop, _) | (Verdict::Send, Err(_)) => {
            if let Some(key) = key {
                log::dropped(key, reason);
            }
            xdp_action::XDP_DROP
        }
    }
}
