//! The pair as the API shows it.

use std::time::{Duration, Instant};

use super::{Core, keys};
use crate::{
    api::types::{
        BehindStatus, FailbackStatus, GroupStatus, LeaseStatus, PathStatus, PeerStatus, Transition,
        WitnessStatus,
    },
    config::{Failback, HeartbeatPath, HostAddress},
    ha::{
        Role,
        engine::{self, Behind, Engine, Forced},
        heartbeat::Heartbeat,
    },
    sync::record::LEN as RECORD,
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
    let said = || core.engines.iter().filter_map(|engine| engine.peer().said.as_ref());
    // What it says of one group, where it says the same of all.
    let first = said().next();
    let same = |name: fn(&Heartbeat) -> Option<&'static str>| {
        let first = name(first?)?;
        Some(if said().all(|other| name(other) == Some(first)) { first } else { "mixed" }.to_owned())
    };
    PeerStatus {
        name: first.map(|heartbeat| heartbeat.name.clone()),
        role: same(|heartbeat| Some(heartbeat.role.name())),
        alive: core.hears_peer(),
        fault: said().any(|heartbeat| heartbeat.fault),
        forced: same(|heartbeat| heartbeat.forced.map(Forced::name)),
        priority: first.map(|heartbeat| heartbeat.priority),
        paths: paths.iter().zip(0..).map(|(config, number)| path(config, seen(core, number), now)).collect(),
        witnesses: witnesses.iter().map(|one| witness(core, one, now)).collect(),
        failback: alone(core).and_then(failback),
        behind: furthest(core, now).map(behind),
        lease: lease(core, now),
        ignored: core.ignored.iter().map(|(cause, count)| (cause.name().to_owned(), *count)).collect(),
        transitions: transitions(core, now),
    }
}

/// Every group; none where there is but the one without a name.
pub(super) fn groups(core: &Core, now: Instant) -> Vec<GroupStatus> {
    let named = core.engines.iter().filter(|engine| !engine.settings().group.is_empty());
    named.map(|engine| group(engine, now)).collect()
}

fn group(engine: &Engine, now: Instant) -> GroupStatus {
    let said = engine.peer().said.as_ref().filter(|_| engine.peer().alive());
    GroupStatus {
        name: engine.settings().group.clone(),
        role: engine.role().name().to_owned(),
        reason: engine.explanation(),
        since_secs: now.saturating_duration_since(engine.since()).as_secs(),
        priority: engine.priority(),
        maintenance: engine.maintenance().cloned(),
        peer_role: said.map(|said| said.role.name().to_owned()),
        peer_priority: said.map(|said| said.priority),
        peer_forced: said.and_then(|said| said.forced).map(|role| role.name().to_owned()),
        failback: failback(engine),
        behind: engine.behind(now).map(behind),
    }
}

/// The engine of a router without groups.
fn alone(core: &Core) -> Option<&Engine> {
    core.engines.first().filter(|engine| engine.settings().group.is_empty())
}

/// Whether a router takes its role back; `None` without a peer.
fn failback(engine: &Engine) -> Option<FailbackStatus> {
    let delay = match engine.settings().failback {
        Failback::Auto { delay } => Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
        Failback::Manual => None,
    };
    let mode = if delay.is_some() { "auto" } else { "manual" };
    (engine.settings().paths > 0).then(|| FailbackStatus {
        mode: mode.to_owned(),
        delay_ms: delay,
        ready: engine.is_ready(),
    })
}

/// How far the standby is behind in the group where it is furthest.
fn furthest(core: &Core, now: Instant) -> Option<Behind> {
    let all = core.engines.iter().filter_map(|engine| engine.behind(now));
    all.max_by_key(|behind| (behind.records.is_none(), behind.records, behind.age))
}

fn behind(behind: Behind) -> BehindStatus {
    BehindStatus {
        records: behind.records,
        bytes: behind.records.map(|records| records.saturating_mul(RECORD as u64)),
        age_ms: u64::try_from(behind.age.as_millis()).unwrap_or(u64::MAX),
        far: behind.is_far,
    }
}

/// What is not as it should be between the two routers.
pub(super) fn warnings(core: &Core, paths: &[HeartbeatPath], now: Instant) -> Vec<String> {
    let settings = core.engines.first().map(Engine::settings);
    let (asks, dead_after) = settings.map_or((false, Duration::ZERO), |all| (all.witness, all.dead_after));
    let answers = core.witnessed.values().any(|asked| now.saturating_duration_since(*asked) < dead_after);
    let alone =
        (asks && !answers).then_some("no witness answers: without the peer, this router is not active");
    let expired = (lease(core, now).state == EXPIRED && !paths.is_empty()).then_some(
        "the lease has expired: addresses are not answered for until the peer is heard, or stays silent",
    );
    let own = [alone, expired].into_iter().flatten().map(str::to_owned);
    let held = core.engines.iter().filter_map(held);
    own.chain(held).chain(warnings_of_pair(core, paths)).collect()
}

fn warnings_of_pair(core: &Core, paths: &[HeartbeatPath]) -> Vec<String> {
    if !core.hears_peer() {
        let lost = !paths.is_empty();
        return lost.then(|| "the peer is not heard on any heartbeat path".to_owned()).into_iter().collect();
    }
    let silent =
        paths.iter().zip(0..).filter(|(_, number)| !seen(core, *number).is_some_and(|seen| seen.alive));
    let mut warnings: Vec<_> = silent
        .map(|(path, _)| format!("heartbeat path {} to {} is silent", path.local, path.remote))
        .collect();
    warnings.extend(core.engines.iter().filter_map(warning_of_group));
    let said = || core.engines.iter().filter_map(|engine| Some((engine, engine.peer().said.as_ref()?)));
    if let Some((_, said)) = said().find(|(engine, said)| said.config_hash != engine.settings().config_hash) {
        warnings.push(format!("the configuration differs from that of {}", said.name));
    }
    if let Some((_, said)) = said().next().filter(|_| keys::differ(core)) {
        warnings.push(format!("{} signs its heartbeats with another key than this router", said.name));
    }
    warnings
}

/// What is wrong with one group of a peer that is heard.
fn warning_of_group(engine: &Engine) -> Option<String> {
    let name = of_group(engine);
    let Some(said) = engine.peer().said.as_ref().filter(|_| engine.peer().alive()) else {
        return Some(format!(
            "the peer says nothing{name}: both routers must have the same [[group]] sections"
        ));
    };
    let equal = said.priority == engine.settings().priority && !said.weak;
    equal.then(|| format!("both routers have the priority {}{name}", said.priority))
}

/// What the operator may have forgotten.
fn held(engine: &Engine) -> Option<String> {
    let maintenance = engine.maintenance()?;
    let peer = engine.peer();
    let peer_too = peer.said.as_ref().is_some_and(|said| said.forced == Some(Forced::Standby));
    let nobody = match maintenance.role {
        Forced::Standby if engine.role().forwards() => "",
        Forced::Standby if !peer.alive() => ", and the peer is not heard: NO ROUTER IS ACTIVE",
        Forced::Standby if peer_too => ", and so is the peer: NO ROUTER IS ACTIVE",
        Forced::Standby | Forced::Active => "",
    };
    let (held, name) = (maintenance.words(), of_group(engine));
    Some(format!("this router is {held}{nobody}{name} (`lbctl maintenance off` releases it)"))
}

/// The rest of a sentence: which group it is about, if that has a name.
fn of_group(engine: &Engine) -> String {
    match engine.settings().group.as_str() {
        "" => String::new(),
        name => format!(" for the group {name}"),
    }
}

/// The lease of the groups that this router is active for: that which ends first.
fn lease(core: &Core, now: Instant) -> LeaseStatus {
    let lefts = core.engines.iter().map(|engine| (engine.lease_left(now), engine.role()));
    let is_expired = lefts.clone().any(|(left, role)| left.is_none() && role == Role::Active);
    let left = lefts.filter_map(|(left, _)| left).min().filter(|_| !is_expired);
    let state = if is_expired { EXPIRED } else { left.map_or("none", |_| "running") };
    LeaseStatus {
        state: state.to_owned(),
        left_ms: left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn witness(core: &Core, address: &HostAddress, now: Instant) -> WitnessStatus {
    let ago = core.witnessed.get(address).map(|asked| now.saturating_duration_since(*asked));
    let dead_after = core.engines.first().map_or(Duration::ZERO, |engine| engine.settings().dead_after);
    WitnessStatus {
        address: address.to_string(),
        answers: ago.is_some_and(|ago| ago < dead_after),
        silent_ms: ago.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// What is known of a path: heartbeats of all groups take it.
fn seen(core: &Core, path: usize) -> Option<&engine::Path> {
    let all = core.engines.iter().filter_map(|engine| engine.peer().paths.get(path));
    all.max_by_key(|seen| (seen.alive, seen.heard))
}

fn path(config: &HeartbeatPath, seen: Option<&engine::Path>, now: Instant) -> PathStatus {
    let heard = seen.and_then(|seen| seen.heard);
    let silent = heard.map(|heard| now.saturating_duration_since(heard).as_millis());
    PathStatus {
        local: config.local.to_string(),
        remote: config.remote.to_string(),
        alive: seen.is_some_and(|seen| seen.alive),
        silent_ms: silent.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
    }
}

/// Changes of role of all groups, newest first.
fn transitions(core: &Core, now: Instant) -> Vec<Transition> {
    let of_engine = |engine: &'_ Engine| {
        let name = engine.settings().group.clone();
        engine.transitions().map(move |seen| (seen.at, transition(seen, &name, now))).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = core.engines.iter().flat_map(of_engine).collect();
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    all.into_iter().map(|(_, transition)| transition).collect()
}

fn transition(seen: &engine::Transition, group: &str, now: Instant) -> Transition {
    Transition {
        ago_secs: now.saturating_duration_since(seen.at).as_secs(),
        group: (!group.is_empty()).then(|| group.to_owned()),
        from: seen.from.name().to_owned(),
        to: seen.to.name().to_owned(),
        reason: seen.reason.clone(),
    }
}
