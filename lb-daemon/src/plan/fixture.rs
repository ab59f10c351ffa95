//! Inputs of the planner for tests: small ones to start from, and random ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use lb_common::{IPPROTO_TCP, IPPROTO_UDP, Method, RouterRole, Scheduler, ServiceKey};
use proptest::prelude::*;

use super::{Inputs, Override, PlanError, RealId, plan};
use crate::{
    config::{
        BpfLog, Check, Config, ConnectionSync, Daemon, Failback, Key, Keys, Limits, Peer, Probe, Real,
        Router, Service,
    },
    tables::Tables,
    topology::{Link, NextHop, Topology},
};

/// Everything that [`Inputs`] refers to, but for what stands in the maps.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) role: RouterRole,
    pub(crate) closed: BTreeSet<Ipv4Addr>,
    pub(crate) health: BTreeMap<RealId, bool>,
    pub(crate) overrides: BTreeMap<RealId, Override>,
    pub(crate) topology: Topology,
}

impl World {
    /// An active router with one service `web` without a check, round robin over two NAT servers of weight 1.
    pub(crate) fn two_servers() -> Self {
        Self::of(vec![service(0, Scheduler::RoundRobin, None, vec![server(0, 80, 1), server(1, 80, 1)])])
    }

    /// The same with the servers and weights of the recordings: three servers with the weights 1, 2 and 3 by `wrr`.
    pub(crate) fn three_weighted() -> Self {
        let servers = vec![server(0, 80, 1), server(1, 80, 2), server(2, 80, 3)];
        Self::of(vec![service(0, Scheduler::WeightedRoundRobin, None, servers)])
    }

    /// An active router with these services, every server of them resolved.
    pub(crate) fn of(services: Vec<Service>) -> Self {
        let addresses = services.iter().flat_map(|service| &service.reals).map(|real| real.address);
        let hops = addresses.map(|address| (address, hop(address))).collect();
        Self {
            config: config(services),
            role: RouterRole::Active,
            closed: BTreeSet::new(),
            health: BTreeMap::new(),
            overrides: BTreeMap::new(),
            topology: Topology {
                links: [("real0".into(), Link { index: IFINDEX, mac: [2; 6], up: true })].into(),
                next_hops: hops,
                locals: BTreeSet::from([[10, 0, 0, 254].into()]),
                addresses: BTreeSet::new(),
            },
        }
    }

    /// The plan on top of what is installed.
    pub(crate) fn plan(
        &self,
        installed: &Tables,
        positions: &BTreeMap<ServiceKey, u64>,
    ) -> Result<Tables, PlanError> {
        let Self { config, role, closed, health, overrides, topology } = self;
        plan(&Inputs {
            closed,
            config,
            limits: config.limits,
            role: *role,
            health,
            overrides,
            topology,
            installed,
            positions,
        })
    }

    /// The plan on top of empty maps.
    pub(crate) fn fresh(&self) -> Tables {
        self.plan(&Tables::default(), &BTreeMap::new()).unwrap()
    }

    /// The ring of the first service.
    pub(crate) fn ring(&self, tables: &Tables) -> Vec<u16> {
        tables.services[&self.config.services[0].key].ring.clone()
    }

    /// Gives every service a check.
    pub(crate) fn require_checks(&mut self) {
        for service in &mut self.config.services {
            service.check = Some(check());
        }
    }

    /// Health of a server of the first service.
    pub(crate) fn set_health(&mut self, server: usize, healthy: bool) {
        self.health.insert(self.id(server), healthy);
    }

    /// The operator's changes to a server of the first service.
    pub(crate) fn override_of(&mut self, server: usize) -> &mut Override {
        let id = self.id(server);
        self.overrides.entry(id).or_default()
    }

    /// Address of a server of the first service.
    pub(crate) fn address(&self, server: usize) -> Ipv4Addr {
        self.id(server).address
    }

    fn id(&self, server: usize) -> RealId {
        let service = &self.config.services[0];
        RealId::of(service, &service.reals[server])
    }
}

/// Worlds as random edits make them of each other: services and servers come, go and change, all of a few.
pub(crate) fn worlds(count: usize) -> impl Strategy<Value = Vec<World>> {
    prop::collection::vec(world(), count)
}

fn world() -> impl Strategy<Value = World> {
    let services = prop::collection::btree_map(0_usize..4, any_service(), 0..=4);
    let marks = prop::collection::vec((any::<Option<bool>>(), any::<bool>(), 0_u8..8), 32);
    (services, any::<bool>(), marks).prop_map(|(services, active, marks)| {
        let services = services
            .into_iter()
            .map(|(index, (scheduler, checked, servers))| {
                service(index, scheduler, checked.then(check), servers)
            })
            .collect();
        let mut world = World::of(services);
        world.role = if active { RouterRole::Active } else { RouterRole::Standby };
        let services = world.config.services.iter();
        let ids = services.flat_map(|service| service.reals.iter().map(|real| RealId::of(service, real)));
        for (id, (health, resolved, wish)) in ids.zip(marks) {
            world.health.extend(health.map(|health| (id, health)));
            let wished =
                Override { weight: (wish == 0).then_some(3), drained: wish == 1, disabled: wish == 2 };
            world.overrides.insert(id, wished);
            if !resolved {
                world.topology.next_hops.remove(&id.address);
            }
        }
        world
    })
}

fn any_service() -> impl Strategy<Value = (Scheduler, bool, Vec<Real>)> {
    let scheduler = prop::sample::select(vec![
        Scheduler::RoundRobin,
        Scheduler::WeightedRoundRobin,
        Scheduler::SourceHash,
        Scheduler::Maglev,
    ]);
    let servers = prop::collection::btree_map((0_u8..4, 80_u16..82), (0_u32..5, any::<bool>()), 0..=5);
    let servers = servers.prop_map(|servers| {
        let made = servers.into_iter().map(|((host, port), (weight, nat))| {
            let method = if nat { Method::Nat } else { Method::Direct };
            Real { method, ..server(host, port, weight) }
        });
        made.collect()
    });
    (scheduler, any::<bool>(), servers)
}

fn service(index: usize, scheduler: Scheduler, check: Option<Check>, reals: Vec<Real>) -> Service {
    let (name, protocol, port) = [
        ("web", IPPROTO_TCP, 80),
        ("dns", IPPROTO_UDP, 53),
        ("mail", IPPROTO_TCP, 25),
        ("dns-tcp", IPPROTO_TCP, 53),
    ][index];
    let key = ServiceKey::new(protocol, [192, 0, 2, 1], port);
    Service { name: name.into(), key, scheduler, check, reals }
}

fn server(host: u8, port: u16, weight: u32) -> Real {
    let address = Ipv4Addr::new(10, 0, 0, host + 1);
    Real { name: format!("server{host}-{port}"), address, port, weight, method: Method::Nat }
}

fn check() -> Check {
    let (interval, timeout) = (Duration::from_secs(2), Duration::from_secs(1));
    Check { probe: Probe::Connect, port: None, interval, timeout, rise: 1, fall: 2 }
}

/// A peer without a path.
pub(crate) fn peer() -> Peer {
    let interval = Duration::from_secs(1);
    Peer {
        priority: 1,
        interval,
        dead_after: interval * 3,
        failback: Failback::Manual,
        port: 539,
        keys: Keys::one(Key(b"sixteen octets or more".to_vec())),
        witnesses: Vec::new(),
        paths: Vec::new(),
        sync: ConnectionSync { enabled: false, port: 540, half_open: false },
    }
}

fn hop(address: Ipv4Addr) -> NextHop {
    let [.., last] = address.octets();
    NextHop { ifindex: IFINDEX, mac: [2, 0, 0, 0, 1, last], source_mac: [2; 6] }
}

fn config(services: Vec<Service>) -> Config {
    Config {
        router: Router {
            name: "router".into(),
            interfaces: BTreeSet::from(["real0".into()]),
            nat_router: None,
            virtual_mac: None,
        },
        peer: None,
        tracks: Vec::new(),
        notify: crate::config::Notify::default(),
        announce: crate::config::Announce::default(),
        groups: Vec::new(),
        vips: Vec::new(),
        services,
        // Few enough that random edits come to slots used before.
        limits: Limits { flows: 1024, services: 16, reals: 80 },
        daemon: Daemon {
            pin_dir: "/sys/fs/bpf/lbd".into(),
            socket: "/run/lbd.sock".into(),
            bpf_log: BpfLog::Off,
        },
    }
}

const IFINDEX: u32 = 7;
