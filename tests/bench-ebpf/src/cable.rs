//! The ends of a cable that live frames travel.

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};

use crate::harness::OUTCOME;

/// `ETH_P_IP` as it stands in the frame.
const IPV4: u16 = 0x0800_u16.to_be();

/// Drops the frame where it starts.
#[xdp(frags)]
fn drop(_: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// Sends the frame back with its MAC addresses swapped: the least that any balancer does.
#[xdp(frags)]
fn swap(ctx: XdpContext) -> u32 {
    let (data, end) = (ctx.data(), ctx.data_end());
    if data + 14 > end {
        return xdp_action::XDP_ABORTED;
    }
    // SAFETY: within the frame.
    unsafe {
        let words = data as *mut u32;
        let [a, b, c] = [words.read_volatile(), words.add(1).read_volatile(), words.add(2).read_volatile()];
        words.write_volatile(b >> 16 | c << 16);
        words.add(1).write_volatile(c >> 16 | a << 16);
        words.add(2).write_volatile(a >> 16 | b << 16);
    }
    xdp_action::XDP_TX
}

/// The far end: counts the IPv4 frames, and drops all.
#[xdp(frags)]
fn far_end(ctx: XdpContext) -> u32 {
    let (data, end) = (ctx.data(), ctx.data_end());
    let Some(outcome) = OUTCOME.get_ptr_mut(0) else { return xdp_action::XDP_DROP };
    if data + 14 <= end {
        // SAFETY: within the frame, and a value of the map is valid for the whole run. Frames arrive on one processor alone.
        unsafe {
            if ((data + 12) as *const u16).read_volatile() == IPV4 {
                (*outcome).arrived += 1;
            }
        }
    }
    xdp_action::XDP_DROP
}
