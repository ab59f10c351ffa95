//! The harness itself.

use core::{
    hint::black_box,
    intrinsics::{AtomicOrdering, atomic_xadd},
};

use aya_ebpf::{
    EbpfContext as _,
    bindings::{BPF_F_MMAPABLE, xdp_action, xdp_md},
    btf_maps::{Array, ProgramArray},
    helpers::generated::bpf_ktime_get_ns,
    macros::{btf_map, xdp},
    programs::XdpContext,
};

use crate::run::{BASE, FRAME_WORDS, Outcome, RANDOM, Run, SLICE_SHIFT, TARGET, TIMES};

/// The run.
#[btf_map]
static RUN: Array<Run, 1> = Array::new();

/// What it leaves.
#[btf_map]
pub(crate) static OUTCOME: Array<Outcome, 1, { BPF_F_MMAPABLE as usize }> = Array::new();

/// The programs that are run.
#[btf_map]
static TARGETS: ProgramArray<2> = ProgramArray::new();

const SLICE_MASK: u64 = (1 << SLICE_SHIFT) - 1;
/// Offset of the IPv4 source address, the destination address, the source port and the destination port.
const SOURCE: usize = 26;
const DESTINATION: usize = 30;
const SOURCE_PORT: usize = 34;
const DESTINATION_PORT: usize = 36;
/// Clients of one address: their ports are 16384 and up.
const PORT_BITS: u32 = 14;

/// One iteration. Returns what the target returns: a live frame then goes where the target sends it.
#[xdp(frags)]
fn harness(ctx: XdpContext) -> u32 {
    let (Some(run), Some(outcome)) = (RUN.get_ptr(0), OUTCOME.get_ptr_mut(0)) else {
        return xdp_action::XDP_ABORTED;
    };
    // SAFETY: values of maps are valid for the whole run; this program runs on one processor alone.
    unsafe {
        let number = (*outcome).iterations;
        (*outcome).iterations = number + 1;
        let slice = number >> SLICE_SHIFT;
        if number & SLICE_MASK == 0 {
            (&raw mut (*outcome).times[slice as usize & (TIMES - 1)]).write_volatile(bpf_ktime_get_ns());
            if slice >= (*run).slices {
                return xdp_action::XDP_DROP;
            }
        }
        let (target, position) = if (*run).is_alternating == 0 {
            (TARGET, number)
        } else {
            let target = if slice & 1 == 0 { BASE } else { TARGET };
            (target, slice >> 1 << SLICE_SHIFT | number & SLICE_MASK)
        };
        let drawn = if (*run).order == RANDOM { splitmix64(position) } else { position };
        let flow = ((*run).first + drawn) & (*run).mask;
        if !write_frame(&ctx, run, flow) {
            return xdp_action::XDP_ABORTED;
        }
        // The stores must not overlap with the work of the target: a locked instruction waits for them.
        let _ = atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(&raw mut (*outcome).drain, 1);
        let action = call(target, ctx.as_ptr().cast());
        (*outcome).actions[(action & 7) as usize] += 1;
        action
    }
}

/// Jumps into a target from a function of its own, so that control comes back here.
#[inline(never)]
fn call(target: u32, ctx: *mut xdp_md) -> u32 {
    let ctx = XdpContext::new(ctx);
    // SAFETY: nothing waits to be dropped.
    unsafe { TARGETS.tail_call(&ctx, target) };
    // Only where there is no target. The compiler must not take it for what this function always returns.
    black_box(xdp_action::XDP_ABORTED)
}

/// Writes the frame of `flow`; whether there is room.
///
/// # Safety
/// `run` must be a value of the map.
#[inline(always)]
unsafe fn write_frame(ctx: &XdpContext, run: *const Run, flow: u64) -> bool {
    let (data, end) = (ctx.data(), ctx.data_end());
    if data + 8 * FRAME_WORDS > end {
        return false;
    }
    // SAFETY: within the frame, which was compared; `run` is valid.
    unsafe {
        let words = data as *mut u64;
        for i in 0..FRAME_WORDS {
            words.add(i).write_volatile((&raw const (*run).frame[i]).read_volatile());
        }
        let is_reply = (*run).is_reply != 0;
        let (client, client_port, virtual_address) = if is_reply {
            (DESTINATION, DESTINATION_PORT, SOURCE)
        } else {
            (SOURCE, SOURCE_PORT, DESTINATION)
        };
        let address = (0x0b00_0000 + (flow >> PORT_BITS) as u32).to_be();
        let port = (1 << PORT_BITS | (flow as u16 & ((1 << PORT_BITS) - 1))).to_be();
        ((data + client) as *mut u32).write_volatile(address);
        ((data + client_port) as *mut u16).write_volatile(port);
        let services = (*run).services;
        if services != 0 {
            let service = (data + virtual_address) as *mut u32;
            let first = u32::from_be(service.read_volatile());
            service.write_volatile((first + (flow as u32 & services)).to_be());
        }
    }
    true
}

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
#[inline(always)]
const fn splitmix64(number: u64) -> u64 {
    let state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
