//! The measuring harness: what `BPF_PROG_TEST_RUN` repeats. It writes a frame, has the program under test run on it, and
//! notes the time now and then. Beside it, programs that do nothing but one operation of the kernel, and those at the two ends
//! of a cable.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(core_intrinsics))]
#![cfg_attr(
    target_arch = "bpf",
    expect(internal_features, reason = "atomic_xadd is the only way to BPF's atomic addition")
)]

#[cfg(target_arch = "bpf")]
mod cable;
#[cfg(target_arch = "bpf")]
mod floors;
#[cfg(target_arch = "bpf")]
mod harness;
#[cfg(target_arch = "bpf")]
mod run;

/// The host build exists so that the workspace builds as a whole.
#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
