//! The calls of `bpf(2)` that aya does not offer: where a pinned link is attached, detaching it, running a program by its
//! descriptor alone, and how a map describes its values.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

// `enum bpf_cmd` of include/uapi/linux/bpf.h.
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_PROG_TEST_RUN: libc::c_int = 10;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_BTF_GET_FD_BY_ID: libc::c_int = 19;
const BPF_LINK_DETACH: libc::c_int = 34;

/// Bytes of the shortest frame that an XDP program may be run on: an Ethernet header (`ETH_HLEN`).
const EMPTY_FRAME: usize = 14;

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

/// `struct bpf_map_info`, as far as every kernel since 5.15 has it.
#[repr(C)]
#[derive(Default)]
struct MapInfo {
    _kind_to_ifindex: [u32; 11],
    _vmlinux_value: u32,
    _namespace: [u64; 2],
    btf: u32,
    _key: u32,
    value: u32,
    _pad: u32,
}

/// `struct bpf_btf_info`, up to its name.
#[repr(C)]
#[derive(Default)]
struct BtfInfo {
    btf: u64,
    size: u32,
    id: u32,
}

/// `struct { union { … __u32 btf_id; }; … }` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct GetById {
    id: u32,
    next: u32,
    flags: u32,
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

/// `struct { … } test` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
}

/// The interface index of the XDP link pinned at `path`; 0 when its interface is gone.
///
/// # Errors
/// What the kernel says, also when the pin is no link.
pub(super) fn link_ifindex(path: &Path) -> io::Result<u32> {
    let mut info = LinkInfo::default();
    // SAFETY: plain numbers, none of which is an address.
    unsafe { ask(open_pin(path)?.as_fd(), &mut info)? };
    Ok(info.ifindex)
}

/// The BTF of the map pinned at `path`, and the number of its values' type there; `None` where it has none.
///
/// # Errors
/// What the kernel says, also when the pin is no map; the BTF is found by its number, which takes `CAP_SYS_ADMIN`.
pub(super) fn map_btf(path: &Path) -> io::Result<Option<(Vec<u8>, u32)>> {
    let mut map = MapInfo::default();
    // SAFETY: plain numbers, none of which is an address.
    unsafe { ask(open_pin(path)?.as_fd(), &mut map)? };
    if map.btf == 0 || map.value == 0 {
        return Ok(None);
    }
    let mut get = GetById { id: map.btf, ..GetById::default() };
    // SAFETY: the attributes hold no address, and the kernel makes a descriptor for us.
    let fd = unsafe { OwnedFd::from_raw_fd(bpf(BPF_BTF_GET_FD_BY_ID, &mut get)?) };
    let mut size = BtfInfo::default();
    // SAFETY: no byte is written to the address, of which there are none.
    unsafe { ask(fd.as_fd(), &mut size)? };
    let mut btf = vec![0; size.size as usize];
    let mut info = BtfInfo { btf: btf.as_mut_ptr() as u64, size: size.size, ..BtfInfo::default() };
    // SAFETY: as many bytes as said are writable at the address and live through the call.
    unsafe { ask(fd.as_fd(), &mut info)? };
    Ok(Some((btf, map.value)))
}

/// Has the kernel fill in what it knows about an object, as long as `info` is.
///
/// # Safety
/// `info` must be the structure that the kernel has for this kind of object, or its beginning, and every address in it valid for
/// what the kernel does with it.
unsafe fn ask<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let mut ask = GetInfo {
        bpf_fd: object.as_raw_fd() as u32,
        info_len: size_of::<T>() as u32,
        info: &raw mut *info as u64,
    };
    // SAFETY: `info` is writable for `info_len` bytes and lives through the call; the rest is the caller's promise.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut ask).map(drop) }
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

/// Runs a program on an empty frame, once; what it returns.
///
/// # Errors
/// What the kernel says.
pub(super) fn run(program: BorrowedFd<'_>) -> io::Result<u32> {
    let frame = [0_u8; EMPTY_FRAME];
    let mut test = TestRun {
        prog_fd: program.as_raw_fd() as u32,
        data_size_in: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        ..TestRun::default()
    };
    // SAFETY: `frame` is readable for the length given and lives through the call; nothing is written out.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut test)? };
    Ok(test.retval)
}

/// `bpf(2)`.
///
/// # Safety
/// `attr` must be what `command` expects, and every address in it valid for what the kernel does with it.
pub(super) unsafe fn bpf<T>(command: libc::c_int, attr: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: as the caller promises; the kernel reads and writes no more than the size given.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as libc::c_int) }
}

const _: () = assert!(size_of::<LinkInfo>() == 64);
const _: () = assert!(size_of::<MapInfo>() == 80 && std::mem::offset_of!(MapInfo, btf) == 64);
const _: () = assert!(size_of::<TestRun>() == 40);
