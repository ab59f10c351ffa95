//! The flow table in the kernel, mapped into this process: it is read and cleaned without a system call.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::maps::{Array, Map, MapData};
use lb_common::{
    Real, SharedHop,
    flow_table::{HashKey, Shared, SharedMarks, Stamp, Timeouts},
    map,
};

use super::{Clock, Error, FlowTable, globals, mapped::Mapped, maps::failed, pins::Pins, syscall};

/// The pinned maps, and the program that tells the time.
pub(super) struct KernelFlowTable {
    buckets: Mapped<Shared>,
    changes: Mapped<SharedMarks>,
    hash_key: HashKey,
    reals: Mapped<Real>,
    last_hops: Mapped<SharedHop>,
    clock: OwnedFd,
}

impl KernelFlowTable {
    /// Maps the pinned maps, once the table has its secret; `clock` is the program that returns the time.
    ///
    /// # Errors
    /// When one is missing or of another kind.
    pub(super) fn open(pins: &Pins, clock: OwnedFd) -> Result<Self, Error> {
        Ok(Self {
            buckets: mapped(pins, map::FLOWS)?,
            changes: mapped(pins, map::CHANGES)?,
            hash_key: hash_key(pins)?,
            reals: mapped(pins, map::REALS)?,
            last_hops: mapped(pins, map::LAST_HOPS)?,
            clock,
        })
    }
}

impl FlowTable for KernelFlowTable {
    fn buckets(&self) -> &[Shared] {
        self.buckets.values()
    }

    fn changes(&self) -> &[SharedMarks] {
        self.changes.values()
    }

    fn hash_key(&self) -> HashKey {
        self.hash_key
    }

    fn real(&self, index: u16) -> Option<Real> {
        self.reals.read(index.into())
    }

    fn last_hops(&self) -> &[SharedHop] {
        self.last_hops.values()
    }

    fn clock(&self) -> Result<Clock, Error> {
        let stamp = syscall::run(self.clock.as_fd())
            .map_err(|error| Error::Setup(format!("the program does not tell the time: {error}")))?;
        let hz = globals::hz();
        Ok(Clock { now: Stamp::new(stamp), timeouts: Timeouts::at(hz), hz })
    }
}

fn hash_key(pins: &Pins) -> Result<HashKey, Error> {
    let map = MapData::from_pin(pins.map(map::HASH_KEY)).map_err(failed(map::HASH_KEY, "opening"))?;
    let keys =
        Array::<MapData, HashKey>::try_from(Map::Array(map)).map_err(failed(map::HASH_KEY, "opening"))?;
    keys.get(&0, 0).map_err(failed(map::HASH_KEY, "reading"))
}

/// A pinned map in this process's memory.
///
/// # Errors
/// When it is missing, or may not be mapped.
pub(super) fn mapped<T>(pins: &Pins, name: &'static str) -> Result<Mapped<T>, Error> {
    let map = MapData::from_pin(pins.map(name)).map_err(failed(name, "opening"))?;
    let entries = map.info().map_err(failed(name, "looking up its size"))?.max_entries();
    Mapped::open(map.fd().as_fd(), entries).map_err(|error| Error::Map {
        map: name,
        action: "mapping into memory",
        reason: error.to_string(),
    })
}
