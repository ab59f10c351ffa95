//! A router that its operator holds in a role.

use std::time::Duration;

use lb_tests::lab::{
    R1, R2,
    load::{Load, Plan, record::Summary},
    wait::{pause, until},
};

use crate::support::{NAT, pair};

/// Time that anything may take here, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_router_held_standby_leaves_without_a_gap_and_stays_so_until_it_is_released() {
    let Some(mut lab) = pair() else { return };
    let load = Load::start(lab.client().unwrap(), Plan::steady(NAT, 100)).unwrap();
    let said = lab.routers[R1].lbctl(&["maintenance", "standby", "--reason", "new cables"]).unwrap();
    assert_eq!(said, "this router is held standby by the operator: new cables\n");
    until("r2 to be active", LIMIT, || Ok(lab.routers[R2].is_active())).unwrap();
    until("r1 to be standby", LIMIT, || Ok(lab.routers[R1].role().as_deref() == Some("standby"))).unwrap();
    let refused = lab.routers[R2].lbctl(&["failover"]).unwrap_err().to_string();
    assert!(refused.contains("the peer is held standby by its operator"), "{refused}");

    // The restart does not release it, and the failback of the lab's routers is automatic.
    assert!(lab.routers[R1].stop().unwrap().success());
    lab.routers[R1].start().unwrap();
    until("r1 to know its role", LIMIT, || Ok(lab.routers[R1].role().as_deref() == Some("standby"))).unwrap();
    pause(Duration::from_secs(3)).unwrap();
    let status = lab.routers[R1].status().unwrap();
    assert_eq!(
        (status.role.as_str(), status.maintenance.unwrap().reason.as_str()),
        ("standby", "new cables")
    );
    assert!(lab.routers[R2].is_active());
    assert_eq!(lab.routers[R2].status().unwrap().peer.unwrap().forced.as_deref(), Some("standby"));

    lab.routers[R1].lbctl(&["maintenance", "off"]).unwrap();
    until("r1 to be active again", LIMIT, || Ok(lab.routers[R1].is_active())).unwrap();
    let summary = Summary::of(&load.finish().unwrap());
    assert!(summary.requests > 100 && summary.failed() == 0, "{summary:?}");
}
