//! Headers in words: a header has no alignment, so that the compiler would read and write it octet by octet, and put the octets
//! together again. x86-64 reads words anywhere, and the kernel lets programs do so there.
//!
//! A place is a pointer and two constants that are added to it: one instruction takes them all.

use core::{arch::asm, hint::assert_unchecked, mem::transmute_copy};

use crate::bytes::Header;

/// The header that starts `BASE + AT` bytes after `from`.
///
/// # Safety
/// It must be checked to lie within the packet, as the verifier demands.
#[inline(always)]
pub(crate) unsafe fn load<T: Header, const BASE: i32, const AT: i32>(from: *const u8) -> T {
    // SAFETY: as the caller promises; the words are as large as the header, in which every pattern is valid.
    unsafe {
        match size_of::<T>() {
            1 => transmute_copy(&load_8::<BASE, AT, 0>(from)),
            2 => transmute_copy(&load_16::<BASE, AT, 0>(from)),
            4 => transmute_copy(&load_32::<BASE, AT, 0>(from)),
            8 => transmute_copy(&[load_32::<BASE, AT, 0>(from), load_32::<BASE, AT, 4>(from)]),
            12 => transmute_copy(&[
                load_32::<BASE, AT, 0>(from),
                load_32::<BASE, AT, 4>(from),
                load_32::<BASE, AT, 8>(from),
            ]),
            20 => transmute_copy(&[
                load_32::<BASE, AT, 0>(from),
                load_32::<BASE, AT, 4>(from),
                load_32::<BASE, AT, 8>(from),
                load_32::<BASE, AT, 12>(from),
                load_32::<BASE, AT, 16>(from),
            ]),
            _ => from.byte_offset((BASE + AT) as isize).cast::<T>().read_unaligned(),
        }
    }
}

/// Writes a header to `BASE + AT` bytes after `to`.
///
/// # Safety
/// As [`load`].
#[inline(always)]
pub(crate) unsafe fn store<T: Header, const BASE: i32, const AT: i32>(to: *mut u8, value: T) {
    // SAFETY: as in `load`.
    unsafe {
        match size_of::<T>() {
            2 => store_16::<BASE, AT, 0>(to, transmute_copy::<T, u16>(&value)),
            4 => store_32::<BASE, AT, 0>(to, transmute_copy(&value)),
            12 => {
                let [a, b, c]: [u32; 3] = transmute_copy(&value);
                store_32::<BASE, AT, 0>(to, a);
                store_32::<BASE, AT, 4>(to, b);
                store_32::<BASE, AT, 8>(to, c);
            }
            20 => {
                let [a, b, c, d, e]: [u32; 5] = transmute_copy(&value);
                store_32::<BASE, AT, 0>(to, a);
                store_32::<BASE, AT, 4>(to, b);
                store_32::<BASE, AT, 8>(to, c);
                store_32::<BASE, AT, 12>(to, d);
                store_32::<BASE, AT, 16>(to, e);
            }
            _ => to.byte_offset((BASE + AT) as isize).cast::<T>().write_unaligned(value),
        }
    }
}

macro_rules! loads {
    ($($name:ident: $word:ty, $instruction:literal, $most:expr;)+) => {$(
        #[inline(always)]
        unsafe fn $name<const BASE: i32, const AT: i32, const MORE: i32>(from: *const u8) -> $word {
            let word: u64;
            // SAFETY: as the caller promises. A load fills the register with zeros.
            unsafe {
                asm!(
                    $instruction,
                    out(reg) word,
                    in(reg) from,
                    const BASE + AT + MORE,
                    options(pure, readonly, nostack, preserves_flags)
                );
                assert_unchecked(word <= $most as u64);
            }
            word as $word
        }
    )+};
}

loads! {
    load_8: u8, "{0} = *(u8 *)({1} + {2})", u8::MAX;
    load_16: u16, "{0} = *(u16 *)({1} + {2})", u16::MAX;
    load_32: u32, "{0} = *(u32 *)({1} + {2})", u32::MAX;
}

macro_rules! stores {
    ($($name:ident: $word:ty, $instruction:literal;)+) => {$(
        #[inline(always)]
        unsafe fn $name<const BASE: i32, const AT: i32, const MORE: i32>(to: *mut u8, word: $word) {
            // SAFETY: as the caller promises.
            unsafe {
                asm!(
                    $instruction,
                    in(reg) to,
                    in(reg) word as u64,
                    const BASE + AT + MORE,
                    options(nostack, preserves_flags)
                );
            }
        }
    )+};
}

stores! {
    store_16: u16, "*(u16 *)({0} + {2}) = {1}";
    store_32: u32, "*(u32 *)({0} + {2}) = {1}";
}
