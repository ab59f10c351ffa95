//! The flow table in the kernel, read and cleaned by handles of its own.

use std::{
    collections::BTreeMap,
    os::fd::AsFd as _,
    sync::{Mutex, PoisonError},
};

use aya::maps::{Array, HashMap, Map, MapData, MapError};
use lb_common::{Flow, FlowKey, Real, map};
use nix::time::{ClockId, clock_gettime};

use super::{
    Error, FlowTable,
    maps::{all_reals, failed, removed},
    pins::Pins,
    syscall,
};

/// Handles of the pinned maps.
pub(super) struct KernelFlowTable {
    /// Entry by entry.
    entries: Mutex<HashMap<MapData, FlowKey, Flow>>,
    /// The same map, to be read in batches.
    batches: MapData,
    reals: Array<MapData, Real>,
}

impl KernelFlowTable {
    /// Opens the pinned maps.
    ///
    /// # Errors
    /// When one is missing or of another kind.
    pub(super) fn open(pins: &Pins) -> Result<Self, Error> {
        let pinned = |name| MapData::from_pin(pins.map(name)).map_err(failed(name, "opening"));
        let table = Map::from_map_data(pinned(map::FLOWS)?).and_then(HashMap::try_from);
        let reals = Map::from_map_data(pinned(map::REALS)?).and_then(Array::try_from);
        Ok(Self {
            entries: Mutex::new(table.map_err(failed(map::FLOWS, "opening"))?),
            batches: pinned(map::FLOWS)?,
            reals: reals.map_err(failed(map::REALS, "opening"))?,
        })
    }
}

impl FlowTable for KernelFlowTable {
    fn flows(&self) -> Result<Vec<(FlowKey, Flow)>, Error> {
        let failed = |reason: String| Error::Map { map: map::FLOWS, action: "reading", reason };
        let info = self.batches.info().map_err(|error| failed(error.to_string()))?;
        let mut entries: Vec<(FlowKey, Flow)> =
            syscall::entries(self.batches.fd().as_fd(), info.key_size(), info.value_size())
                .map_err(|error| failed(error.to_string()))?;
        // An entry that was written anew while it was read may come twice.
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.dedup_by_key(|(key, _)| *key);
        Ok(entries)
    }

    fn reals(&self) -> Result<BTreeMap<u32, Real>, Error> {
        all_reals(&self.reals)
    }

    fn forget(&self, entries: &[(FlowKey, Flow)]) -> Result<(), Error> {
        // What a panic elsewhere has left is a handle like any other.
        let mut table = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, read) in entries {
            match table.get(key, 0) {
                Ok(flow) if flow == *read => removed(table.remove(key), map::FLOWS)?,
                Ok(_) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(failed(map::FLOWS, "reading")(error)),
            }
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        // CLOCK_MONOTONIC exists on every Linux, so it cannot fail, and its time is never negative.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap_or(nix::sys::time::TimeSpec::new(0, 0));
        now.tv_sec().cast_unsigned() * 1_000_000_000 + now.tv_nsec().cast_unsigned()
    }
}
