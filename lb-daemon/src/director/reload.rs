//! What a reload may change while packets flow, and what needs a restart. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::{Check, Config, Vip},
    director::servers::real_id,
    plan::{Override, RealId},
};

/// Names the parts of the configuration that differ and are fixed while the daemon runs.
pub fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut parts = Vec::new();
    let mut differ = |part, differs: bool| {
        if differs {
            parts.push(part);
        }
    };
    differ("router.name", old.router.name != new.router.name);
    differ("router.interfaces", old.router.interfaces != new.router.interfaces);
    differ("[peer]", old.peer.is_some() != new.peer.is_some());
    if let (Some(old), Some(new)) = (&old.peer, &new.peer) {
        differ("peer.paths", old.paths != new.paths);
        differ("peer.port", old.port != new.port);
        differ("peer.key", old.key != new.key);
    }
    differ("[limits]", old.limits != new.limits);
    differ("[daemon]", old.daemon != new.daemon);
    parts
}

/// The addresses that move with the role: every VIP and the NAT router address.
pub fn floating(config: &Config) -> BTreeSet<Vip> {
    config.vips.iter().chain(&config.router.nat_router).cloned().collect()
}

/// The targets whose next hops must be known: every real server and the peer on every path.
pub fn targets(config: &Config) -> BTreeSet<std::net::Ipv4Addr> {
    let reals = config.services.iter().flat_map(|service| service.reals.iter().map(|real| real.address));
    let peers = config.peer.iter().flat_map(|peer| peer.paths.iter().map(|path| path.remote));
    reals.chain(peers).collect()
}

/// The checks that should run: of every real server whose service has one and that is not disabled.
pub fn checks(config: &Config, overrides: &BTreeMap<RealId, Override>) -> BTreeMap<RealId, Check> {
    let mut wanted = BTreeMap::new();
    for service in &config.services {
        let Some(check) = &service.check else { continue };
        for real in &service.reals {
            let id = real_id(service, real);
            if !overrides.get(&id).is_some_and(|change| change.disabled) {
                wanted.insert(id, check.clone());
            }
        }
    }
    wanted
}
