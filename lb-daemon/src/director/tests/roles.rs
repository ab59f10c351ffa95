//! Roles become data plane.

use lb_common::RouterRole;

use super::*;
use crate::{config::Group, datapath::Op, ha::driver::RoleState};

const ROLES: [Role; 3] = [Role::Standby, Role::Active, Role::Leaving];

#[tokio::test]
async fn a_lone_router_is_active_once_it_has_started_whatever_stood_there() {
    for role in [RouterRole::Standby, RouterRole::Active] {
        let datapath = MemoryDatapath::default();
        datapath.state().tables.role = role;
        let rig = Rig::restart(unchecked(), datapath, Path::new("/nonexistent")).await;
        assert_eq!(rig.datapath.state().tables.role, RouterRole::Active);
        let status = rig.status().await;
        assert_eq!((status.role.as_str(), status.reason.as_str()), ("active", "no peer is configured"));
    }
}

#[tokio::test]
async fn every_role_can_follow_every_other() {
    for (first, second) in ROLES.iter().flat_map(|first| ROLES.map(|second| (*first, second))) {
        let datapath = MemoryDatapath::default();
        let mut director = Idle::new(unchecked(), &datapath, Path::new("/nonexistent")).director;
        for role in [first, second] {
            director.take_role(0, &state(role)).await;
            let expected = if role.forwards() { RouterRole::Active } else { RouterRole::Standby };
            assert_eq!(datapath.state().tables.role, expected, "{first}, then {second}");
        }
    }
}

#[tokio::test]
async fn an_undecided_router_leaves_what_stands() {
    for role in [RouterRole::Standby, RouterRole::Active] {
        let datapath = MemoryDatapath::default();
        datapath.state().tables.role = role;
        let mut director = Idle::new(unchecked(), &datapath, Path::new("/nonexistent")).director;
        director.take_role(0, &state(Role::Starting)).await;
        director.replan();
        assert_eq!(datapath.state().tables.role, role);
    }
}

#[tokio::test]
async fn a_router_that_nobody_relieves_forwards_on_after_its_end() {
    let rig = Rig::start(unchecked()).await;
    let (datapath, handle) = (rig.datapath.clone(), rig.handle.clone());
    rig.stop().await.shutdown().await;
    assert_eq!(datapath.state().tables.role, RouterRole::Active);
    let error = handle.status().await.unwrap_err();
    assert_eq!(error.message, "lbd is stopping");
}

#[tokio::test]
async fn a_group_opens_and_closes_its_services_alone() {
    let datapath = MemoryDatapath::default();
    let mut director = Idle::new(grouped(), &datapath, Path::new("/nonexistent")).director;
    director.applied = vec![Role::Starting; 2];
    let open = |datapath: &MemoryDatapath| {
        let state = datapath.state();
        let closed = [WEB, MAIL].map(|key| state.tables.services.get(&key).map(|service| service.closed));
        (state.tables.role, closed)
    };
    director.take_role(0, &state(Role::Active)).await;
    director.take_role(1, &state(Role::Standby)).await;
    assert_eq!(open(&datapath), (RouterRole::Active, [Some(false), Some(true)]));
    let (ring, positions) = {
        let state = datapath.state();
        (state.tables.services[&MAIL].ring.clone(), state.positions.clone())
    };
    datapath.state().applied.clear();
    director.take_role(1, &state(Role::Active)).await;
    assert_eq!(datapath.state().applied, [Op::SetClosed(MAIL, false)], "nothing else is touched");
    {
        let state = datapath.state();
        assert_eq!((&state.tables.services[&MAIL].ring, &state.positions), (&ring, &positions));
    }
    director.take_role(0, &state(Role::Standby)).await;
    assert_eq!(open(&datapath), (RouterRole::Active, [Some(true), Some(false)]));
    director.take_role(1, &state(Role::Standby)).await;
    assert_eq!(open(&datapath), (RouterRole::Standby, [Some(true), Some(true)]));
}

const MAIL: ServiceKey = ServiceKey::new(IPPROTO_TCP, [192, 0, 2, 20], 25);

/// Two services, each in a group of its own.
pub(super) fn grouped() -> Config {
    let mut config = unchecked();
    let mail = Service { name: "mail".to_owned(), key: MAIL, ..config.services[0].clone() };
    config.services.push(mail);
    for (name, vip) in [("web", WEB.address), ("xmail", MAIL.address)] {
        let vip = Ipv4Addr::from(vip);
        config.vips.push(Vip { address: vip.into(), interface: "nowhere".to_owned() });
        config.groups.push(Group::of_one(name, vip));
    }
    config
}

fn state(role: Role) -> RoleState {
    RoleState { role, reason: "the test says so".to_owned(), since: Instant::now() }
}
