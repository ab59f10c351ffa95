//! A loaded program as the verifier left it: what it inlined is gone, and what is still a call costs one.

mod btf;
mod calls;
mod symbols;

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};

use anyhow::{Context as _, Result};

pub use calls::{Calls, Function};
pub use symbols::Symbols;

// `enum bpf_cmd` of include/uapi/linux/bpf.h.
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_BTF_GET_FD_BY_ID: libc::c_int = 19;

/// The beginning of `struct bpf_prog_info`; the kernel fills in no more than it is given room for.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    _kind_id_tag: [u32; 4],
    _jited_prog_len: u32,
    xlated_prog_len: u32,
    _jited_prog_insns: u64,
    xlated_prog_insns: u64,
    _load_time_to_jited_func_lens: [u64; 11],
    btf_id: u32,
    func_info_rec_size: u32,
    func_info: u64,
    nr_func_info: u32,
    _nr_line_info: u32,
}

/// `struct bpf_btf_info` as far as it concerns the bytes of the BTF.
#[repr(C)]
#[derive(Default)]
struct BtfInfo {
    btf: u64,
    btf_size: u32,
    id: u32,
}

/// `struct { … } info` of `union bpf_attr`.
#[repr(C)]
struct GetInfo {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// `struct bpf_func_info`: where a function begins, and its type in the program's BTF.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FuncInfo {
    insn_off: u32,
    type_id: u32,
}

/// The functions of a loaded program with the calls that are left in them; the entry function is the first.
///
/// # Errors
/// What the kernel says; a program without BTF.
pub fn functions(program: BorrowedFd<'_>, symbols: &Symbols) -> Result<Vec<Function>> {
    let fd = program.as_raw_fd();
    let mut sizes = ProgramInfo::default();
    get_info(fd, &mut sizes).context("the kernel tells nothing about the program")?;
    let mut code = vec![0_u64; sizes.xlated_prog_len as usize / size_of::<u64>()];
    let mut starts = vec![FuncInfo::default(); sizes.nr_func_info as usize];
    let mut info = ProgramInfo {
        xlated_prog_len: sizes.xlated_prog_len,
        xlated_prog_insns: code.as_mut_ptr() as u64,
        func_info_rec_size: size_of::<FuncInfo>() as u32,
        func_info: starts.as_mut_ptr() as u64,
        nr_func_info: sizes.nr_func_info,
        ..ProgramInfo::default()
    };
    get_info(fd, &mut info).context("the kernel does not show the translated program")?;
    // The kernel clears the address where it withholds the instructions.
    if info.xlated_prog_insns == 0 {
        anyhow::bail!("the kernel withholds the translated program");
    }
    let names = btf::function_names(&read_btf(info.btf_id)?)?;
    calls::split(&code, &starts, &names, symbols)
}

/// The bytes of the BTF with this number.
fn read_btf(id: u32) -> Result<Vec<u8>> {
    let mut ask = [id, 0, 0];
    // SAFETY: the attributes hold no address.
    let fd = unsafe { bpf(BPF_BTF_GET_FD_BY_ID, &mut ask) }.context("the program has no BTF")?;
    // SAFETY: the kernel has just made this descriptor for us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut info = BtfInfo::default();
    get_info(fd.as_raw_fd(), &mut info).context("the kernel tells nothing about the BTF")?;
    let mut bytes = vec![0; info.btf_size as usize];
    let mut info = BtfInfo { btf: bytes.as_mut_ptr() as u64, btf_size: info.btf_size, id: 0 };
    get_info(fd.as_raw_fd(), &mut info).context("the kernel does not show the BTF")?;
    Ok(bytes)
}

/// `BPF_OBJ_GET_INFO_BY_FD`. Every address in `info` must be null or writable for the length that stands beside it.
fn get_info<T>(fd: RawFd, info: &mut T) -> io::Result<()> {
    let mut ask = GetInfo { bpf_fd: fd as u32, info_len: size_of::<T>() as u32, info: &raw mut *info as u64 };
    // SAFETY: `info` is writable for `info_len` bytes and lives through the call; the callers above, which alone reach
    // this, give addresses of vectors as long as they say.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut ask).map(drop) }
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

const _: () = assert!(std::mem::offset_of!(ProgramInfo, btf_id) == 128);
const _: () = assert!(size_of::<ProgramInfo>() == 152);
