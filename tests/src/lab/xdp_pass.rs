//! An XDP program that passes everything, on the far end of a router's interface.
//!
//! What a router sends by `XDP_TX` or `XDP_REDIRECT` into a veth vanishes unless the other end polls by NAPI, and the
//! other end does so when it has a program (`veth_xdp_xmit` in drivers/net/veth.c). Two instructions need no compiler:
//! they are loaded as they stand here, so that the lab works whatever state the product's own program is in.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use anyhow::{Context, Result};
use nix::net::if_::if_nametoindex;

// include/uapi/linux/bpf.h
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
/// include/uapi/linux/if_link.h
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// `r0 = XDP_PASS; exit`, as `struct bpf_insn`: opcode, registers, offset, immediate.
const PASS: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 2, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];

/// The head of `union bpf_attr` for `BPF_PROG_LOAD`; what is left out the kernel takes for zero.
#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// The head of `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkCreate {
    prog_fd: RawFd,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// The loaded program.
#[derive(Debug)]
pub struct PassProgram {
    program: OwnedFd,
}

/// The program on an interface; dropping it takes the program off.
#[derive(Debug)]
pub struct PassLink {
    _link: OwnedFd,
}

impl PassProgram {
    /// Loads the program.
    ///
    /// # Errors
    /// When the kernel refuses: without root, or without BPF.
    pub fn load() -> Result<Self> {
        let attributes = ProgLoad {
            prog_type: BPF_PROG_TYPE_XDP,
            insn_cnt: PASS.len() as u32,
            insns: PASS.as_ptr() as u64,
            license: c"Dual MIT/GPL".as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log_buf: 0,
            kern_version: 0,
            prog_flags: BPF_F_XDP_HAS_FRAGS,
        };
        let program =
            bpf(BPF_PROG_LOAD, &attributes).context("BPF_PROG_LOAD of an XDP program that passes")?;
        Ok(Self { program })
    }

    /// Attaches it natively to `interface` of the calling thread's network namespace.
    ///
    /// # Errors
    /// When there is no such interface, or it has another program.
    pub fn attach(&self, interface: &str) -> Result<PassLink> {
        let attributes = LinkCreate {
            prog_fd: self.program.as_raw_fd(),
            target_ifindex: if_nametoindex(interface).with_context(|| format!("no interface {interface}"))?,
            attach_type: BPF_XDP,
            flags: XDP_FLAGS_DRV_MODE,
        };
        let link =
            bpf(BPF_LINK_CREATE, &attributes).with_context(|| format!("BPF_LINK_CREATE on {interface}"))?;
        Ok(PassLink { _link: link })
    }
}

/// A `bpf(2)` call that returns a file descriptor.
fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attributes` is a `repr(C)` head of `union bpf_attr` of the size given, and the kernel only reads it; the
    // pointers inside it are to statics.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both commands return a new file descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
