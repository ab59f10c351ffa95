//! The pair as the API shows it.

use std::time::Instant;

use super::{Core, keys};
use crate::{
    api::types::{LeaseStatus, PathStatus, PeerStatus, Transition, WitnessStatus},
    config::{HeartbeatPath, HostAddress},
    ha::{
        Role,
        engine::{self, Settings},
    },
};

/// State of the lease of an active router that must not answer.
const EXPIRED: &str = "expired";

/// What is known of the peer.
pub(super) fn of(
    core: &Core,
    paths: &[HeartbeatPath],
    witnesses: &[HostAddress],
    now: Instant,
) -> PeerStatus {
    let peer = core.engine.peer();
    PeerStatus {
        name: peer.said.as_ref().map(|heartbeat| heartbeat.name.clone()),
        role: peer.said.as_ref().map(|heartbeat| heartbeat.role.name().to_owned()),
        alive: peer.alive(),
        fault: peer.said.as_ref().is_some_and(|heartbeat| heartbeat.fault),
        priority: peer.said.as_ref().map(|heartbeat| heartbeat.priority),
        paths: paths.iter().zip(&peer.paths).map(|(config, seen)| path(config, seen, now)).collect(),
        witnesses: witnesses.iter().map(|one| witness(core, one, now)).collect(),
        lease: lease(core, now),
        ignored: core.ignored.iter().map(|(cause, count)| (cause.name().to_owned(), *count)).collect(),
        transitions: core.engine.transitions().map(|seen| transition(seen, now)).collect(),
    }
}

/// What is not as it should be between the two routers.
pub(super) fn warnings(core: &Core, paths: &[HeartbeatPath], now: Instant) -> Vec<String> {
    let Settings { witness, dead_after, .. } = core.engine.settings();
    let answers = core.witnessed.values().any(|asked| now.saturating_duration_since(*asked) < *dead_after);
    let alone =
        (*witness && !answers).then_some("no witness answers: without the peer, this router is not active");
    let expired = (lease(core, now).state == EXPIRED && core.engine.settings().paths > 0).then_some(
        "the lease has expired: addresses are not answered for until the peer is heard, or stays silent",
    );
    let own = [alone, expired].into_iter().flatten().map(str::to_owned);
    own.chain(warnings_of_pair(core, paths)).collect()
}

fn warnings_of_pair(core: &Core, paths: &[HeartbeatPath]) -> Vec<String> {
    let engine = &core.engine;
    let Some(said) = engine.peer().said.as_ref().filter(|_| engine.peer().alive()) else {
        let lost = engine.settings().paths > 0;
        return lost.then(|| "the peer is not heard on any heartbeat path".to_owned()).into_iter().collect();
    };
    let silent = paths.iter().zip(&engine.peer().paths).filter(|(_, seen)| !seen.alive);
    let mut warnings: Vec<_> = silent
        .map(|(path, _)| format!("heartbeat path {} to {} is silent", path.local, path.remote))
        .collect();
    if said.priority == engine.settings().priority && !said.weak {
        warnings.push(format!("both routers have the priority {}", said.priority));
    }
    if said.config_hash != engine.settings().config_hash {
        warnings.push(format!("the configuration differs from that of {}", said.name));
    }
    if keys::differ(core) {
        warnings.push(format!("{} signs its heartbeats with another key than this router", said.name));
    }
    warnings
}

fn lease(core: &Core, now: Instant) -> LeaseStatus {
    let left = core.engine.lease_left(now);
    let state = match (left, core.engine.role()) {
        (Some(_), _) => "running",
        (None, Role::Active) => EXPIRED,
        (None, Role::Starting | Role::Standby | Role::Leaving) => "none",
    };
    LeaseStatus {
        state: state.to_owned(),
        left_ms: left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn witness(core: &Core, address: &HostAddress, now: Instant) -> WitnessStatus {
    let ago = core.witnessed.get(address).map(|asked| now.saturating_duration_since(*asked));
    WitnessStatus {
        address: address.to_string(),
        answers: ago.is_some_and(|ago| ago < core.engine.settings().dead_after),
        silent_ms: ago.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn path(config: &HeartbeatPath, seen: &engine::Path, now: Instant) -> PathStatus {
    let silent = seen.heard.map(|heard| now.saturating_duration_since(heard).as_millis());
    PathStatus {
        local: config.local.to_string(),
        remote: config.remote.to_string(),
        alive: seen.alive,
        silent_ms: silent.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
    }
}

fn transition(seen: &engine::Transition, now: Instant) -> Transition {
    Transition {
        ago_secs: now.saturating_duration_since(seen.at).as_secs(),
        from: seen.from.name().to_owned(),
        to: seen.to.name().to_owned(),
        reason: seen.reason.clone(),
    }
}
