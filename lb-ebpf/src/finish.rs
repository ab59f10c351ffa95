//! The end of every packet. No other place knows XDP actions.

use aya_ebpf::bindings::xdp_action;
use lb_common::Verdict;

use crate::{
    bytes::Access,
    count,
    outcome::{Outcome, Sent},
    virtual_mac,
};

/// Counts a frame of `bytes` that came to `outcome`; the XDP action.
#[inline(always)]
pub(crate) fn finish(frame: &impl Access, outcome: Outcome, bytes: usize) -> u32 {
    match outcome {
        Ok(Sent { reason, ifindex }) => {
            count::reason(reason, bytes);
            if ifindex == frame.ingress() { xdp_action::XDP_TX } else { frame.redirect(ifindex) }
        }
        Err(reason) => {
            count::reason(reason, bytes);
            match reason.verdict() {
                Verdict::Pass => {
                    virtual_mac::pass(frame);
                    xdp_action::XDP_PASS
                }
                // A reason to send without a way: no code comes to one.
                Verdict::Drop | Verdict::Send => xdp_action::XDP_DROP,
            }
        }
    }
}
