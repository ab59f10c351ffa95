//! From everything known to what should stand in the maps. A pure function: start, reload, failover and a health flip
//! are the same path with other inputs.
//!
//! What stands in the maps already is kept where it can be: [`slots`] gives numbers to services and real servers,
//! [`reals`] decides what each real server may take, and [`crate::schedule`] makes the rings.

mod reals;
mod slots;

#[cfg(test)]
pub(crate) mod fixture;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddrV4},
};

use lb_common::{
    Floating, Method, Methods, PeerHop, Real, RealKey, RealState, RouterRole, ServiceKey, VirtualMac,
    VirtualMacKey,
};

use crate::{
    config::{self, Config, Limits},
    schedule::{self, Member, Previous, Schedule},
    tables::{ServiceTable, Tables},
    topology::Topology,
};

/// Identity of a real server within the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealId {
    /// Its service.
    pub service: ServiceKey,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
}

/// What the operator has changed at run time. Kept until the daemon ends or the operator takes it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// Weight instead of the configured one.
    pub weight: Option<u32>,
    /// Drained: keeps its connections, takes no new ones.
    pub drained: bool,
    /// Disabled: the same, and no longer checked.
    pub disabled: bool,
}

/// Everything known.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// Sizes that the data plane really has; those in the configuration where it was loaded with them.
    pub limits: Limits,
    /// Role of this router.
    pub role: RouterRole,
    /// Virtual addresses whose services are the peer's now, although the role of this router may be active.
    pub closed: &'a BTreeSet<Ipv4Addr>,
    /// Measured health; a real server that is absent here has not been checked yet: it stays up where it is installed
    /// as up, and otherwise takes nothing.
    pub health: &'a BTreeMap<RealId, bool>,
    /// The operator's changes.
    pub overrides: &'a BTreeMap<RealId, Override>,
    /// The network.
    pub topology: &'a Topology,
    /// What stands in the maps now: it keeps service numbers, real server slots and generations stable.
    pub installed: &'a Tables,
    /// Next position of each service's ring now, for schedulers that go on where they were.
    pub positions: &'a BTreeMap<ServiceKey, u64>,
}

/// A configuration that the data plane has no room for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// More services than `limits.services`.
    #[error("{0} services, but limits.services is {1}")]
    TooManyServices(usize, u32),
    /// More real servers than `limits.reals`, counting those that this very change removes: their slots are free for
    /// others only once it stands in the maps.
    #[error("{0} real servers, those being removed included, but limits.reals is {1}")]
    TooManyReals(usize, u32),
    /// More real servers in one service than a schedule has slots.
    #[error("service {0} has {1} real servers, but its schedule holds {2}")]
    TooManyInService(String, usize, usize),
}

/// What should stand in the maps. Applied and planned again with the same inputs, it is the same.
///
/// # Errors
/// When the configuration does not fit the limits.
pub fn plan(inputs: &Inputs<'_>) -> Result<Tables, PlanError> {
    for service in &inputs.config.services {
        let (servers, capacity) = (service.reals.len(), schedule::capacity(service.scheduler));
        if servers > capacity {
            return Err(PlanError::TooManyInService(service.name.clone(), servers, capacity));
        }
    }
    let ids = slots::service_ids(inputs)?;
    let seats = slots::seats(inputs)?;
    let reals = reals::reals(inputs, &ids, &seats);
    let services = inputs
        .config
        .services
        .iter()
        .filter_map(|service| {
            let id = *ids.get(&service.key)?;
            Some((service.key, service_table(inputs, service, id, &seats, &reals)))
        })
        .collect();
    Ok(Tables {
        role: inputs.role,
        real_keys: real_keys(&services, &reals),
        methods: methods(&reals),
        services,
        reals,
        peer_hops: peer_hops(inputs),
        locals: inputs.topology.locals.clone(),
        floating: floating(inputs.config),
        virtual_macs: virtual_macs(inputs),
    })
}

/// A service's ring; the installed one's start stays with it while it does not change.
fn service_table(
    inputs: &Inputs<'_>,
    service: &config::Service,
    id: u32,
    seats: &BTreeMap<RealId, slots::Seat>,
    reals: &BTreeMap<u32, Real>,
) -> ServiceTable {
    let installed = inputs
        .installed
        .services
        .get(&service.key)
        .filter(|installed| installed.id == id && installed.scheduler == service.scheduler);
    let previous = installed.map(|installed| Previous {
        ring: &installed.ring,
        start: installed.start,
        position: inputs.positions.get(&service.key).copied().unwrap_or(installed.start),
        divisor: schedule::common_divisor(
            installed
                .ring
                .iter()
                .filter_map(|&slot| inputs.installed.reals.get(&slot.into()))
                .map(|real| real.weight),
        ),
    });
    // The kernel's list has the server first that was added last.
    let members: Vec<Member> = service
        .reals
        .iter()
        .rev()
        .filter_map(|real| {
            let slot = seats.get(&RealId::of(service, real))?.slot;
            let address = SocketAddrV4::new(real.address, real.port);
            Some(Member { slot: u16::try_from(slot).ok()?, address, weight: reals::share(reals.get(&slot)?) })
        })
        .collect();
    let Schedule { ring, start } = schedule::schedule(service.scheduler, &members, previous);
    let start =
        installed.filter(|installed| installed.ring == ring).map_or(start, |installed| installed.start);
    let closed = inputs.closed.contains(&Ipv4Addr::from(service.key.address));
    ServiceTable { id, scheduler: service.scheduler, ring, start, closed }
}

/// The NAT real servers by the key of their replies. One that stands in several services has one key for all.
fn real_keys(
    services: &BTreeMap<ServiceKey, ServiceTable>,
    reals: &BTreeMap<u32, Real>,
) -> BTreeMap<RealKey, u32> {
    let protocols: BTreeMap<u32, u8> =
        services.iter().map(|(key, service)| (service.id, key.protocol)).collect();
    let mut keys = BTreeMap::new();
    for (&slot, real) in reals {
        if real.method != Method::Nat as u8 || real.state == RealState::Removed as u8 {
            continue;
        }
        if let Some(&protocol) = protocols.get(&real.service) {
            keys.entry(RealKey::new(protocol, real.address, real.port)).or_insert(slot);
        }
    }
    keys
}

/// The forwarding methods of all real servers.
fn methods(reals: &BTreeMap<u32, Real>) -> Methods {
    let in_use = reals.values().filter(|real| real.state != RealState::Removed as u8);
    in_use.filter_map(|real| Method::from_u8(real.method)).collect()
}

/// The ways to the peer, by the interface that each path leaves by: those over IPv4, like the packets.
fn peer_hops(inputs: &Inputs<'_>) -> BTreeMap<u32, PeerHop> {
    let paths = inputs.config.peer.iter().flat_map(|peer| &peer.paths);
    paths
        .filter_map(|path| inputs.topology.next_hops.get(&path.remote.ipv4()?))
        .map(|hop| (hop.ifindex, PeerHop { mac: hop.mac, source_mac: hop.source_mac }))
        .collect()
}

/// The addresses that are answered for under a lease, each under that of its group: of a router with a peer, which may have them
/// instead; and of one without, those that the program answers for.
fn floating(config: &Config) -> BTreeMap<Ipv4Addr, Floating> {
    let floating = config.floating().into_iter().map(|vip| {
        let address = vip.address.addr();
        let mac = config.virtual_mac_of(config.group_of(address)).map(|mac| mac.0);
        (address, Floating::new(config.lease_of(address), mac))
    });
    floating.filter(|(_, floating)| config.peer.is_some() || floating.virtual_mac().is_some()).collect()
}

/// The virtual MAC addresses, each on the interfaces that addresses with it stand on.
fn virtual_macs(inputs: &Inputs<'_>) -> BTreeMap<VirtualMacKey, VirtualMac> {
    let config = inputs.config;
    let place = |vip: config::Vip| {
        let group = config.group_of(vip.address.addr());
        let link = inputs.topology.links.get(&vip.interface)?;
        let key = VirtualMacKey::new(link.index, config.virtual_mac_of(group)?.0);
        Some((
            key,
            VirtualMac { own: link.mac, lease: u16::try_from(config.lease_of(vip.address.addr())).ok()? },
        ))
    };
    config.floating().into_iter().filter_map(place).collect()
}

impl RealId {
    /// The identity of a real server of a service.
    pub const fn of(service: &config::Service, real: &config::Real) -> Self {
        Self { service: service.key, address: real.address, port: real.port }
    }
}

#[cfg(test)]
mod tests {
    use lb_common::RING_SLOTS;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        datapath::{Datapath, memory::MemoryDatapath},
        reconcile::reconcile,
    };
    use fixture::{World, worlds};

    #[test]
    fn a_server_without_a_check_is_up_and_an_unchecked_one_waits() {
        let mut world = World::two_servers();
        assert_eq!(states(&world, &Tables::default()), [RealState::Up, RealState::Up]);
        world.require_checks();
        assert_eq!(states(&world, &Tables::default()), [RealState::Down, RealState::Down]);
        world.set_health(0, true);
        world.set_health(1, false);
        assert_eq!(states(&world, &Tables::default()), [RealState::Up, RealState::Down]);
    }

    #[test]
    fn a_restarted_daemon_takes_no_server_out() {
        let mut world = World::two_servers();
        world.require_checks();
        world.set_health(0, true);
        world.set_health(1, false);
        let installed = world.fresh();
        world.health.clear();
        assert_eq!(world.plan(&installed, &BTreeMap::new()).unwrap(), installed);
    }

    #[test]
    fn the_operator_comes_before_the_check() {
        let mut world = World::two_servers();
        world.override_of(0).drained = true;
        world.override_of(1).weight = Some(0);
        assert_eq!(states(&world, &Tables::default()), [RealState::Quiesced, RealState::Quiesced]);
        assert!(world.ring(&world.fresh()).is_empty());
        *world.override_of(0) = Override { weight: Some(7), ..Override::default() };
        assert_eq!(world.fresh().reals[&0].weight, 7);
        *world.override_of(0) = Override { disabled: true, ..Override::default() };
        assert_eq!(states(&world, &Tables::default())[0], RealState::Quiesced);
    }

    #[test]
    fn an_unresolved_server_waits_outside_and_a_silent_neighbour_changes_nothing() {
        let mut world = World::two_servers();
        let hop = world.topology.next_hops.remove(&world.address(1)).unwrap();
        let without = world.fresh();
        assert_eq!((without.reals[&1].ifindex, world.ring(&without)), (0, vec![0]));

        world.topology.next_hops.insert(world.address(1), hop);
        let with = world.plan(&without, &BTreeMap::new()).unwrap();
        assert_eq!(world.ring(&with), [1, 0]);

        world.topology.next_hops.clear();
        assert_eq!(world.plan(&with, &BTreeMap::new()).unwrap(), with, "the last known way is kept");

        world.topology.links.clear();
        assert_eq!(world.plan(&with, &BTreeMap::new()).unwrap(), with, "no links are known yet");

        let other = crate::topology::Link { index: 99, mac: [2; 6], up: true };
        world.topology.links.insert("other0".into(), other);
        assert!(
            world.ring(&world.plan(&with, &BTreeMap::new()).unwrap()).is_empty(),
            "the interface is gone"
        );
    }

    #[test]
    fn a_removed_server_keeps_its_slot_and_another_method_is_another_server() {
        let mut world = World::two_servers();
        let first = world.fresh();
        world.config.services[0].reals[1].method = Method::Direct;
        let second = world.plan(&first, &BTreeMap::new()).unwrap();
        assert_eq!(second.reals[&1], Real { state: RealState::Removed as u8, ..first.reals[&1] });
        assert_eq!((second.reals[&2].generation, second.reals[&2].method), (1, Method::Direct as u8));
        assert_eq!(world.ring(&second), [2, 0]);
        assert!(!second.real_keys.values().any(|&slot| slot != 0), "direct routing has no replies here");
    }

    #[test]
    fn real_servers_keep_their_slots_where_an_upgrade_has_left_no_services() {
        let world = World::three_weighted();
        let mut turned = world.clone();
        turned.config.services[0].reals.rotate_left(1);
        let first = world.fresh();
        let upgraded = Tables { role: RouterRole::Standby, reals: first.reals.clone(), ..Tables::default() };
        let second = turned.plan(&upgraded, &BTreeMap::new()).unwrap();
        let seats = |tables: &Tables| -> Vec<(u32, [u8; 4], u32)> {
            tables.reals.iter().map(|(slot, real)| (*slot, real.address, real.generation)).collect()
        };
        assert_eq!(seats(&second), seats(&first));
        assert!(second.reals.values().all(|real| real.state == RealState::Up as u8));
    }

    #[test]
    fn a_freed_slot_is_the_last_resort_and_has_the_next_generation() {
        let mut world = World::two_servers();
        world.config.limits.reals = 3;
        let first = world.fresh();
        let second_server = world.config.services[0].reals.remove(1);
        let second = world.plan(&first, &BTreeMap::new()).unwrap();
        world.config.services[0].reals.push(second_server.clone());
        let third = world.plan(&second, &BTreeMap::new()).unwrap();
        assert_eq!(
            (third.reals[&2].generation, third.reals[&2].address),
            (1, second_server.address.octets())
        );
        world.config.services[0].reals.push(config::Real { port: 9999, ..second_server });
        let fourth = world.plan(&third, &BTreeMap::new()).unwrap();
        assert_eq!((fourth.reals[&1].generation, fourth.reals[&1].port), (2, 9999));
        // All three slots are taken: to replace a server, its removal must stand in the maps first.
        world.config.services[0].reals[2].port = 9998;
        assert_eq!(world.plan(&fourth, &BTreeMap::new()), Err(PlanError::TooManyReals(4, 3)));
    }

    #[test]
    fn addresses_are_answered_for_under_a_lease_where_there_is_a_peer() {
        let mut world = World::two_servers();
        let vip = |address: &str| config::Vip { address: address.parse().unwrap(), interface: "eth0".into() };
        world.config.vips = vec![vip("192.0.2.1/32")];
        world.config.router.nat_router = Some(vip("10.0.0.254/24"));
        assert_eq!(world.fresh().floating, BTreeMap::new());
        world.config.peer = Some(fixture::peer());
        let floating = [[192, 0, 2, 1], [10, 0, 0, 254]]
            .map(|address| (Ipv4Addr::from(address), Floating::new(0, None)));
        assert_eq!(world.fresh().floating, BTreeMap::from(floating));
    }

    #[test]
    fn a_virtual_mac_answers_for_its_addresses_wherever_they_stand_and_without_a_peer_too() {
        let mut world = World::two_servers();
        let vip = |address: &str, interface: &str| config::Vip {
            address: address.parse().unwrap(),
            interface: interface.into(),
        };
        let link = |index, last| crate::topology::Link { index, mac: [2, 0, 0, 0, 0, last], up: true };
        world.topology.links = [("eth0".into(), link(2, 1)), ("eth1".into(), link(3, 2))].into();
        world.config.vips = vec![vip("192.0.2.1/32", "eth0"), vip("192.0.2.2/32", "eth0")];
        world.config.router.nat_router = Some(vip("10.0.0.254/24", "eth1"));
        world.config.router.virtual_mac = Some(crate::mac::Mac::of_virtual_router(51));
        let mac = [0, 0, 0x5e, 0, 1, 51];
        for peer in [None, Some(fixture::peer())] {
            world.config.peer = peer;
            let Tables { floating, virtual_macs, .. } = world.fresh();
            assert_eq!(floating.len(), 3);
            assert!(floating.values().all(|one| *one == Floating::new(0, Some(mac))), "{floating:?}");
            let own = |ifindex, last| {
                (VirtualMacKey::new(ifindex, mac), VirtualMac { own: [2, 0, 0, 0, 0, last], lease: 0 })
            };
            assert_eq!(virtual_macs, [own(2, 1), own(3, 2)].into());
        }
        world.topology.links.remove("eth1");
        assert_eq!(world.fresh().virtual_macs.len(), 1, "the interface is gone");
    }

    #[test]
    fn limits() {
        let mut world = World::two_servers();
        world.config.limits.services = 0;
        assert_eq!(world.plan(&Tables::default(), &BTreeMap::new()), Err(PlanError::TooManyServices(1, 0)));
        world.config.limits.services = 1;
        let installed = world.fresh();
        world.config.services[0].key = ServiceKey::new(6, [192, 0, 2, 99], 80);
        let replaced = world.plan(&installed, &BTreeMap::new()).unwrap();
        assert_eq!(replaced.services[&world.config.services[0].key].id, 0, "no other id is left");
        let real = world.config.services[0].reals[0].clone();
        world.config.services[0].reals = vec![real; RING_SLOTS + 1];
        assert!(matches!(
            world.plan(&installed, &BTreeMap::new()),
            Err(PlanError::TooManyInService(name, 16_385, RING_SLOTS)) if name == "web"
        ));
    }

    #[test]
    fn a_changed_ring_goes_on_where_the_old_one_was() {
        let mut datapath = MemoryDatapath::default();
        let world = World::three_weighted();
        let key = world.config.services[0].key;
        reconcile(&mut datapath, &world.fresh()).unwrap();
        // The kernel's sequence for the weights 1, 2, 3: recorded as 3 2 1 3 3 2 3 2 1 ….
        let taken: Vec<_> = (0..20).filter_map(|_| datapath.connect(&key)).collect();
        assert_eq!(taken[..9], [2, 1, 0, 2, 2, 1, 2, 1, 0]);
        let mut world = world;
        world.override_of(1).drained = true;
        let positions = datapath.state().positions.clone();
        let next = world.plan(&datapath.installed().unwrap(), &positions).unwrap();
        reconcile(&mut datapath, &next).unwrap();
        let taken: Vec<_> = (0..6).filter_map(|_| datapath.connect(&key)).collect();
        assert_eq!(taken, [2, 0, 2, 2, 2, 0], "as recorded: 3 1 3 3 3 1");
    }

    proptest! {
        #[test]
        fn planning_again_changes_nothing(worlds in worlds(3)) {
            let mut installed = Tables::default();
            for world in worlds {
                installed = world.plan(&installed, &BTreeMap::new()).unwrap();
                prop_assert_eq!(&world.plan(&installed, &BTreeMap::new()).unwrap(), &installed);
            }
        }

        #[test]
        fn a_flow_never_comes_to_mean_another_server(
            worlds in worlds(12),
            accepts in prop::collection::vec(0_usize..60, 12),
        ) {
            let mut datapath = MemoryDatapath::default();
            let mut owners = BTreeMap::new();
            for (world, accepts) in worlds.iter().zip(accepts) {
                let Ok(desired) = world.plan(&datapath.installed().unwrap(), &BTreeMap::new()) else { continue };
                // A third of the time the daemon is killed on the way.
                datapath.state().accepts = (accepts < 20).then_some(accepts);
                let _may_fail = reconcile(&mut datapath, &desired);
                for (slot, real) in &datapath.state().tables.reals {
                    let server = (real.address, real.port, real.method);
                    let owner = owners.entry((*slot, real.generation)).or_insert(server);
                    prop_assert_eq!(*owner, server, "slot {} generation {}", slot, real.generation);
                }
            }
        }

        #[test]
        fn a_server_keeps_its_seat_while_it_is_configured(worlds in worlds(6)) {
            let mut installed = Tables::default();
            for world in worlds {
                let desired = world.plan(&installed, &BTreeMap::new()).unwrap();
                let before = seats(&installed);
                for (server, seat) in seats(&desired) {
                    prop_assert!(before.get(&server).is_none_or(|earlier| *earlier == seat), "{:?} moved", server);
                }
                installed = desired;
            }
        }
    }

    /// Service, address, port and method.
    type Server = (ServiceKey, [u8; 4], u16, u8);

    /// Slot and generation of every server, by what makes it the same server.
    fn seats(tables: &Tables) -> BTreeMap<Server, (u32, u32)> {
        let keys: BTreeMap<u32, ServiceKey> =
            tables.services.iter().map(|(key, table)| (table.id, *key)).collect();
        let live = tables.reals.iter().filter(|(_, real)| real.state != RealState::Removed as u8);
        live.map(|(slot, real)| {
            ((keys[&real.service], real.address, real.port, real.method), (*slot, real.generation))
        })
        .collect()
    }

    fn states(world: &World, installed: &Tables) -> Vec<RealState> {
        let tables = world.plan(installed, &BTreeMap::new()).unwrap();
        tables.reals.values().filter_map(|real| RealState::from_u8(real.state)).collect()
    }
}
