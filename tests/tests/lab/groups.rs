//! Both routers are active, each for one group: NAT on r1, direct routing on r2.

use std::{collections::BTreeMap, net::SocketAddrV4, time::Duration};

use lb_common::ConnState;
use lb_daemon::api::types::{Connection, GroupStatus};
use lb_tests::lab::{
    Lab, R1, R2, api,
    config::{Config, DIRECT_GROUP, NAT_GROUP, Service},
    crowd::{Crowd, Held},
    load::{Load, Plan, record::Summary},
    responder::{Protocol, Responder},
    topology::{CLIENT, DIRECT_VIP, NAT_VIP, Part},
    wait::{pause, until},
};

use nix::sys::signal::Signal;

use crate::support::{DIRECT, NAT, lab};

/// Port of the services whose connections are held.
const NAMES: u16 = 7000;
/// Connections that are held to each.
const HELD: u32 = 100;
/// Time that anything may take here, on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn the_loss_of_a_router_moves_its_group_with_every_connection_and_touches_no_other() {
    let Some(mut lab) = split(configure) else { return };
    let _responders = [Part::NatServer, Part::DirectServer].map(|part| responder(&lab, part));
    let held = [NAT_VIP, DIRECT_VIP].map(|address| hold(&lab, SocketAddrV4::new(address, NAMES)));
    // Each tells the other of what is its own.
    for router in [R1, R2] {
        until("both to know every connection", LIMIT, || Ok(established(&lab, router) == 2 * HELD as usize))
            .unwrap();
    }
    let before = group(&lab, R2, DIRECT_GROUP);
    lab.power_off(R1).unwrap();
    active(&lab, R2, NAT_GROUP);
    for held in held {
        let tally = held.close().unwrap();
        assert_eq!((tally.succeeded(), tally.failures), (HELD.into(), BTreeMap::new()));
    }
    let after = group(&lab, R2, DIRECT_GROUP);
    assert_eq!((after.role.as_str(), &after.reason), ("active", &before.reason));
    assert!(after.since_secs >= before.since_secs, "the other group's role was touched");
    let addresses = lab.routers[R2].status().unwrap().addresses;
    assert!(addresses.len() == 3 && addresses.iter().all(|address| address.present), "{addresses:?}");
}

#[test]
fn a_router_that_stops_and_returns_fails_no_request_of_either_group() {
    let Some(mut lab) = split(|_| {}) else { return };
    let loads =
        [NAT, DIRECT].map(|target| Load::start(lab.client().unwrap(), Plan::steady(target, 50)).unwrap());
    pause(Duration::from_secs(1)).unwrap();
    assert!(lab.routers[R1].stop().unwrap().success());
    active(&lab, R2, NAT_GROUP);
    pause(Duration::from_secs(1)).unwrap();
    lab.routers[R1].start().unwrap();
    active(&lab, R1, NAT_GROUP);
    standby(&lab, R2, NAT_GROUP);
    // One group is given away by hand, and comes back to nobody by itself.
    lab.routers[R2].lbctl(&["failover", "--group", DIRECT_GROUP]).unwrap();
    active(&lab, R1, DIRECT_GROUP);
    pause(Duration::from_secs(1)).unwrap();
    for load in loads {
        let summary = Summary::of(&load.finish().unwrap());
        assert!(summary.requests > 100 && summary.failed() == 0, "{summary:?}");
    }
    let status = lab.routers[R1].status().unwrap();
    assert_eq!(status.role, "active");
    assert!(status.addresses.iter().all(|address| address.present), "{:?}", status.addresses);
    assert_eq!(lab.routers[R2].status().unwrap().role, "standby");
}

#[test]
fn a_group_that_waits_for_the_operator_stays_where_it_is_and_the_other_returns() {
    let manual = |config: &mut Config| {
        let waits = config.group.iter_mut().filter(|group| group.name == DIRECT_GROUP);
        waits.for_each(|group| group.failback = Some("manual".to_owned()));
    };
    let Some(mut lab) = split(manual) else { return };
    let returns = |lab: &mut Lab, router: usize, group: &str| {
        assert!(lab.routers[router].stop().unwrap().success());
        active(lab, R2 - router, group);
        lab.routers[router].start().unwrap();
    };
    returns(&mut lab, R2, DIRECT_GROUP);
    standby(&lab, R2, DIRECT_GROUP);
    until("r2 to be ready for its group", LIMIT, || {
        let failback = group(&lab, R2, DIRECT_GROUP).failback;
        Ok(failback.is_some_and(|failback| failback.ready && failback.mode == "manual"))
    })
    .unwrap();
    // Longer than the other group would have waited for.
    pause(Duration::from_secs(4)).unwrap();
    active(&lab, R1, DIRECT_GROUP);
    standby(&lab, R2, DIRECT_GROUP);

    returns(&mut lab, R1, NAT_GROUP);
    active(&lab, R1, NAT_GROUP);
    active(&lab, R2, DIRECT_GROUP);
    standby(&lab, R1, DIRECT_GROUP);
}

#[test]
fn what_befalls_one_router_disturbs_no_request_of_the_others_group() {
    let Some(mut lab) = split(|_| {}) else { return };
    let load = Load::start(lab.client().unwrap(), Plan::steady(DIRECT, 50)).unwrap();
    lab.routers[R1].signal(Signal::SIGSTOP).unwrap();
    active(&lab, R2, NAT_GROUP);
    lab.routers[R1].signal(Signal::SIGCONT).unwrap();
    active(&lab, R1, NAT_GROUP);
    standby(&lab, R2, NAT_GROUP);
    lab.routers[R1].kill().unwrap();
    active(&lab, R2, NAT_GROUP);
    lab.routers[R1].start().unwrap();
    active(&lab, R1, NAT_GROUP);
    standby(&lab, R2, NAT_GROUP);
    let summary = Summary::of(&load.finish().unwrap());
    assert!(summary.requests > 50 && summary.failed() == 0, "{summary:?}");
    let direct = group(&lab, R2, DIRECT_GROUP);
    assert_eq!(direct.role, "active");
    let changes = lab.routers[R2].status().unwrap().peer.unwrap().transitions;
    let moved = changes.iter().filter(|one| one.group.as_deref() == Some(DIRECT_GROUP)).count();
    let at_start = changes.iter().filter(|one| one.from == "starting").count();
    assert!(moved <= 2 && at_start == 2, "only the start moved it: {changes:?}");
}

#[test]
fn a_restart_within_dead_after_keeps_the_role_of_each_group_on_both_routers() {
    let slow = |config: &mut Config| {
        let peer = config.peer.as_mut().expect("it is one of a pair");
        peer.dead_after = Some("15s".to_owned());
    };
    let Some(mut lab) = split(slow) else { return };
    let loads =
        [NAT, DIRECT].map(|target| Load::start(lab.client().unwrap(), Plan::steady(target, 50)).unwrap());
    let changes = |lab: &Lab, router: usize| {
        let all = lab.routers[router].status().unwrap().peer.unwrap().transitions;
        all.into_iter().map(|one| (one.group, one.to)).collect::<Vec<_>>()
    };
    for restarted in [R1, R2] {
        let other = R2 - restarted;
        let before = changes(&lab, other);
        lab.routers[restarted].kill().unwrap();
        lab.routers[restarted].start().unwrap();
        for (router, group) in [(R1, NAT_GROUP), (R2, DIRECT_GROUP)] {
            active(&lab, router, group);
            standby(&lab, R2 - router, group);
        }
        assert_eq!(changes(&lab, other), before, "the other router saw nothing");
        let own = if restarted == R1 { NAT_GROUP } else { DIRECT_GROUP };
        let reason = group(&lab, restarted, own).reason;
        assert!(reason.starts_with("was active before the restart"), "{reason}");
    }
    for load in loads {
        let summary = Summary::of(&load.finish().unwrap());
        assert!(summary.requests > 50 && summary.failed() == 0, "{summary:?}");
    }
}

/// A laboratory with two groups, settled; `None`, said loudly, where none can be built.
fn split(change: impl Fn(&mut Config)) -> Option<Lab> {
    let mut lab = lab()?;
    for router in &mut lab.routers {
        let mut config = router.standard_config();
        config.split();
        change(&mut config);
        router.configure(&config).unwrap();
        router.start().unwrap();
    }
    for (router, group) in [(R1, NAT_GROUP), (R2, DIRECT_GROUP)] {
        active(&lab, router, group);
        standby(&lab, R2 - router, group);
    }
    for router in &lab.routers {
        until("every server to be up", LIMIT, || {
            let services = router.status()?.services;
            Ok(services.iter().flat_map(|service| &service.reals).all(|real| real.state == "up"))
        })
        .unwrap();
    }
    Some(lab)
}

/// A service of each kind whose connections can be held.
fn configure(config: &mut Config) {
    for (part, method) in [(Part::NatServer, "nat"), (Part::DirectServer, "direct")] {
        config.service.push(Service::tcp(&format!("names-{method}"), NAMES, part));
    }
}

fn responder(lab: &Lab, part: Part) -> Responder {
    let servers = lab.servers.iter().filter(|server| server.part() == part);
    Responder::start(servers, NAMES, Protocol::Names).unwrap()
}

fn hold(lab: &Lab, target: SocketAddrV4) -> Held {
    let namespace = lab.client().unwrap().clone();
    let timeout = Duration::from_secs(20);
    Crowd { namespace, sources: vec![CLIENT], target, concurrency: 1, timeout }.hold(0..HELD).unwrap()
}

/// Connections of the services of this test that a router knows and takes for established.
fn established(lab: &Lab, router: usize) -> usize {
    let all: Vec<Connection> = api::get(&lab.routers[router].socket(), "/v1/connections").unwrap();
    let ours = |one: &&Connection| one.state == ConnState::Established && one.virtual_address.port() == NAMES;
    all.iter().filter(ours).count()
}

/// A group as a router sees it.
fn group(lab: &Lab, router: usize, name: &str) -> GroupStatus {
    let groups = lab.routers[router].status().unwrap().groups;
    groups.into_iter().find(|group| group.name == name).unwrap()
}

fn active(lab: &Lab, router: usize, group: &str) {
    becomes(lab, router, group, "active");
}

fn standby(lab: &Lab, router: usize, group: &str) {
    becomes(lab, router, group, "standby");
}

fn becomes(lab: &Lab, router: usize, name: &str, role: &str) {
    let what = format!("{} to be {role} for {name}", lab.routers[router].name());
    until(&what, LIMIT, || {
        let groups = lab.routers[router].status().map(|status| status.groups).unwrap_or_default();
        Ok(groups.iter().any(|group| group.name == name && group.role == role))
    })
    .unwrap();
}
