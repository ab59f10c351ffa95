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
mod arp;
#[cfg(any(target_arch = "bpf", test))]
mod bytes;
#[cfg(target_arch = "bpf")]
mod cache;
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
mod established;
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
mod lease;
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
mod plain;
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
mod virtual_mac;
#[cfg(target_arch = "bpf")]
mod words;

#[cfg(target_arch = "bpf")]
mod entry {
    use aya_ebpf::{macros::xdp, programs::XdpContext};
    use lb_common::{IPPROTO_TCP, IPPROTO_UDP, Method, Methods, Reason, tail};

    use crate::{
        addresses,
        bytes::Bytes as _,
        ctx::Frame,
        established::{self, Elsewhere},
        finish::finish,
        flows, lease, log,
        maps::PROGRAMS,
        parse, pipeline,
        plain::{Plain, Sight},
        unknown, virtual_mac,
    };

    /// Runs for every frame that comes in, where NAT and direct routing are in use.
    #[xdp(frags)]
    fn lb(ctx: XdpContext) -> u32 {
        at_first_sight(&ctx, Methods::ALL)
    }

    /// Runs for every frame that comes in, where NAT alone is in use.
    #[xdp(frags)]
    fn lb_nat(ctx: XdpContext) -> u32 {
        at_first_sight(&ctx, const { Methods::NONE.with(Method::Nat) })
    }

    /// Runs for every frame that comes in, where direct routing alone is in use, or nothing yet.
    #[xdp(frags)]
    fn lb_direct(ctx: XdpContext) -> u32 {
        at_first_sight(&ctx, const { Methods::NONE.with(Method::Direct) })
    }

    /// The way of the many: packets that do not concern the balancer, and those of connections that it finds at first sight and
    /// forwards by one of `methods`. All others go on in one of the programs below.
    #[inline(always)]
    fn at_first_sight(ctx: &XdpContext, methods: Methods) -> u32 {
        let mut plain = match Plain::of(Frame::new(ctx)) {
            Sight::Plain(plain) => plain,
            Sight::NotIpv4(frame) => return finish(&frame, Err(Reason::NotIpv4), frame.length()),
            Sight::Odd => return go_on(ctx, tail::ANY),
        };
        let concern = addresses::concern(plain.source(), plain.destination());
        if concern.is_none() {
            return finish(&plain, Err(Reason::NotOurs), plain.length());
        }
        // Each protocol by itself: what follows then asks no more which it is.
        let sent = match plain.protocol() {
            Some(IPPROTO_TCP) => established::process(&mut plain, Plain::tcp, concern, methods),
            Some(IPPROTO_UDP) => established::process(&mut plain, Plain::udp, concern, methods),
            _ => Err(Elsewhere::Any),
        };
        match sent {
            Ok(sent) => finish(&plain, Ok(sent), plain.length()),
            Err(Elsewhere::Any) => go_on(ctx, tail::ANY),
            Err(Elsewhere::NoConnection) => go_on(ctx, tail::NO_CONNECTION),
        }
    }

    /// Jumps to another program for good. It has its own stack, the verifier walks each by itself, and each parses the frame
    /// anew: what is handed over would have to be stored.
    #[inline(always)]
    fn go_on(ctx: &XdpContext, program: u32) -> u32 {
        // SAFETY: nothing here waits to be dropped.
        unsafe { PROGRAMS.tail_call(ctx, program) };
        // It is not there: the daemon has not finished.
        let frame = Frame::new(ctx);
        finish(&frame, Err(Reason::BadTable), frame.linear_length())
    }

    /// The way of frames of every shape, ARP among them, and of connections that are not found at first sight.
    #[xdp(frags)]
    fn lb_any(ctx: XdpContext) -> u32 {
        let mut frame = Frame::new(&ctx);
        virtual_mac::settle(&frame);
        let head = match parse::head(&frame) {
            Ok(head) => head,
            Err(Reason::NotIpv4) => return finish(&frame, lease::judge(&frame), frame.length()),
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
        let Some(outcome) = pipeline::process(&mut frame, &packet, concern, flows::now()) else {
            return go_on(&ctx, tail::NO_CONNECTION);
        };
        log::outcome(&packet.key, outcome);
        finish(&frame, outcome, packet.frame_length)
    }

    /// The way of whatever begins a connection, or belongs to none that is known.
    #[xdp(frags)]
    fn lb_no_connection(ctx: XdpContext) -> u32 {
        let mut frame = Frame::new(&ctx);
        virtual_mac::settle(&frame);
        let described = match Plain::of(Frame::new(&ctx)) {
            Sight::Plain(plain) => plain.packet().map_or_else(|| parse::parse(&frame), Ok),
            Sight::NotIpv4(_) | Sight::Odd => parse::parse(&frame),
        };
        match described {
            Ok(packet) => {
                // Once more, and not for ever: what is to be done in another way is noted.
                let Some(outcome) = unknown::process(&mut frame, &packet, flows::now()) else {
                    return go_on(&ctx, tail::NO_CONNECTION);
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
