//! The data plane without a kernel, for tests and dry runs: the same maps as plain values.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use lb_common::{
    Counter, Real, RealCounters, Reason, ServiceKey, SharedHop,
    flow_table::{HashKey, Shared, SharedMarks},
};

use super::{Clock, Datapath, Error, FlowTable, Lease, Op, Schedules};
use crate::tables::Tables;

/// A handle of a data plane in memory; clones share it, so that a test keeps one while the daemon owns the other.
#[derive(Clone, Debug, Default)]
pub struct MemoryDatapath {
    state: Arc<Mutex<State>>,
    buckets: Arc<[Shared; BUCKETS]>,
    changes: Arc<[SharedMarks; 1]>,
    last_hops: Arc<[SharedHop; LAST_HOPS]>,
}

/// Buckets of its flow table.
const BUCKETS: usize = 16;
/// Entries of its table of last hops.
const LAST_HOPS: usize = 8;

/// The maps, open to whoever plays the program.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Services, real servers and the rest.
    pub tables: Tables,
    /// Next position in each service's ring.
    pub positions: BTreeMap<ServiceKey, u64>,
    /// Counters by reason.
    pub reasons: BTreeMap<Reason, Counter>,
    /// Counters by real server.
    pub real_counters: BTreeMap<u32, RealCounters>,
    /// The clock.
    pub clock: Clock,
    /// Until when floating addresses are answered for, by the number of their group.
    pub leases: BTreeMap<u32, Instant>,
    /// How the program is attached.
    pub attach_modes: BTreeMap<String, &'static str>,
    /// Every change applied, in order.
    pub applied: Vec<Op>,
    /// Changes that are still accepted; the next one fails. `None`: all are.
    pub accepts: Option<usize>,
}

impl MemoryDatapath {
    /// The maps, to look at or to change as the program would. Not to be held while the data plane is used.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked has left plain values behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next connection of a service as the program does, and returns the real server's slot; `None` without
    /// such a service or with an empty ring.
    pub fn connect(&self, key: &ServiceKey) -> Option<u16> {
        let mut state = self.state();
        let service = state.tables.services.get(key)?;
        let (ring, start) = (service.ring.clone(), service.start);
        let position = state.positions.entry(*key).or_insert(start);
        let index = usize::try_from(position.checked_rem(ring.len() as u64)?).ok()?;
        *position += 1;
        ring.get(index).copied()
    }
}

impl Datapath for MemoryDatapath {
    fn installed(&self) -> Result<Tables, Error> {
        Ok(self.state().tables.clone())
    }

    fn apply(&mut self, op: &Op) -> Result<(), Error> {
        self.state().apply(op)
    }

    fn position(&self, key: &ServiceKey) -> Result<Option<u64>, Error> {
        Ok(self.state().positions.get(key).copied())
    }

    fn reasons(&self) -> Result<BTreeMap<Reason, Counter>, Error> {
        let state = self.state();
        let counter = |reason| state.reasons.get(reason).copied().unwrap_or_default();
        Ok(Reason::ALL.iter().map(|reason| (*reason, counter(reason))).collect())
    }

    fn real_counters(&self, indices: &[u32]) -> Result<BTreeMap<u32, RealCounters>, Error> {
        let state = self.state();
        let counters = |index| state.real_counters.get(index).copied().unwrap_or_default();
        Ok(indices.iter().map(|index| (*index, counters(index))).collect())
    }

    fn reset_real_counters(&mut self, index: u32) -> Result<(), Error> {
        self.state().real_counters.remove(&index);
        Ok(())
    }

    fn flow_table(&self) -> Arc<dyn FlowTable> {
        Arc::new(self.clone())
    }

    fn schedules(&self) -> Arc<dyn Schedules> {
        Arc::new(self.clone())
    }

    fn lease(&self) -> Arc<dyn Lease> {
        Arc::new(self.clone())
    }

    fn attach_modes(&self) -> BTreeMap<String, &'static str> {
        self.state().attach_modes.clone()
    }
}

impl FlowTable for MemoryDatapath {
    fn buckets(&self) -> &[Shared] {
        self.buckets.as_slice()
    }

    fn changes(&self) -> &[SharedMarks] {
        self.changes.as_slice()
    }

    fn hash_key(&self) -> HashKey {
        HashKey([1, 3, 5])
    }

    fn real(&self, index: u16) -> Option<Real> {
        self.state().tables.reals.get(&index.into()).copied()
    }

    fn last_hops(&self) -> &[SharedHop] {
        self.last_hops.as_slice()
    }

    fn clock(&self) -> Result<Clock, Error> {
        Ok(self.state().clock)
    }
}

impl Schedules for MemoryDatapath {
    fn positions(&self) -> Result<BTreeMap<ServiceKey, u64>, Error> {
        let state = self.state();
        let mut positions = state.positions.clone();
        positions.retain(|key, _| state.goes_in_turn(key));
        Ok(positions)
    }

    fn set_position(&self, key: &ServiceKey, position: u64) -> Result<(), Error> {
        let mut state = self.state();
        if state.goes_in_turn(key) {
            state.positions.insert(*key, position);
        }
        Ok(())
    }
}

impl Lease for MemoryDatapath {
    fn set(&self, lease: u32, until: Instant) {
        self.state().leases.insert(lease, until);
    }

    fn release(&self, lease: u32) {
        self.state().leases.remove(&lease);
    }

    fn runs(&self, lease: u32) -> bool {
        self.state().leases.get(&lease).is_some_and(|until| *until > Instant::now())
    }
}

impl State {
    fn goes_in_turn(&self, key: &ServiceKey) -> bool {
        self.tables.services.get(key).is_some_and(|service| service.scheduler.is_in_turn())
    }

    fn apply(&mut self, op: &Op) -> Result<(), Error> {
        if let Some(left) = &mut self.accepts {
            *left = left.checked_sub(1).ok_or_else(|| Error::Setup("the test refuses this change".into()))?;
        }
        let tables = &mut self.tables;
        match op {
            // An array's slot is never absent: all zero is what nobody has used.
            Op::SetReal(slot, real) if *real == Real::default() => drop(tables.reals.remove(slot)),
            Op::SetReal(slot, real) => drop(tables.reals.insert(*slot, *real)),
            Op::SetService(key, service) => {
                self.positions.insert(*key, service.start);
                tables.services.insert(*key, service.clone());
            }
            Op::RemoveService(key) => {
                self.positions.remove(key);
                tables.services.remove(key);
            }
            Op::SetClosed(key, closed) => {
                if let Some(service) = tables.services.get_mut(key) {
                    service.closed = *closed;
                }
            }
            Op::SetRealKey(key, slot) => drop(tables.real_keys.insert(*key, *slot)),
            Op::RemoveRealKey(key) => drop(tables.real_keys.remove(key)),
            Op::SetPeerHop(ifindex, hop) => drop(tables.peer_hops.insert(*ifindex, *hop)),
            Op::RemovePeerHop(ifindex) => drop(tables.peer_hops.remove(ifindex)),
            Op::AddLocal(address) => drop(tables.locals.insert(*address)),
            Op::RemoveLocal(address) => drop(tables.locals.remove(address)),
            Op::SetFloating(address, floating) => drop(tables.floating.insert(*address, *floating)),
            Op::RemoveFloating(address) => drop(tables.floating.remove(address)),
            Op::SetVirtualMac(key, mac) => drop(tables.virtual_macs.insert(*key, *mac)),
            Op::RemoveVirtualMac(key) => drop(tables.virtual_macs.remove(key)),
            Op::SetRole(role) => tables.role = *role,
            Op::UseMethods(methods) => tables.methods = *methods,
        }
        self.applied.push(op.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use lb_common::{RouterRole, Scheduler};

    use super::*;
    use crate::tables::ServiceTable;

    #[test]
    fn connections_go_around_the_ring_from_its_start() {
        let mut datapath = MemoryDatapath::default();
        let service = ServiceTable {
            id: 0,
            scheduler: Scheduler::RoundRobin,
            ring: vec![5, 6, 7],
            start: 2,
            closed: false,
        };
        datapath.apply(&Op::SetService(KEY, service)).unwrap();
        let taken: Vec<_> = (0..4).map(|_| datapath.connect(&KEY)).collect();
        assert_eq!(taken, [Some(7), Some(5), Some(6), Some(7)]);
        assert_eq!(datapath.position(&KEY).unwrap(), Some(6));
        datapath.apply(&Op::RemoveService(KEY)).unwrap();
        assert_eq!(datapath.connect(&KEY), None);
    }

    #[test]
    fn a_refused_change_has_not_happened() {
        let mut datapath = MemoryDatapath::default();
        datapath.state().accepts = Some(0);
        assert!(datapath.apply(&Op::SetRole(RouterRole::Active)).is_err());
        assert_eq!(datapath.installed().unwrap(), Tables::default());
    }

    const KEY: ServiceKey = ServiceKey::new(6, [192, 0, 2, 1], 80);
}
