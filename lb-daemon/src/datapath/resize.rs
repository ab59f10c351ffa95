//! A flow table of another size takes the place of the one that is in use, and the connections come along.
//!
//! The maps that a table is made of, and the one that the programs find each other by, are made beside those in use, for a program
//! of their own. The connections are copied; the program on each interface is replaced, in one step; what changed meanwhile is
//! copied again; and the new maps get the names of the old ones. A daemon that is killed in between leaves both, and the one that
//! starts next keeps those that the program on the interfaces uses.

use std::collections::BTreeSet;

use aya::{
    maps::{Array, Map, MapData, MapInfo},
    programs::loaded_programs,
};
use lb_common::{
    ConnState,
    flow_table::{Stamp, bucket_capacity, bucket_count},
    map,
};
use tracing::info;

use super::{
    Clock, Error, FlowTable, carry::Carry, flow_table::KernelFlowTable, link_info, maps::failed, pins::Pins,
    syscall,
};
use crate::config::Limits;

/// Rounds in which changes are copied before the program is replaced. Each finds what the one before it took time for.
const ROUNDS: usize = 8;

/// Few enough changes to go on.
const FEW: usize = 4;

/// Tells a stamp of `OVERFLOWS` from an entry that was never written, as in lb-ebpf/src/overflow.rs.
const WRITTEN: u32 = 1 << Stamp::BITS;

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
fn running_maps(pins: &Pins) -> Result<BTreeSet<u32>, Error> {
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

/// A change of size under way.
pub(super) struct Resize<'a> {
    old: KernelFlowTable,
    new: &'a KernelFlowTable,
    clock: Clock,
    found: u64,
    standing: u64,
}

impl<'a> Resize<'a> {
    /// Copies the connections of the table in use, `old`, to the new one, which no packet uses yet.
    ///
    /// # Errors
    /// When the time is not told, or a map cannot be changed.
    pub(super) fn begin(pins: &Pins, old: KernelFlowTable, new: &'a KernelFlowTable) -> Result<Self, Error> {
        let clock = new.clock()?;
        let carry = Carry::new(&old, new, clock);
        let found = carry.everything();
        carry_overflows(pins, &clock)?;
        let standing = new.buckets().iter().map(|bucket| bucket.entries().count() as u64).sum();
        // Last: a connection that is made from here on is unknown for as long as the program takes to be replaced.
        for _ in 0..ROUNDS {
            if carry.changes() <= FEW {
                break;
            }
        }
        Ok(Self { old, new, clock, found, standing })
    }

    /// Copies what changed until the program was replaced, and gives the new maps their names. Says what has been done.
    ///
    /// # Errors
    /// When a pin cannot be renamed.
    pub(super) fn finish(self, pins: &Pins) -> Result<String, Error> {
        let mut carry = Carry::new(&self.old, self.new, self.clock);
        carry.is_in_use();
        carry.changes();
        pins.adopt_next()?;
        let [before, after] =
            [&self.old as &dyn FlowTable, self.new].map(|table| capacity(table.buckets().len()));
        let Self { found, standing, .. } = self;
        info!(
            "the flow table has room for {after} connections now, and had for {before}: {standing} carried over"
        );
        let lost = found.saturating_sub(standing);
        let lost = if lost > 0 { format!("; {lost} had no room and are forgotten") } else { String::new() };
        Ok(format!(
            "limits.flows: the flow table is made anew, {standing} connections are carried over{lost}"
        ))
    }
}

fn capacity(buckets: usize) -> u32 {
    bucket_capacity(u32::try_from(buckets).unwrap_or(u32::MAX))
}

/// Where connections without an entry may be alive they may be anywhere in the table now: their places are others.
fn carry_overflows(pins: &Pins, clock: &Clock) -> Result<(), Error> {
    let opened = MapData::from_pin(pins.map(map::OVERFLOWS)).map(Map::Array).and_then(Array::try_from);
    let mut overflows: Array<MapData, u32> = opened.map_err(failed(map::OVERFLOWS, "opening"))?;
    let lifetime = clock.timeouts.0.get(ConnState::Established as usize).copied().unwrap_or(0);
    let mut latest: Option<u32> = None;
    for noted in overflows.iter() {
        let noted = noted.map_err(failed(map::OVERFLOWS, "reading"))?;
        let age = |noted| clock.now.since(Stamp::new(noted));
        if noted & WRITTEN != 0 && age(noted) < lifetime && latest.is_none_or(|one| age(noted) < age(one)) {
            latest = Some(noted);
        }
    }
    let Some(latest) = latest else { return Ok(()) };
    for index in 0..overflows.len() {
        overflows.set(index, latest, 0).map_err(failed(map::OVERFLOWS, "setting an entry"))?;
    }
    Ok(())
}
