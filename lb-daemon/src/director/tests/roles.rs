//! Roles become data plane.

use lb_common::RouterRole;

use super::*;
use crate::ha::driver::RoleState;

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
            director.take_role(&state(role)).await;
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
        director.take_role(&state(Role::Starting)).await;
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

fn state(role: Role) -> RoleState {
    RoleState { role, reason: "the test says so".to_owned(), since: Instant::now() }
}
