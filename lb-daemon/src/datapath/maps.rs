//! The maps, each with the types of its keys and values.

use std::collections::{BTreeMap, BTreeSet};

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray, PerCpuValues},
};
use lb_common::{
    AddressFilter, Counter, Floating, Methods, PeerHop, RING_SLOTS, Real, RealCounters, RealKey, Reason,
    Ring, RouterRole, RouterState, Scheduler, Service, ServiceKey, VirtualMac, VirtualMacKey,
    flow_table::bucket_capacity, map,
};

use super::{Error, Op, filter::Filter, owner_change, pins::Pins};
use crate::{
    config::Limits,
    tables::{ServiceTable, Tables},
};

/// Every map that the daemon reads or writes.
pub(super) struct Maps {
    services: HashMap<MapData, ServiceKey, Service>,
    reals: Array<MapData, Real>,
    real_keys: HashMap<MapData, RealKey, u32>,
    rings: Array<MapData, Ring>,
    positions: Array<MapData, u64>,
    flow_table: MapData,
    router: Array<MapData, RouterState>,
    peer_hops: HashMap<MapData, u32, PeerHop>,
    epoch: Array<MapData, u32>,
    locals: HashMap<MapData, [u8; 4], u8>,
    floating: HashMap<MapData, [u8; 4], Floating>,
    virtual_macs: HashMap<MapData, VirtualMacKey, VirtualMac>,
    reasons: PerCpuArray<MapData, Counter>,
    real_counters: PerCpuArray<MapData, RealCounters>,
    addresses: Array<MapData, AddressFilter>,
    filter: Filter,
}

impl Maps {
    /// Takes the maps out of a loaded object.
    ///
    /// # Errors
    /// When the object lacks one.
    pub(super) fn take(ebpf: &mut Ebpf, pins: &Pins) -> Result<Self, Error> {
        let mut maps = Self {
            services: take(ebpf, map::SERVICES)?,
            reals: take(ebpf, map::REALS)?,
            real_keys: take(ebpf, map::REAL_KEYS)?,
            rings: take(ebpf, map::RINGS)?,
            positions: take(ebpf, map::POSITIONS)?,
            flow_table: MapData::from_pin(pins.map(map::FLOWS)).map_err(failed(map::FLOWS, "opening"))?,
            router: take(ebpf, map::ROUTER)?,
            peer_hops: take(ebpf, map::PEER_HOPS)?,
            epoch: take(ebpf, map::EPOCH)?,
            locals: take(ebpf, map::LOCALS)?,
            floating: take(ebpf, map::FLOATING)?,
            virtual_macs: take(ebpf, map::VIRTUAL_MACS)?,
            reasons: take(ebpf, map::REASONS)?,
            real_counters: take(ebpf, map::REAL_COUNTERS)?,
            addresses: take(ebpf, map::ADDRESSES)?,
            filter: Filter::default(),
        };
        let services = maps.services.keys().collect::<Result<Vec<_>, _>>();
        let reals = maps.real_keys.keys().collect::<Result<Vec<_>, _>>();
        maps.filter = Filter::new(
            services.map_err(failed(map::SERVICES, "reading"))?,
            reals.map_err(failed(map::REAL_KEYS, "reading"))?,
        );
        maps.write_filter()?;
        Ok(maps)
    }

    fn write_filter(&mut self) -> Result<(), Error> {
        set(self.addresses.set(0, self.filter.value().as_ref(), 0), map::ADDRESSES)
    }

    /// Writes the filter where it has changed.
    fn filtered(&mut self, changed: bool) -> Result<(), Error> {
        if changed { self.write_filter() } else { Ok(()) }
    }

    /// The sizes that the maps have.
    pub(super) fn limits(&self) -> Result<Limits, Error> {
        let info = self.flow_table.info().map_err(failed(map::FLOWS, "looking up its size"))?;
        Ok(Limits {
            flows: bucket_capacity(info.max_entries()),
            services: self.rings.len() / 2,
            reals: self.reals.len(),
        })
    }

    /// Everything that the daemon writes, read back; `methods` the program has.
    pub(super) fn tables(&self, methods: Methods) -> Result<Tables, Error> {
        let mut services = BTreeMap::new();
        for entry in self.services.iter() {
            let (key, service) = entry.map_err(failed(map::SERVICES, "reading"))?;
            services.insert(key, self.service_table(&service)?);
        }
        let role = self.router.get(&0, 0).map_err(failed(map::ROUTER, "reading"))?.role;
        Ok(Tables {
            role: RouterRole::from_u8(role).unwrap_or(RouterRole::Standby),
            services,
            reals: all_reals(&self.reals)?,
            real_keys: all(self.real_keys.iter(), map::REAL_KEYS)?,
            peer_hops: all(self.peer_hops.iter(), map::PEER_HOPS)?,
            locals: all::<_, _, BTreeMap<_, _>>(self.locals.iter(), map::LOCALS)?
                .into_keys()
                .map(Into::into)
                .collect::<BTreeSet<_>>(),
            methods,
            floating: all::<_, _, BTreeMap<_, _>>(self.floating.iter(), map::FLOATING)?
                .into_iter()
                .map(|(address, floating)| (address.into(), floating))
                .collect(),
            virtual_macs: all(self.virtual_macs.iter(), map::VIRTUAL_MACS)?,
        })
    }

    /// Position of the next connection of a service.
    pub(super) fn position(&self, key: &ServiceKey) -> Result<Option<u64>, Error> {
        let Some(service) = self.service(key)? else { return Ok(None) };
        self.positions.get(&service.ring, 0).map(Some).map_err(failed(map::POSITIONS, "reading"))
    }

    /// Performs one change.
    pub(super) fn apply(&mut self, op: &Op) -> Result<(), Error> {
        match op {
            Op::SetReal(slot, real) => self.set_real(*slot, real),
            // The filter lets packets through to the table, so that it opens before and closes after.
            Op::SetService(key, service) => {
                let changed = self.filter.add_service(*key);
                self.filtered(changed)?;
                self.set_service(key, service)?;
                self.next_epoch()
            }
            Op::RemoveService(key) => {
                removed(self.services.remove(key), map::SERVICES)?;
                self.next_epoch()?;
                let changed = self.filter.remove_service(key);
                self.filtered(changed)
            }
            Op::SetClosed(key, closed) => {
                let Some(service) = self.service(key)? else { return Ok(()) };
                set(self.services.insert(key, service.closed(*closed), 0), map::SERVICES)?;
                self.next_epoch()
            }
            Op::SetRealKey(key, slot) => {
                let changed = self.filter.add_real(*key);
                self.filtered(changed)?;
                set(self.real_keys.insert(key, slot, 0), map::REAL_KEYS)
            }
            Op::RemoveRealKey(key) => {
                removed(self.real_keys.remove(key), map::REAL_KEYS)?;
                let changed = self.filter.remove_real(key);
                self.filtered(changed)
            }
            Op::SetPeerHop(ifindex, hop) => {
                set(self.peer_hops.insert(ifindex, hop, 0), map::PEER_HOPS)?;
                self.next_epoch()
            }
            Op::RemovePeerHop(ifindex) => {
                removed(self.peer_hops.remove(ifindex), map::PEER_HOPS)?;
                self.next_epoch()
            }
            Op::AddLocal(address) => set(self.locals.insert(address.octets(), 1, 0), map::LOCALS),
            Op::RemoveLocal(address) => removed(self.locals.remove(&address.octets()), map::LOCALS),
            Op::SetFloating(address, floating) => {
                set(self.floating.insert(address.octets(), floating, 0), map::FLOATING)
            }
            Op::RemoveFloating(address) => removed(self.floating.remove(&address.octets()), map::FLOATING),
            Op::SetVirtualMac(key, mac) => set(self.virtual_macs.insert(key, mac, 0), map::VIRTUAL_MACS),
            Op::RemoveVirtualMac(key) => removed(self.virtual_macs.remove(key), map::VIRTUAL_MACS),
            Op::SetRole(role) => set(self.router.set(0, RouterState::new(*role), 0), map::ROUTER),
            // That is the program, and no map of it.
            Op::UseMethods(_) => Ok(()),
        }
    }

    /// Ends what processors remember of the services and the ways to the peer: after each change of those.
    fn next_epoch(&mut self) -> Result<(), Error> {
        let epoch = self.epoch.get(&0, 0).map_err(failed(map::EPOCH, "reading"))?;
        // 0 says that nothing is remembered.
        set(self.epoch.set(0, epoch.wrapping_add(1).max(1), 0), map::EPOCH)
    }

    /// Counters by reason, summed over the CPUs.
    pub(super) fn reasons(&self) -> Result<BTreeMap<Reason, Counter>, Error> {
        let read = |reason: &Reason| {
            let values = self.reasons.get(&(*reason as u32), 0).map_err(failed(map::REASONS, "reading"))?;
            Ok((*reason, sum(&values, Counter::default())))
        };
        Reason::ALL.iter().map(read).collect()
    }

    /// Counters of one real server, summed over the CPUs.
    pub(super) fn real_counters(&self, slot: u32) -> Result<RealCounters, Error> {
        let values = self.real_counters.get(&slot, 0).map_err(failed(map::REAL_COUNTERS, "reading"))?;
        Ok(sum(&values, RealCounters::default()))
    }

    /// Sets the counters of one real server to zero on every CPU.
    pub(super) fn reset_real_counters(&mut self, slot: u32) -> Result<(), Error> {
        let failed = |reason: String| Error::Map { map: map::REAL_COUNTERS, action: "resetting", reason };
        let cpus = aya::util::nr_cpus().map_err(|(path, error)| failed(format!("{path}: {error}")))?;
        let zeros = PerCpuValues::try_from(vec![RealCounters::default(); cpus])
            .map_err(|error| failed(error.to_string()))?;
        self.real_counters.set(slot, zeros, 0).map_err(|error| failed(error.to_string()))
    }

    /// A service's entry.
    fn service(&self, key: &ServiceKey) -> Result<Option<Service>, Error> {
        match self.services.get(key, 0) {
            Ok(service) => Ok(Some(service)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(failed(map::SERVICES, "reading")(error)),
        }
    }

    /// A service with its ring. The ring in use counts its connections in its own position; where it started is kept
    /// in the position of the other half, which nobody counts in.
    fn service_table(&self, service: &Service) -> Result<ServiceTable, Error> {
        let ring = Box::new(self.rings.get(&service.ring, 0).map_err(failed(map::RINGS, "reading"))?);
        let start =
            self.positions.get(&other_half(service.ring), 0).map_err(failed(map::POSITIONS, "reading"))?;
        Ok(ServiceTable {
            id: service.id,
            // A number that no version of this daemon wrote: any scheduler differs from it, and so it is written anew
            // unless it happens to be this one.
            scheduler: Scheduler::from_u8(service.scheduler).unwrap_or(Scheduler::RoundRobin),
            ring: ring.slots.iter().take(service.ring_len as usize).copied().collect(),
            start,
            closed: service.closed != 0,
        })
    }

    /// Writes a slot of the real server array in the steps that its owner's change takes.
    fn set_real(&mut self, slot: u32, real: &Real) -> Result<(), Error> {
        let installed = self.reals.get(&slot, 0).map_err(failed(map::REALS, "setting an entry"))?;
        for step in owner_change::steps(installed, *real) {
            set(self.reals.set(slot, step, 0), map::REALS)?;
        }
        Ok(())
    }

    /// Writes the half of the ring pair that no packet reads, and only then the service that points to it.
    fn set_service(&mut self, key: &ServiceKey, table: &ServiceTable) -> Result<(), Error> {
        let mut ring = Box::new(Ring { slots: [0; RING_SLOTS] });
        let slots = ring.slots.get_mut(..table.ring.len()).ok_or_else(|| Error::Map {
            map: map::RINGS,
            action: "setting an entry",
            reason: format!("{} slots, but a ring has {RING_SLOTS}", table.ring.len()),
        })?;
        slots.copy_from_slice(&table.ring);
        let first = table.id.saturating_mul(2);
        let half = match self.service(key)? {
            Some(current) if current.ring == first => other_half(first),
            Some(_) | None => first,
        };
        let service =
            Service::new(table.id, half, table.ring.len() as u32, table.scheduler).closed(table.closed);
        set(self.rings.set(half, ring.as_ref(), 0), map::RINGS)?;
        set(self.positions.set(half, table.start, 0), map::POSITIONS)?;
        set(self.services.insert(key, service, 0), map::SERVICES)?;
        set(self.positions.set(other_half(half), table.start, 0), map::POSITIONS)
    }
}

/// The slots that were ever used.
pub(super) fn all_reals(array: &Array<MapData, Real>) -> Result<BTreeMap<u32, Real>, Error> {
    let mut reals = BTreeMap::new();
    for (slot, real) in (0..).zip(array.iter()) {
        let real = real.map_err(failed(map::REALS, "reading"))?;
        if real != Real::default() {
            reals.insert(slot, real);
        }
    }
    Ok(reals)
}

/// The other ring of the same service.
const fn other_half(ring: u32) -> u32 {
    ring ^ 1
}

/// Takes one map out of the object.
fn take<M>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, Error>
where
    M: TryFrom<aya::maps::Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or_else(|| Error::Setup(format!("the object holds no map {name}")))?;
    M::try_from(map).map_err(failed(name, "opening"))
}

/// All entries of an iteration.
fn all<K, V, C: FromIterator<(K, V)>>(
    entries: impl Iterator<Item = Result<(K, V), MapError>>,
    name: &'static str,
) -> Result<C, Error> {
    entries.collect::<Result<C, MapError>>().map_err(failed(name, "reading"))
}

fn sum<T: aya::Pod + std::ops::AddAssign>(values: &PerCpuValues<T>, zero: T) -> T {
    values.iter().fold(zero, |mut sum, value| {
        sum += *value;
        sum
    })
}

pub(super) fn set(result: Result<(), MapError>, name: &'static str) -> Result<(), Error> {
    result.map_err(failed(name, "setting an entry"))
}

/// The result of a removal; what is gone already is as good.
pub(super) fn removed(result: Result<(), MapError>, name: &'static str) -> Result<(), Error> {
    match result {
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        Err(error) => Err(failed(name, "removing an entry")(error)),
    }
}

/// Turns aya's error into ours.
pub(super) fn failed(map: &'static str, action: &'static str) -> impl Fn(MapError) -> Error {
    move |error| {
        let reason = match error {
            MapError::SyscallError(error) => error.io_error.to_string(),
            error => error.to_string(),
        };
        Error::Map { map, action, reason }
    }
}
