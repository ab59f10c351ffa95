//! The XDP program: forwards the packets of virtual services to real servers by NAT and direct routing.
//!
//! The way of a packet: [`parse`] describes it once; [`pipeline`] finds its connection or makes one; [`forward`]
//! rewrites it; the entry point here turns the reason that comes out into an XDP action, and counts it. No other place
//! knows XDP actions.
//!
//! The pure parts also compile on the host, for their unit tests.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch, core_intrinsics))]
#![cfg_attr(
    target_arch = "bpf",
    expect(internal_features, reason = "atomic_xadd is the only way to BPF's fetch-and-add")
)]

#[cfg(any(target_arch = "bpf", test))]
mod bytes;
#[cfg(any(target_arch = "bpf", test))]
mod checksum;
#[cfg(target_arch = "bpf")]
mod connect;
#[cfg(target_arch = "bpf")]
mod count;
#[cfg(target_arch = "bpf")]
mod ctx;
#[cfg(target_arch = "bpf")]
mod flows;
#[cfg(target_arch = "bpf")]
mod forward;
#[cfg(target_arch = "bpf")]
mod hop;
#[cfg(target_arch = "bpf")]
mod log;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod outcome;
#[cfg(any(target_arch = "bpf", test))]
mod packet;
#[cfg(any(target_arch = "bpf", test))]
mod parse;
#[cfg(target_arch = "bpf")]
mod peer;
#[cfg(target_arch = "bpf")]
mod pipeline;
#[cfg(target_arch = "bpf")]
mod refuse;
#[cfg(any(target_arch = "bpf", test))]
mod reset;
#[cfg(target_arch = "bpf")]
mod schedule;
#[cfg(any(target_arch = "bpf", test))]
mod source_hash;
#[cfg(any(target_arch = "bpf", test))]
mod tcp_state;

#[cfg(target_arch = "bpf")]
mod entry {
    use aya_ebpf::{
        bindings::xdp_action, helpers::generated::bpf_ktime_get_coarse_ns, macros::xdp, programs::XdpContext,
    };
    use lb_common::Verdict;

    use crate::{bytes::Bytes as _, count, ctx::Frame, log, outcome::Sent, parse, pipeline};

    /// Runs for every frame that comes in.
    #[xdp(frags)]
    fn lb(ctx: XdpContext) -> u32 {
        let mut frame = Frame::new(&ctx);
        let (outcome, length) = match parse::parse(&frame) {
            Ok(packet) => {
                // SAFETY: the helper takes nothing.
                let now = unsafe { bpf_ktime_get_coarse_ns() };
                let outcome = pipeline::process(&mut frame, &packet, now);
                if let Err(reason) = outcome
                    && reason.verdict() == Verdict::Drop
                {
                    log::dropped(&packet.key, reason);
                }
                (outcome, packet.frame_length)
            }
            Err(reason) => (Err(reason), frame.length()),
        };
        let reason = match outcome {
            Ok(sent) => sent.reason,
            Err(reason) => reason,
        };
        count::reason(reason, length);
        match (reason.verdict(), outcome) {
            (Verdict::Pass, _) => xdp_action::XDP_PASS,
            (Verdict::Send, Ok(Sent { ifindex, .. })) if ifindex == frame.ingress() => xdp_action::XDP_TX,
            (Verdict::Send, Ok(Sent { ifindex, .. })) => frame.redirect(ifindex),
            (Verdict::Drop, _) | (Verdict::Send, Err(_)) => xdp_action::XDP_DROP,
        }
    }
}

/// The host build exists for the unit tests of the pure parts.
#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier proves that no panic is reachable: a program with one does not load.
    loop {}
}

#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
