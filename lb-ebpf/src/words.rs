//! Headers in words: a header has no alignment, so that the compiler would read and write it octet by octet, and put the octets
//! together again. x86-64 reads words anywhere, and the kernel lets programs do so there.

use core::{arch::asm, mem::transmute_copy};

use crate::bytes::Header;

/// The header at `from`.
///
/// # Safety
/// `from` must be checked to lie within the packet, as the verifier demands.
#[inline(always)]
pub(crate) unsafe fn load<T: Header>(from: *const T) -> T {
    let from = from.cast();
    // SAFETY: as the caller promises; the words are as large as the header, in which every pattern is valid.
    unsafe {
        match size_of::<T>() {
            1 => transmute_copy(&(load_8(from) as u8)),
            2 => transmute_copy(&(load_16(from) as u16)),
            4 => transmute_copy(&load_32::<0>(from)),
            8 => transmute_copy(&[load_32::<0>(from), load_32::<4>(from)]),
            12 => transmute_copy(&[load_32::<0>(from), load_32::<4>(from), load_32::<8>(from)]),
            20 => transmute_copy(&[
                load_32::<0>(from),
                load_32::<4>(from),
                load_32::<8>(from),
                load_32::<12>(from),
                load_32::<16>(from),
            ]),
            _ => from.cast::<T>().read_unaligned(),
        }
    }
}

/// Writes a header to `to`.
///
/// # Safety
/// As [`load`].
#[inline(always)]
pub(crate) unsafe fn store<T: Header>(to: *mut T, value: T) {
    let at = to.cast();
    // SAFETY: as in `load`.
    unsafe {
        match size_of::<T>() {
            2 => store_16(at, transmute_copy::<T, u16>(&value)),
            4 => store_32::<0>(at, transmute_copy(&value)),
            12 => {
                let [a, b, c]: [u32; 3] = transmute_copy(&value);
                store_32::<0>(at, a);
                store_32::<4>(at, b);
                store_32::<8>(at, c);
            }
            20 => {
                let [a, b, c, d, e]: [u32; 5] = transmute_copy(&value);
                store_32::<0>(at, a);
                store_32::<4>(at, b);
                store_32::<8>(at, c);
                store_32::<12>(at, d);
                store_32::<16>(at, e);
            }
            _ => to.write_unaligned(value),
        }
    }
}

#[inline(always)]
unsafe fn load_8(from: *const u8) -> u64 {
    let word: u64;
    // SAFETY: as the caller promises.
    unsafe {
        asm!("{0} = *(u8 *)({1} + 0)", out(reg) word, in(reg) from, options(pure, readonly, nostack, preserves_flags));
    }
    word
}

#[inline(always)]
unsafe fn load_16(from: *const u8) -> u64 {
    let word: u64;
    // SAFETY: as the caller promises.
    unsafe {
        asm!("{0} = *(u16 *)({1} + 0)", out(reg) word, in(reg) from, options(pure, readonly, nostack, preserves_flags));
    }
    word
}

#[inline(always)]
unsafe fn load_32<const OFFSET: i32>(from: *const u8) -> u32 {
    let word: u64;
    // SAFETY: as the caller promises.
    unsafe {
        asm!(
            "{0} = *(u32 *)({1} + {2})",
            out(reg) word,
            in(reg) from,
            const OFFSET,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    word as u32
}

#[inline(always)]
unsafe fn store_16(to: *mut u8, word: u16) {
    // SAFETY: as the caller promises.
    unsafe {
        asm!("*(u16 *)({0} + 0) = {1}", in(reg) to, in(reg) word as u64, options(nostack, preserves_flags))
    }
}

#[inline(always)]
unsafe fn store_32<const OFFSET: i32>(to: *mut u8, word: u32) {
    // SAFETY: as the caller promises.
    unsafe {
        asm!(
            "*(u32 *)({0} + {2}) = {1}",
            in(reg) to,
            in(reg) word as u64,
            const OFFSET,
            options(nostack, preserves_flags)
        );
    }
}
