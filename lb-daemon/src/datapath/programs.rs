//! The programs of a loaded object.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::{
    Ebpf, EbpfError,
    maps::ProgramArray,
    programs::{ProgramError, Xdp},
};
use lb_common::{Methods, map, program, tail};

use super::verifier;

/// Has the verifier load every program, and makes the jumps from those that are attached to the others.
///
/// # Errors
/// The kernel's refusal.
pub fn load(ebpf: &mut Ebpf) -> Result<(), EbpfError> {
    let others = [program::NO_CONNECTION, program::ANY, program::CLOCK];
    for name in others.into_iter().chain(program::ENTRIES) {
        verifier::load(named(ebpf, name)?)?;
    }
    for (slot, name) in [(tail::NO_CONNECTION, program::NO_CONNECTION), (tail::ANY, program::ANY)] {
        let target = named(ebpf, name)?.fd()?.try_clone().map_err(ProgramError::IOError)?;
        // Programs that run already jump to the new one from now on: it reads the same maps.
        let map = ebpf.map_mut(map::PROGRAMS).ok_or(ProgramError::NotLoaded)?;
        ProgramArray::try_from(map)?.set(slot, &target, 0)?;
    }
    Ok(())
}

/// The program that is attached to interfaces where these forwarding methods are in use.
///
/// # Errors
/// When the object holds no such program: it was built wrong.
pub fn entry(ebpf: &mut Ebpf, methods: Methods) -> Result<&mut Xdp, ProgramError> {
    named(ebpf, program::entry(methods))
}

/// The program that tells the time.
///
/// # Errors
/// When it is not loaded.
pub fn clock(ebpf: &mut Ebpf) -> Result<OwnedFd, ProgramError> {
    Ok(named(ebpf, program::CLOCK)?.fd()?.as_fd().try_clone_to_owned()?)
}

fn named<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
}
