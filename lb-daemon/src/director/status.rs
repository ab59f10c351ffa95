//! The router at a glance: from everything the director knows to what the API shows. Pure.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Instant};

use lb_common::{IPPROTO_TCP, Method, RealCounters};

use crate::{
    api::types::{
        AddressStatus, ConflictStatus, GroupStatus, InterfaceStatus, Maintenance, PeerStatus, RealStatus,
        ServiceStatus, Status, SyncStatus, Totals, TrackStatus,
    },
    config::{Config, Real, Service},
    connections::Counts,
    director::{rates::Estimator, servers::real_id},
    ha::{Role, driver::RoleState},
    plan::{Override, RealId},
    topology::Topology,
};

/// What a status is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Configuration in force.
    pub config: &'a Config,
    /// Role, the sentence that explains it, and seconds since it was taken.
    pub role: (&'static str, String, u64),
    /// Roles by group.
    pub roles: &'a [RoleState],
    /// The groups, where there are any.
    pub groups: Vec<GroupStatus>,
    /// What the operator holds this router in.
    pub maintenance: Option<Maintenance>,
    /// The pair.
    pub peer: Option<PeerStatus>,
    /// What is tracked.
    pub tracks: Vec<TrackStatus>,
    /// How connections are copied.
    pub sync: Option<SyncStatus>,
    /// The same to the peer, where there are both directions.
    pub sync_out: Option<SyncStatus>,
    /// How the program is attached, by interface.
    pub modes: BTreeMap<String, &'static str>,
    /// The network.
    pub topology: &'a Topology,
    /// Measured health.
    pub health: &'a BTreeMap<RealId, bool>,
    /// What the last check of each server said.
    pub details: BTreeMap<RealId, String>,
    /// The operator's changes.
    pub overrides: &'a BTreeMap<RealId, Override>,
    /// Connections of each server.
    pub connections: &'a BTreeMap<RealId, Counts>,
    /// Counters of each server.
    pub counters: &'a BTreeMap<RealId, RealCounters>,
    /// Rates of each server.
    pub rates: &'a Estimator,
    /// Addresses that somebody else claims.
    pub conflicts: Vec<ConflictStatus>,
    /// What went wrong in the director and still stands.
    pub trouble: &'a [String],
}

/// Role of a router whose groups have different ones.
pub const MIXED: &str = "mixed";

/// The role of a router, why it has it, and for how many seconds: those of its groups in one. `explanation` is that of the first.
pub fn role(states: &[RoleState], explanation: &str, now: Instant) -> (&'static str, String, u64) {
    let secs = |since: Instant| now.saturating_duration_since(since).as_secs();
    let since = states.iter().map(|state| secs(state.since)).min().unwrap_or_default();
    match states {
        [] => (MIXED, String::new(), 0),
        [one] => (one.role.name(), explanation.to_owned(), since),
        [first, others @ ..] => {
            let same = others.iter().all(|other| other.role == first.role);
            let reason = "each group has a role of its own".to_owned();
            (if same { first.role.name() } else { MIXED }, reason, since)
        }
    }
}

/// What all groups are held in; `None` where some are not, or in something else.
pub fn common(held: &[Option<Maintenance>]) -> Option<Maintenance> {
    let (first, others) = held.split_first()?;
    others.iter().all(|other| other == first).then(|| first.clone())?
}

fn group_name(config: &Config, group: usize) -> Option<String> {
    config.groups.get(group).map(|group| group.name.clone())
}

/// Puts a status together.
pub fn build(facts: &Facts<'_>) -> Status {
    let (role, reason, since_secs) = &facts.role;
    let mut status = Status {
        router: facts.config.router.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        role: (*role).to_owned(),
        reason: reason.clone(),
        since_secs: *since_secs,
        groups: facts.groups.clone(),
        maintenance: facts.maintenance.clone(),
        peer: facts.peer.clone(),
        tracks: facts.tracks.clone(),
        sync: facts.sync.clone(),
        sync_out: facts.sync_out.clone(),
        interfaces: facts
            .modes
            .iter()
            .map(|(name, mode)| InterfaceStatus { name: name.clone(), mode: (*mode).to_owned() })
            .collect(),
        addresses: addresses(facts),
        conflicts: facts.conflicts.clone(),
        services: facts.config.services.iter().map(|one| service(facts, one)).collect(),
        warnings: facts.trouble.to_vec(),
    };
    let warnings = warnings(facts, &status);
    status.warnings.extend(warnings);
    status
}

fn addresses(facts: &Facts<'_>) -> Vec<AddressStatus> {
    facts
        .config
        .floating()
        .into_iter()
        .map(|vip| {
            let group = facts.config.group_of(vip.address.addr());
            AddressStatus {
                group: group_name(facts.config, group),
                address: vip.address.to_string(),
                present: facts.topology.addresses.contains(&vip),
                interface: vip.interface,
                virtual_mac: facts.config.virtual_mac_of(group).map(|mac| mac.to_string()),
            }
        })
        .collect()
}

fn service(facts: &Facts<'_>, service: &Service) -> ServiceStatus {
    ServiceStatus {
        group: group_name(facts.config, facts.config.group_of_service(&service.key)),
        name: service.name.clone(),
        protocol: if service.key.protocol == IPPROTO_TCP { "tcp" } else { "udp" }.to_owned(),
        address: Ipv4Addr::from(service.key.address),
        port: service.key.port,
        scheduler: service.scheduler.name().to_owned(),
        reals: service.reals.iter().map(|one| real(facts, service, one)).collect(),
    }
}

fn real(facts: &Facts<'_>, service: &Service, real: &Real) -> RealStatus {
    let id = real_id(service, real);
    let change = facts.overrides.get(&id).copied().unwrap_or_default();
    let weight = change.weight.unwrap_or(real.weight);
    let connections = facts.connections.get(&id).copied().unwrap_or_default();
    let counters = facts.counters.get(&id).copied().unwrap_or_default();
    RealStatus {
        name: real.name.clone(),
        address: real.address,
        port: real.port,
        method: match real.method {
            Method::Nat => "nat",
            Method::Direct => "direct",
        }
        .to_owned(),
        state: state(service, facts.health.get(&id).copied(), change, weight).to_owned(),
        detail: facts.details.get(&id).cloned().unwrap_or_default(),
        weight,
        configured_weight: real.weight,
        reachable: facts.topology.next_hops.contains_key(&real.address),
        active_connections: connections.active,
        inactive_connections: connections.inactive,
        totals: totals(&counters),
        rates: facts.rates.rates(&id),
    }
}

fn state(service: &Service, healthy: Option<bool>, change: Override, weight: u32) -> &'static str {
    let healthy = if service.check.is_none() { Some(true) } else { healthy };
    match (change, healthy) {
        (Override { disabled: true, .. }, _) => "disabled",
        (Override { drained: true, .. }, _) => "drained",
        (_, None) => "unchecked",
        (_, Some(false)) => "down",
        (_, Some(true)) if weight == 0 => "quiesced",
        (_, Some(true)) => "up",
    }
}

fn totals(counters: &RealCounters) -> Totals {
    let RealCounters { connections, in_packets, in_bytes, out_packets, out_bytes } = *counters;
    Totals { connections, in_packets, out_packets, in_bytes, out_bytes }
}

fn warnings(facts: &Facts<'_>, status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    for track in status.tracks.iter().filter(|track| track.ok == Some(false)) {
        lines.push(format!("track {} fails: {}", track.name, track.detail));
    }
    for interface in status.interfaces.iter().filter(|interface| interface.mode != "native") {
        lines.push(format!("{}: the XDP program runs in generic mode, slower than native", interface.name));
    }
    for name in &facts.config.router.interfaces {
        match facts.topology.links.get(name) {
            None => lines.push(format!("{name}: the interface is gone")),
            Some(link) if !link.up => lines.push(format!("{name}: the link is down")),
            Some(_) => {}
        }
    }
    for service in &status.services {
        if !service.reals.iter().any(|real| real.state == "up" && real.reachable) {
            lines.push(format!("service {}: no real server takes new connections", service.name));
        }
        for real in service.reals.iter().filter(|real| !real.reachable) {
            lines.push(format!(
                "real server {}: no next hop, is there a route and does it answer ARP?",
                real.name
            ));
        }
    }
    let paths = facts.config.peer.as_ref().map(|peer| &peer.paths);
    if paths.is_some_and(|paths| paths.iter().all(|path| path.remote.ipv4().is_none())) {
        let what =
            "no heartbeat path is IPv4: packets of connections unknown here cannot be passed to the peer";
        lines.push(what.to_owned());
    }
    for vip in facts.config.floating() {
        let strays = facts.topology.addresses.iter();
        for stray in strays.filter(|other| other.address.addr() == vip.address.addr() && **other != vip) {
            lines.push(format!(
                "{} on {} is not of the configuration: it is answered for whatever the role",
                stray.address, stray.interface
            ));
        }
    }
    lines.extend(status.conflicts.iter().map(|conflict| format!("address conflict: {}", conflict.text)));
    let active = facts.roles.iter().enumerate().filter(|(_, state)| state.role == Role::Active);
    for vip in active.flat_map(|(group, _)| facts.config.floating_of(group)) {
        if !facts.topology.addresses.contains(&vip) {
            lines.push(format!("{} is missing on {}", vip.address, vip.interface));
        }
    }
    lines
}
