//! A flow table of another size takes the place of the one that is in use, and the connections come along.
//!
//! The maps that a table is made of, and the one that the programs find each other by, are made beside those in use, for a program
//! of their own. Once the new table has [replaced](super::replacement) the old one, they get the names of the old ones. A daemon that
//! is killed in between leaves both, and the one that starts next keeps those that the program on the interfaces uses.

use std::collections::BTreeSet;

use aya::{maps::MapInfo, programs::loaded_programs};
use lb_common::{flow_table::bucket_count, map};

use super::{Error, link_info, pins::Pins, syscall};
use crate::config::Limits;

/// Whether a flow table is pinned, and is to have another size.
///
/// # Errors
/// When the pin is none of a map.
pub(super) fn is_due(pins: &Pins, limits: &Limits) -> Result<bool, Error> {
    let path = pins.map(map::FLOWS);
    if !path.exists() {
        return Ok(false);
    }
    let info =
        MapInfo::from_pin(&path).map_err(|error| Error::Setup(format!("{}: {error}", path.display())))?;
    Ok(info.max_entries() != bucket_count(limits.flows))
}

/// Ends a change of size that was interrupted: the maps of the program that runs are kept, and the others go.
///
/// # Errors
/// When the kernel does not tell, or a pin cannot be changed.
pub(super) fn settle(pins: &Pins) -> Result<(), Error> {
    let left = pins.left_over();
    if left.is_empty() {
        return Ok(());
    }
    let maps: BTreeSet<u32> =
        left.iter().filter_map(|path| MapInfo::from_pin(path).ok()).map(|info| info.id()).collect();
    if running_maps(pins)?.is_disjoint(&maps) { pins.drop_next() } else { pins.adopt_next() }
}

/// Ids of the maps that the programs behind our links use.
pub(super) fn running_maps(pins: &Pins) -> Result<BTreeSet<u32>, Error> {
    let links = pins.linked_interfaces()?;
    let indices = links.iter().filter_map(|name| syscall::link_ifindex(&pins.link(name)).ok());
    let programs: BTreeSet<u32> =
        indices.filter_map(|index| link_info::attached(index).ok()?.program).collect();
    let failure = |error: &dyn std::fmt::Display| Error::Setup(format!("the programs that run: {error}"));
    let mut maps = BTreeSet::new();
    for program in loaded_programs() {
        let program = program.map_err(|error| failure(&error))?;
        if programs.contains(&program.id()) {
            maps.extend(program.map_ids().map_err(|error| failure(&error))?.into_iter().flatten());
        }
    }
    Ok(maps)
}
