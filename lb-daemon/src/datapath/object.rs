//! The eBPF object, inside the binary.

/// The ELF file that `build.rs` made.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lb.o"));
