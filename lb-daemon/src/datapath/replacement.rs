//! A flow table takes the place of the one that is in use, and the connections come along: one of another size, or of another
//! layout.
//!
//! The connections are copied; the program on each interface is replaced, in one step; and what changed meanwhile is copied again.

use aya::maps::{Array, Map, MapData};
use lb_common::{ConnState, flow_table::Stamp, map};
use tracing::info;

use super::{
    Clock, Error, FlowTable,
    carry::{Carry, Source},
    flow_table::KernelFlowTable,
    maps::failed,
    pins::Pins,
};

/// Rounds in which changes are copied before the program is replaced. Each finds what the one before it took time for.
const ROUNDS: usize = 8;

/// Few enough changes to go on.
const FEW: usize = 4;

/// Tells a stamp of `OVERFLOWS` from an entry that was never written, as in lb-ebpf/src/overflow.rs.
const WRITTEN: u32 = 1 << Stamp::BITS;

/// A flow table that takes the place of another.
pub(super) struct Replacement<'a> {
    old: Box<dyn Source>,
    new: &'a KernelFlowTable,
    clock: Clock,
    found: u64,
    standing: u64,
}

impl<'a> Replacement<'a> {
    /// Copies the connections of the table in use, `old`, to the new one, which no packet uses yet.
    ///
    /// # Errors
    /// When the time is not told, or a map cannot be changed.
    pub(super) fn begin(pins: &Pins, old: Box<dyn Source>, new: &'a KernelFlowTable) -> Result<Self, Error> {
        let clock = new.clock()?;
        let carry = Carry::new(&*old, new, clock);
        let found = carry.everything();
        carry_overflows(pins, &clock)?;
        let standing = FlowTable::buckets(new).iter().map(|bucket| bucket.entries().count() as u64).sum();
        // Last: a connection that is made from here on is unknown for as long as the program takes to be replaced.
        let mut before = usize::MAX;
        for _ in 0..ROUNDS {
            let changed = carry.changes();
            // Where a round finds as many as the one before it, so would the next.
            if changed <= FEW || changed >= before {
                break;
            }
            before = changed;
        }
        Ok(Self { old, new, clock, found, standing })
    }

    /// Copies what changed until the program was replaced. Says how many connections came along.
    pub(super) fn finish(self) -> String {
        let mut carry = Carry::new(&*self.old, self.new, self.clock);
        carry.is_in_use();
        carry.changes();
        let Self { old, new, found, standing, .. } = self;
        let [before, after] = [old.capacity(), new.capacity()];
        info!(
            "the flow table has room for {after} connections now, and had for {before}: {standing} carried over"
        );
        let lost = found.saturating_sub(standing);
        let lost = if lost > 0 { format!("; {lost} had no room and are forgotten") } else { String::new() };
        format!("the flow table is made anew, {standing} connections are carried over{lost}")
    }
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
