//! Checked access to the frame under XDP: the only pointer arithmetic on packets.

use core::arch::asm;

use aya_ebpf::{
    EbpfContext as _,
    bindings::xdp_md,
    helpers::generated::{bpf_redirect, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len},
    programs::XdpContext,
};

use crate::{
    bytes::{Access, Bytes, Header},
    packet::{Macs, Packet},
    words,
};

/// The frame that the program runs for.
pub(crate) struct Frame {
    ctx: *mut xdp_md,
}

impl Frame {
    /// The frame of this run.
    #[inline(always)]
    pub(crate) fn new(ctx: &XdpContext) -> Self {
        Self { ctx: ctx.as_ptr().cast() }
    }

    /// The same frame in a function of its own, which gets the context.
    #[inline(always)]
    pub(crate) fn of(ctx: *mut xdp_md) -> Self {
        Self { ctx }
    }

    /// Cuts the frame to `length` bytes. `None` where it is shorter than that already.
    #[inline(always)]
    pub(crate) fn cut(&mut self, length: usize) -> Option<()> {
        let excess = self.length().checked_sub(length)?;
        // SAFETY: the helper checks the length itself; no pointer into the frame outlives the mutable borrow.
        let result = unsafe { bpf_xdp_adjust_tail(self.ctx, -(excess as i32)) };
        (result == 0).then_some(())
    }

    /// Writes a header that starts `offset` bytes in; `None` where it would reach beyond the linear part.
    #[inline(always)]
    pub(crate) fn write<T: Header>(&mut self, offset: usize, header: T) -> Option<()> {
        // SAFETY: `at` checked the bounds.
        self.at::<T>(offset).map(|place| unsafe { words::store::<T, 0, 0>(place, header) })
    }

    /// Where its linear part starts and ends.
    #[inline(always)]
    pub(crate) fn linear(&self) -> (usize, usize) {
        // SAFETY: the kernel passes a valid context; the verifier turns both loads into pointers.
        unsafe { ((*self.ctx).data as usize, (*self.ctx).data_end as usize) }
    }

    #[inline(always)]
    fn at<T: Header>(&self, offset: usize) -> Option<*mut u8> {
        let (start, end) = self.linear();
        let first = opaque(start + offset);
        (first + size_of::<T>() <= end).then_some(first as *mut u8)
    }
}

impl Bytes for Frame {
    #[inline(always)]
    fn read<T: Header>(&self, offset: usize) -> Option<T> {
        // SAFETY: `at` checked the bounds.
        self.at::<T>(offset).map(|header| unsafe { words::load::<T, 0, 0>(header) })
    }

    #[inline(always)]
    fn linear_length(&self) -> usize {
        let (start, end) = self.linear();
        end - start
    }

    #[inline(always)]
    fn hidden(&self, offset: usize, unknown: usize) -> usize {
        hidden(offset, unknown)
    }

    #[inline(always)]
    fn length(&self) -> usize {
        // SAFETY: the kernel passes a valid context.
        unsafe { bpf_xdp_get_buff_len(self.ctx) as usize }
    }
}

impl Access for Frame {
    #[inline(always)]
    fn l3<T: Header, const AT: i32>(&self, packet: &Packet) -> Option<T> {
        self.read(packet.l3 + AT as usize)
    }

    #[inline(always)]
    fn l4<T: Header, const AT: i32>(&self, packet: &Packet) -> Option<T> {
        self.read(packet.l4 + AT as usize)
    }

    #[inline(always)]
    fn set_l3<T: Header, const AT: i32>(&mut self, packet: &Packet, value: T) -> Option<()> {
        self.write(packet.l3 + AT as usize, value)
    }

    #[inline(always)]
    fn set_l4<T: Header, const AT: i32>(&mut self, packet: &Packet, value: T) -> Option<()> {
        self.write(packet.l4 + AT as usize, value)
    }

    #[inline(always)]
    fn set_macs(&mut self, macs: Macs) -> Option<()> {
        self.write(0, macs.0)
    }

    #[inline(always)]
    fn ingress(&self) -> u32 {
        // SAFETY: the kernel passes a valid context, and `Frame` does not outlive the run.
        unsafe { (*self.ctx).ingress_ifindex }
    }

    #[inline(always)]
    fn redirect(&self, ifindex: u32) -> u32 {
        // SAFETY: the helper takes numbers alone.
        unsafe { bpf_redirect(ifindex, 0) as u32 }
    }

    #[inline(always)]
    fn as_ptr(&self) -> *mut xdp_md {
        self.ctx
    }
}

/// The same number, of which the compiler knows nothing. It would otherwise compute an address twice, once to check
/// it and once to use it, and the verifier does not see that both are the same; or leave out a mask that tells the verifier
/// what the compiler knows.
#[inline(always)]
pub(crate) fn opaque(mut number: usize) -> usize {
    // SAFETY: the register keeps its value. (Without any instruction, the line information would name one place twice,
    // which the kernel refuses.)
    unsafe { asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack, preserves_flags)) };
    number
}

/// The same number, of which the verifier no longer knows which it is, but only that it has no bits beside those of its own
/// and of `unknown`. It would otherwise walk everything that follows once for each value.
#[inline(always)]
pub(crate) fn hidden(mut number: usize, unknown: usize) -> usize {
    // SAFETY: exclusive or, twice with the same number, changes nothing.
    unsafe {
        asm!(
            "{0} ^= {1}",
            "{0} ^= {1}",
            inout(reg) number,
            in(reg) unknown,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    number
}
