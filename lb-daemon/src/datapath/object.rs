//! The eBPF object, inside the binary.

use std::borrow::Cow;

/// The ELF file that `build.rs` made.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lb.o"));

/// The section of the program, which tells the loader that the program takes packets in several buffers. The name of its
/// relocations, `.relxdp.frags`, shares these bytes.
const WITH_FRAGS: &[u8] = b"xdp.frags\0";

/// As long, and cut off by its zero byte: the section of a program that takes packets in one buffer.
const WITHOUT_FRAGS: &[u8] = b"xdp\0frags\0";

/// The first kernel that knows `BPF_F_XDP_HAS_FRAGS`.
const FRAGS_KERNEL: (u32, u32) = (5, 18);

/// The object for a kernel version. An older kernel refuses a program that is marked for several buffers, and never
/// gives it such packets.
pub(super) fn for_kernel(version: (u32, u32)) -> Cow<'static, [u8]> {
    if version >= FRAGS_KERNEL { Cow::Borrowed(OBJECT) } else { Cow::Owned(without_frags(OBJECT)) }
}

/// The same object with its section renamed, wherever the name stands: the section names and those of the BTF.
fn without_frags(object: &[u8]) -> Vec<u8> {
    let mut renamed = object.to_vec();
    for start in 0..object.len().saturating_sub(WITH_FRAGS.len()) {
        if let Some(name) = renamed.get_mut(start..start + WITH_FRAGS.len())
            && name == WITH_FRAGS
        {
            name.copy_from_slice(WITHOUT_FRAGS);
        }
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_the_section_changes() {
        let old = for_kernel((5, 15));
        assert_eq!(for_kernel((5, 18)), OBJECT);
        assert_eq!(old.len(), OBJECT.len());
        let changed = old.iter().zip(OBJECT).filter(|(old, new)| old != new);
        let changed: Vec<(u8, u8)> = changed.map(|(old, new)| (*old, *new)).collect();
        assert!(!changed.is_empty(), "the object was built without frags");
        assert!(changed.iter().all(|change| *change == (0, b'.')), "{changed:?}");
        assert!(!old.windows(WITH_FRAGS.len()).any(|name| name == WITH_FRAGS));
    }

    #[test]
    fn it_loads_as_a_program_for_one_buffer() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: needs root");
            return;
        }
        let mut loader = aya::EbpfLoader::new();
        for name in lb_common::map::ALL {
            loader.map_max_entries(name, 64);
        }
        let mut ebpf = loader.load(&for_kernel((5, 15))).unwrap();
        super::super::programs::load(&mut ebpf).unwrap();
    }
}
