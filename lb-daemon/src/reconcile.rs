//! From what stands in the maps to what should: the fewest changes, in an order that misdirects no packet meanwhile.

use std::collections::BTreeMap;

use lb_common::{Real, RealState, RouterRole, ServiceKey};

use crate::{
    datapath::{Datapath, Error, Op},
    tables::{ServiceTable, Tables},
};

/// The changes that turn `installed` into `desired`, to be applied in this order.
///
/// 1. A router that becomes standby closes first, and so does a service that goes to the peer.
/// 2. What services refer to is set: own and floating addresses, virtual MAC addresses, ways to the peer, and real servers that are new or take connections.
/// 3. Services that go are removed, before another may be given their number; the others get their new rings.
/// 4. Only now, when no ring names them any more, real servers are quiesced, taken down or removed.
/// 5. What nothing refers to any more is removed.
/// 6. A service that comes from the peer opens, and then a router that becomes active.
/// 7. Last, packets meet the program for the forwarding methods in use: any other forwards alike, but not as fast.
///
/// Applying a part of them is safe; the next call makes the rest.
pub fn diff(installed: &Tables, desired: &Tables) -> Vec<Op> {
    let mut ops = Vec::new();
    let role = (installed.role != desired.role).then_some(Op::SetRole(desired.role));
    if desired.role == RouterRole::Standby {
        ops.extend(role.clone());
    }
    ops.extend(moved(installed, desired, true));
    // Nothing names a slot that gets a new owner, so it is set first whatever its state.
    let has_new_owner =
        |slot, real: &Real| installed.reals.get(slot).is_none_or(|owner| owner.generation != real.generation);
    let (early, late): (Vec<_>, Vec<_>) = changed(&installed.reals, &desired.reals)
        .partition(|(slot, real)| takes_connections(real) || has_new_owner(slot, real));
    let set_real = |(&slot, real): (&u32, &Real)| Op::SetReal(slot, *real);

    ops.extend(desired.locals.difference(&installed.locals).copied().map(Op::AddLocal));
    // Before the addresses that are answered for with them.
    ops.extend(
        changed(&installed.virtual_macs, &desired.virtual_macs).map(|(&k, &mac)| Op::SetVirtualMac(k, mac)),
    );
    ops.extend(changed(&installed.floating, &desired.floating).map(|(&a, &f)| Op::SetFloating(a, f)));
    ops.extend(changed(&installed.peer_hops, &desired.peer_hops).map(|(&i, &hop)| Op::SetPeerHop(i, hop)));
    ops.extend(early.into_iter().map(set_real));
    ops.extend(
        changed(&installed.real_keys, &desired.real_keys).map(|(&key, &slot)| Op::SetRealKey(key, slot)),
    );
    ops.extend(gone(&installed.services, &desired.services).map(|&key| Op::RemoveService(key)));
    ops.extend(services(installed, desired));
    ops.extend(late.into_iter().map(set_real));
    ops.extend(gone(&installed.reals, &desired.reals).map(|&slot| Op::SetReal(slot, Real::default())));
    ops.extend(gone(&installed.real_keys, &desired.real_keys).map(|&key| Op::RemoveRealKey(key)));
    ops.extend(gone(&installed.peer_hops, &desired.peer_hops).map(|&i| Op::RemovePeerHop(i)));
    ops.extend(installed.locals.difference(&desired.locals).copied().map(Op::RemoveLocal));
    ops.extend(gone(&installed.floating, &desired.floating).map(|&address| Op::RemoveFloating(address)));
    ops.extend(gone(&installed.virtual_macs, &desired.virtual_macs).map(|&key| Op::RemoveVirtualMac(key)));
    ops.extend(moved(installed, desired, false));
    if desired.role == RouterRole::Active {
        ops.extend(role);
    }
    ops.extend((installed.methods != desired.methods).then_some(Op::UseMethods(desired.methods)));
    ops
}

/// Makes the maps hold `desired` and returns what was done, which is nothing the second time. A real server slot that
/// gets a new owner starts with counters at zero.
///
/// # Errors
/// The first one of the data plane; what was applied before it stands, and the next call goes on from there.
pub fn reconcile(datapath: &mut dyn Datapath, desired: &Tables) -> Result<Vec<Op>, Error> {
    let installed = datapath.installed()?;
    let ops = diff(&installed, desired);
    for op in &ops {
        if let Op::SetReal(slot, real) = op
            && installed.reals.get(slot).map(|owner| owner.generation) != Some(real.generation)
        {
            datapath.reset_real_counters(*slot)?;
        }
        datapath.apply(op)?;
    }
    Ok(ops)
}

/// Whether a ring may name it.
const fn takes_connections(real: &Real) -> bool {
    real.state == RealState::Up as u8 && real.ifindex != 0
}

/// New services, and those that differ for a packet.
fn services(installed: &Tables, desired: &Tables) -> impl Iterator<Item = Op> {
    desired
        .services
        .iter()
        .filter(|(key, service)| {
            !installed.services.get(key).is_some_and(|installed| installed.same(service))
        })
        .map(|(&key, service)| Op::SetService(key, service.clone()))
}

/// Services that close or open. Those that are written anew say it by themselves; to close them before does no harm.
fn moved(installed: &Tables, desired: &Tables, closed: bool) -> Vec<Op> {
    let moves = |(key, service): (&ServiceKey, &ServiceTable)| {
        let before = installed.services.get(key)?;
        let alone = closed || before.same(service);
        (before.closed != closed && service.closed == closed && alone).then_some(Op::SetClosed(*key, closed))
    };
    desired.services.iter().filter_map(moves).collect()
}

/// Entries of `desired` that are new or differ.
fn changed<'a, K: Ord, V: PartialEq>(
    installed: &BTreeMap<K, V>,
    desired: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    desired.iter().filter(|(key, value)| installed.get(key) != Some(value))
}

/// Keys that `desired` no longer has.
fn gone<'a, K: Ord, V>(
    installed: &'a BTreeMap<K, V>,
    desired: &BTreeMap<K, V>,
) -> impl Iterator<Item = &'a K> {
    installed.keys().filter(|key| !desired.contains_key(key))
}

#[cfg(test)]
mod tests {
    use lb_common::{Floating, Method, PeerHop, RealKey, Scheduler, ServiceKey, VirtualMac, VirtualMacKey};
    use proptest::{prelude::*, sample::subsequence};

    use super::*;
    use crate::{
        datapath::memory::MemoryDatapath,
        plan::fixture::{World, worlds},
        tables::ServiceTable,
    };

    #[test]
    fn becoming_active_opens_last_and_becoming_standby_closes_first() {
        let standby = Tables { locals: [[192, 0, 2, 1].into()].into(), ..Tables::default() };
        let active =
            Tables { role: RouterRole::Active, locals: [[192, 0, 2, 2].into()].into(), ..Tables::default() };
        assert_eq!(diff(&standby, &active).last(), Some(&Op::SetRole(RouterRole::Active)));
        assert_eq!(diff(&active, &standby).first(), Some(&Op::SetRole(RouterRole::Standby)));
    }

    #[test]
    fn only_the_start_of_a_ring_is_no_difference() {
        let table = |start| Tables {
            services: [(
                KEY,
                ServiceTable { id: 0, scheduler: Scheduler::RoundRobin, ring: vec![1], start, closed: false },
            )]
            .into(),
            ..Tables::default()
        };
        assert_eq!(diff(&table(0), &table(1)), []);
    }

    #[test]
    fn a_service_that_goes_closes_first_and_one_that_comes_opens_last() {
        let table = |closed, local: u8| {
            let scheduler = Scheduler::RoundRobin;
            let service = ServiceTable { id: 0, scheduler, ring: vec![], start: 0, closed };
            let locals = [[192, 0, 2, local].into()].into();
            let (role, services) = (RouterRole::Active, [(KEY, service)].into());
            Tables { role, services, locals, ..Tables::default() }
        };
        assert_eq!(diff(&table(false, 1), &table(true, 2)).first(), Some(&Op::SetClosed(KEY, true)));
        assert_eq!(diff(&table(true, 1), &table(false, 2)).last(), Some(&Op::SetClosed(KEY, false)));
    }

    #[test]
    fn a_new_owner_starts_with_counters_at_zero() {
        let mut datapath = MemoryDatapath::default();
        let with = |generation, weight| Tables {
            reals: [(3, Real { generation, weight, ..Real::default() })].into(),
            ..Tables::default()
        };
        reconcile(&mut datapath, &with(1, 1)).unwrap();
        datapath.state().real_counters.entry(3).or_default().connections = 9;
        reconcile(&mut datapath, &with(1, 2)).unwrap();
        assert_eq!(datapath.real_counters(&[3]).unwrap()[&3].connections, 9, "the same owner");
        reconcile(&mut datapath, &with(2, 2)).unwrap();
        assert_eq!(datapath.real_counters(&[3]).unwrap()[&3].connections, 0);
    }

    proptest! {
        #[test]
        fn applying_the_difference_gives_what_is_desired(installed in tables(), desired in tables()) {
            let mut datapath = MemoryDatapath::default();
            datapath.state().tables = installed.clone();
            let ops = reconcile(&mut datapath, &desired).unwrap();
            let result = datapath.installed().unwrap();
            prop_assert_eq!(without_starts(&result), without_starts(&desired));
            prop_assert_eq!(reconcile(&mut datapath, &desired).unwrap(), []);
            prop_assert!(ops.len() <= size(&installed) + size(&desired) + 2, "no entry is written twice");
        }

        #[test]
        fn no_ring_ever_names_a_server_that_takes_nothing(worlds in worlds(6), stops in prop::collection::vec(0_usize..40, 6)) {
            let mut datapath = MemoryDatapath::default();
            for (world, stop) in worlds.iter().zip(stops) {
                let installed = datapath.installed().unwrap();
                let Ok(desired) = world.plan(&installed, &datapath.state().positions) else { continue };
                // Half of the time the daemon is killed on the way.
                for op in diff(&installed, &desired).iter().take(if stop < 20 { stop } else { usize::MAX }) {
                    datapath.apply(op).unwrap();
                    rings_are_sound(&datapath.installed().unwrap())?;
                }
            }
        }

        #[test]
        fn a_failed_change_is_made_up_for_by_the_next_run(world in world(), accepts in 0_usize..20) {
            let mut datapath = MemoryDatapath::default();
            let desired = world.plan(&Tables::default(), &BTreeMap::new()).unwrap();
            datapath.state().accepts = Some(accepts);
            let _may_fail = reconcile(&mut datapath, &desired);
            datapath.state().accepts = None;
            reconcile(&mut datapath, &desired).unwrap();
            prop_assert_eq!(datapath.installed().unwrap(), desired);
        }
    }

    const KEY: ServiceKey = ServiceKey::new(6, [192, 0, 2, 1], 80);

    fn rings_are_sound(tables: &Tables) -> Result<(), TestCaseError> {
        for (key, service) in &tables.services {
            for slot in &service.ring {
                let real = &tables.reals[&u32::from(*slot)];
                prop_assert!(takes_connections(real), "{key:?} names {slot}: {real:?}");
                prop_assert_eq!(real.service, service.id);
            }
        }
        Ok(())
    }

    fn without_starts(tables: &Tables) -> Tables {
        let mut tables = tables.clone();
        for service in tables.services.values_mut() {
            service.start = 0;
        }
        tables
    }

    fn size(tables: &Tables) -> usize {
        let Tables {
            role: _,
            services,
            reals,
            real_keys,
            peer_hops,
            locals,
            floating,
            virtual_macs,
            methods: _,
        } = tables;
        let addresses = locals.len() + floating.len() + virtual_macs.len();
        services.len() + reals.len() + real_keys.len() + peer_hops.len() + addresses
    }

    fn world() -> impl Strategy<Value = World> {
        worlds(1).prop_map(|mut worlds| worlds.remove(0))
    }

    fn floating() -> impl Strategy<Value = Floating> {
        let mac = prop::option::of((1_u8..3).prop_map(|last| [0, 0, 0x5e, 0, 1, last]));
        (0_u32..2, mac).prop_map(|(lease, mac)| Floating::new(lease, mac))
    }

    /// Tables that no planner would make: any entry beside any other.
    fn tables() -> impl Strategy<Value = Tables> {
        let octet = 0_u8..4;
        let real =
            (octet.clone(), 0_u8..4, 0_u32..3, 1_u32..3).prop_map(|(host, state, ifindex, generation)| {
                Real {
                    address: [10, 0, 0, host],
                    method: Method::Nat as u8,
                    state,
                    ifindex,
                    generation,
                    ..Real::default()
                }
            });
        let service = (0_u32..4, prop::collection::vec(0_u16..4, 0..4), 0_u64..4, any::<bool>()).prop_map(
            |(id, ring, start, closed)| {
                let scheduler = Scheduler::RoundRobin;
                ServiceTable { id, scheduler, ring, start, closed }
            },
        );
        let key = octet.clone().prop_map(|host| ServiceKey::new(6, [192, 0, 2, host], 80));
        let real_key = octet.clone().prop_map(|host| RealKey::new(6, [10, 0, 0, host], 80));
        let hop = octet.clone().prop_map(|last| PeerHop { mac: [2, 0, 0, 0, 0, last], source_mac: [2; 6] });
        let virtual_mac = (1_u32..3, octet.clone())
            .prop_map(|(ifindex, last)| VirtualMacKey::new(ifindex, [0, 0, 0x5e, 0, 1, last]));
        let own_mac = octet.clone().prop_map(|last| VirtualMac { own: [2, 0, 0, 0, 0, last], lease: 0 });
        (
            any::<bool>(),
            prop::collection::btree_map(key, service, 0..4),
            prop::collection::btree_map(0_u32..4, real, 0..4),
            prop::collection::btree_map(real_key, 0_u32..4, 0..4),
            prop::collection::btree_map(0_u32..4, hop, 0..4),
            subsequence((0..4_u8).collect::<Vec<_>>(), 0..=4),
            prop::collection::btree_map(
                octet.clone().prop_map(|last| [192, 0, 2, last].into()),
                floating(),
                0..4,
            ),
            prop::collection::btree_map(virtual_mac, own_mac, 0..4),
            subsequence(Method::ALL.to_vec(), 0..=2),
        )
            .prop_map(
                |(active, services, reals, real_keys, peer_hops, locals, floating, virtual_macs, methods)| {
                    Tables {
                        role: if active { RouterRole::Active } else { RouterRole::Standby },
                        services,
                        reals,
                        real_keys,
                        peer_hops,
                        locals: locals.into_iter().map(|host| [10, 0, 0, host].into()).collect(),
                        floating,
                        virtual_macs,
                        methods: methods.into_iter().collect(),
                    }
                },
            )
    }
}
