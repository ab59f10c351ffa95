//! The calls of `bpf(2)` that aya does not offer: where a pinned link is attached, detaching it, and reading a map in
//! batches.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya::Pod;

// `enum bpf_cmd` of include/uapi/linux/bpf.h.
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_MAP_LOOKUP_BATCH: libc::c_int = 24;
const BPF_LINK_DETACH: libc::c_int = 34;

/// Entries asked for at once: with the 72 bytes of a flow some 300 KiB.
const BATCH: u32 = 4096;

/// `struct { __u64 pathname; … }` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct ObjGet {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// `struct { … } info` of `union bpf_attr`.
#[repr(C)]
struct GetInfo {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// `struct { … } link_detach` of `union bpf_attr`.
#[repr(C)]
struct LinkDetach {
    link_fd: u32,
}

/// `struct bpf_link_info` of an XDP link, with room for the longest variant that the kernel may fill in.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    /// The union behind it is aligned to 8 bytes.
    _gap: u32,
    ifindex: u32,
    _rest: [u32; 11],
}

/// `struct { … } batch` of `union bpf_attr`.
#[repr(C)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// The interface index of the XDP link pinned at `path`; 0 when its interface is gone.
///
/// # Errors
/// What the kernel says, also when the pin is no link.
pub(super) fn link_ifindex(path: &Path) -> io::Result<u32> {
    let fd = open_pin(path)?;
    let mut info = LinkInfo::default();
    let mut ask = GetInfo {
        bpf_fd: fd.as_fd().as_raw_fd() as u32,
        info_len: size_of::<LinkInfo>() as u32,
        info: &raw mut info as u64,
    };
    // SAFETY: `info` is writable for `info_len` bytes and lives through the call.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut ask)? };
    Ok(info.ifindex)
}

/// Detaches the XDP link pinned at `path`. When this returns, its interface is free: with the last pin it would be so a
/// little later (`bpf_link_put` in kernel/bpf/syscall.c).
///
/// # Errors
/// What the kernel says, also when the pin is no link.
pub(super) fn detach_link(path: &Path) -> io::Result<()> {
    let fd = open_pin(path)?;
    let mut detach = LinkDetach { link_fd: fd.as_fd().as_raw_fd() as u32 };
    // SAFETY: the attributes hold no address.
    unsafe { bpf(BPF_LINK_DETACH, &mut detach).map(drop) }
}

/// What is pinned at `path`.
fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut get = ObjGet { pathname: path.as_ptr() as u64, ..ObjGet::default() };
    // SAFETY: `path` is a C string that lives through the call.
    let fd = unsafe { bpf(BPF_OBJ_GET, &mut get)? };
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Every entry of a hash map. While others write, an entry may be missing or come twice, but none is torn apart.
///
/// # Errors
/// What the kernel says; `InvalidInput` when the map's keys and values have not the sizes of `K` and `V`.
pub(super) fn entries<K: Pod + Default, V: Pod + Default>(
    map: BorrowedFd<'_>,
    key_size: u32,
    value_size: u32,
) -> io::Result<Vec<(K, V)>> {
    if (key_size as usize, value_size as usize) != (size_of::<K>(), size_of::<V>()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut found = Vec::new();
    let mut room = BATCH;
    let mut keys = vec![K::default(); room as usize];
    let mut values = vec![V::default(); room as usize];
    // Where the kernel goes on: the number of a bucket, in as many bytes as a key may have.
    let (mut last, mut next) = (K::default(), K::default());
    let mut begun = false;
    loop {
        let mut ask = Batch {
            in_batch: if begun { &raw const last as u64 } else { 0 },
            out_batch: &raw mut next as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: room,
            map_fd: map.as_raw_fd() as u32,
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: keys and values are writable for `count` elements of the map's own sizes, compared above; the two
        // batch positions are at least four bytes, which is what the kernel reads and writes for hash maps.
        let result = unsafe { bpf(BPF_MAP_LOOKUP_BATCH, &mut ask) };
        let ended = match result {
            Ok(_) => false,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            // One bucket holds more than there is room for: ask again from the same place.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                room = room.saturating_mul(2);
                keys.resize(room as usize, K::default());
                values.resize(room as usize, V::default());
                continue;
            }
            Err(error) => return Err(error),
        };
        found.extend(keys.iter().copied().zip(values.iter().copied()).take(ask.count as usize));
        if ended {
            return Ok(found);
        }
        (last, begun) = (next, true);
    }
}

/// `bpf(2)`.
///
/// # Safety
/// `attr` must be what `command` expects, and every address in it valid for what the kernel does with it.
unsafe fn bpf<T>(command: libc::c_int, attr: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: as the caller promises; the kernel reads and writes no more than the size given.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as libc::c_int) }
}

const _: () = assert!(size_of::<LinkInfo>() == 64);
const _: () = assert!(size_of::<Batch>() == 56);
