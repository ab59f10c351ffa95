//! The XDP program: forwards the packets of virtual services to real servers by NAT and direct routing.
//!
//! The way of a packet: [`parse`] describes it once; [`pipeline`] finds its connection, or [`unknown`] makes one;
//! [`forward`] rewrites it; [`finish`] counts the reason that comes out and turns it into an XDP action.
//!
//! The pure parts also compile on the host, for their unit tests.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch, core_intrinsics))]
#![cfg_attr(
    target_arch = "bpf",
    expect(internal_features, reason = "atomic_xadd is the only way to BPF's fetch-and-add")
)]

#[cfg(target_arch = "bpf")]
mod addresses;
#[cfg(any(target_arch = "bpf", test))]
mod bytes;
#[cfg(target_arch = "bpf")]
mod changes;
#[cfg(any(target_arch = "bpf", test))]
mod checksum;
#[cfg(target_arch = "bpf")]
mod connect;
#[cfg(any(target_arch = "bpf", test))]
mod connection_hash;
#[cfg(target_arch = "bpf")]
mod count;
#[cfg(target_arch = "bpf")]
mod ctx;
#[cfg(target_arch = "bpf")]
mod finish;
#[cfg(target_arch = "bpf")]
mod flows;
#[cfg(target_arch = "bpf")]
mod forward;
#[cfg(target_arch = "bpf")]
mod globals;
#[cfg(target_arch = "bpf")]
mod hop;
#[cfg(target_arch = "bpf")]
mod last_hops;
#[cfg(target_arch = "bpf")]
mod log;
#[cfg(any(target_arch = "bpf", test))]
mod maglev_hash;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod outcome;
#[cfg(target_arch = "bpf")]
mod overflow;
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
mod unknown;
#[cfg(target_arch = "bpf")]
mod words;

#[cfg(target_arch = "bpf")]
mod entry {
    use aya_ebpf::{macros::xdp, programs::XdpContext};
    use lb_common::{Reason, tail};

    use crate::{
        addresses, bytes::Bytes as _, ctx::Frame, finish::finish, flows, log, maps::PROGRAMS, parse,
        pipeline, unknown,
    };

    /// Runs for every frame that comes in. Here is the way of the many: packets that do not concern the balancer, and
    /// those of connections that it knows.
    #[xdp(frags)]
    fn lb(ctx: XdpContext) -> u32 {
        let mut frame = Frame::new(&ctx);
        let head = match parse::head(&frame) {
            Ok(head) => head,
            Err(reason) => return finish(&frame, Err(reason), frame.length()),
        };
        let concern = addresses::concern(head.source(), head.destination());
        if concern.is_none() {
            return finish(&frame, Err(Reason::NotOurs), head.frame_length(&frame));
        }
        let packet = match parse::packet(&frame, &head) {
            Ok(packet) => packet,
            Err(reason) => return finish(&frame, Err(reason), head.frame_length(&frame)),
        };
        let outcome = match pipeline::process(&mut frame, &packet, concern, flows::now()) {
            Some(outcome) => outcome,
            None => {
                // SAFETY: control goes to the other program for good, and nothing here waits to be dropped.
                unsafe { PROGRAMS.tail_call(&ctx, tail::NO_CONNECTION) };
                // It is not there: the daemon has not finished.
                Err(Reason::BadTable)
            }
        };
        log::outcome(&packet.key, outcome);
        finish(&frame, outcome, packet.frame_length)
    }

    /// The way of the few: whatever begins a connection, or belongs to none that is known. A program of its own, which the
    /// first one jumps to: it has its own stack, and the verifier walks each by itself. It parses once more, for what is
    /// handed over would have to be stored for every packet.
    #[xdp(frags)]
    fn lb_no_connection(ctx: XdpContext) -> u32 {
        let mut frame = Frame::new(&ctx);
        match parse::parse(&frame) {
            Ok(packet) => {
                let outcome = match unknown::process(&mut frame, &packet, flows::now()) {
                    Some(outcome) => outcome,
                    None => {
                        // SAFETY: as in `lb`. Not for ever: what is to be done in another way is noted.
                        unsafe { PROGRAMS.tail_call(&ctx, tail::NO_CONNECTION) };
                        Err(Reason::BadTable)
                    }
                };
                log::outcome(&packet.key, outcome);
                finish(&frame, outcome, packet.frame_length)
            }
            Err(reason) => finish(&frame, Err(reason), frame.length()),
        }
    }

    /// Tells the daemon, which runs it, the time of the flow table. Attached nowhere: no clock of user space is jiffies.
    #[xdp(frags)]
    fn lb_clock(_: XdpContext) -> u32 {
        flows::now().number()
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
