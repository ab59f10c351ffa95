//! An XDP program that passes everything, on the far end of a router's interface; or everything but some heartbeats.
//!
//! What a router sends by `XDP_TX` or `XDP_REDIRECT` into a veth vanishes unless the other end polls by NAPI, and the
//! other end does so when it has a program (`veth_xdp_xmit` in drivers/net/veth.c). A few instructions need no compiler:
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
const BPF_LINK_UPDATE: libc::c_int = 29;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
/// include/uapi/linux/if_link.h
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// `r0 = XDP_PASS; exit`, as `struct bpf_insn`: opcode, registers, offset, immediate.
const PASS: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 2, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];

/// Passes all frames but heartbeats, UDP over IPv4 to port 539, of which three in ten are dropped.
const LOSE: [[u8; 8]; 17] = [
    // r2 = the end of the frame; r1 = its beginning.
    [0x61, 0x12, 4, 0, 0, 0, 0, 0],
    [0x61, 0x11, 0, 0, 0, 0, 0, 0],
    // Shorter than the headers of Ethernet, IPv4 and UDP: pass.
    [0xbf, 0x13, 0, 0, 0, 0, 0, 0],
    [0x07, 0x03, 0, 0, 42, 0, 0, 0],
    [0x2d, 0x23, 10, 0, 0, 0, 0, 0],
    // The type is not IPv4, the protocol not UDP, the port not 539: pass. Numbers of two octets stand in network order.
    [0x69, 0x13, 12, 0, 0, 0, 0, 0],
    [0x55, 0x03, 8, 0, 0x08, 0x00, 0, 0],
    [0x71, 0x13, 23, 0, 0, 0, 0, 0],
    [0x55, 0x03, 6, 0, 17, 0, 0, 0],
    [0x69, 0x13, 36, 0, 0, 0, 0, 0],
    [0x55, 0x03, 4, 0, 0x02, 0x1b, 0, 0],
    // r0 = bpf_get_prandom_u32(), which is below 0x4ccc_cccc in three cases of ten. The jump compares 32 bits.
    [0x85, 0, 0, 0, 7, 0, 0, 0],
    [0x36, 0x00, 2, 0, 0xcc, 0xcc, 0xcc, 0x4c],
    // r0 = XDP_DROP
    [0xb7, 0, 0, 0, 1, 0, 0, 0],
    [0x95, 0, 0, 0, 0, 0, 0, 0],
    PASS[0],
    PASS[1],
];

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

/// The head of `union bpf_attr` for `BPF_LINK_UPDATE`.
#[repr(C)]
struct LinkUpdate {
    link_fd: RawFd,
    new_prog_fd: RawFd,
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
    link: OwnedFd,
}

impl PassProgram {
    /// Loads the program.
    ///
    /// # Errors
    /// When the kernel refuses: without root, or without BPF.
    pub fn load() -> Result<Self> {
        Self::of(&PASS)
    }

    /// Loads the program that loses heartbeats.
    ///
    /// # Errors
    /// As [`PassProgram::load`].
    pub fn load_lossy() -> Result<Self> {
        Self::of(&LOSE)
    }

    fn of(instructions: &'static [[u8; 8]]) -> Result<Self> {
        let attributes = ProgLoad {
            prog_type: BPF_PROG_TYPE_XDP,
            insn_cnt: instructions.len() as u32,
            insns: instructions.as_ptr() as u64,
            license: c"Dual MIT/GPL".as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log_buf: 0,
            kern_version: 0,
            prog_flags: BPF_F_XDP_HAS_FRAGS,
        };
        let program = bpf(BPF_PROG_LOAD, &attributes).context("BPF_PROG_LOAD of the lab's XDP program")?;
        Ok(Self { program: owned(program) })
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
        Ok(PassLink { link: owned(link) })
    }
}

impl PassLink {
    /// Puts `program` in the place of the present one, without a moment between.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn replace(&self, program: &PassProgram) -> Result<()> {
        let (link_fd, new_prog_fd) = (self.link.as_raw_fd(), program.program.as_raw_fd());
        let attributes = LinkUpdate { link_fd, new_prog_fd, flags: 0 };
        bpf(BPF_LINK_UPDATE, &attributes).map(drop).context("BPF_LINK_UPDATE of the lab's XDP program")
    }
}

/// A `bpf(2)` call; what it returns.
fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: `attributes` is a `repr(C)` head of `union bpf_attr` of the size given, and the kernel only reads it; the
    // pointers inside it are to statics.
    let returned = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    let returned = RawFd::try_from(returned).map_err(io::Error::other)?;
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// The file descriptor that a command has made.
fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: loading a program and creating a link both return a new file descriptor that nobody else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
