//! Health checks: a server that is gone takes nothing, and one that returns takes its part again.

use std::time::Duration;

use lb_tests::lab::{
    Lab, R1,
    config::{WEB_DIRECT, WEB_NAT},
    wait::until,
};

use crate::support::{DIRECT, NAT, pair, spread};

/// Time in which two checks have failed or succeeded, on a busy machine.
const LIMIT: Duration = Duration::from_secs(15);

#[test]
fn a_server_that_drops_off_the_network_is_left_out_until_it_returns() {
    let Some(mut lab) = pair() else { return };
    lab.server("n3").unwrap().kill_hard().unwrap();
    wait_state(&lab, WEB_NAT, "n3", "down");
    let left = spread(&lab, NAT, 12);
    assert_eq!((left.get("n1"), left.get("n2"), left.get("n3")), (Some(&4), Some(&8), None));

    lab.server("n3").unwrap().revive().unwrap();
    wait_state(&lab, WEB_NAT, "n3", "up");
    assert_eq!(spread(&lab, NAT, 12).get("n3"), Some(&6));
}

#[test]
fn a_server_whose_process_ends_is_left_out_until_it_returns() {
    let Some(mut lab) = pair() else { return };
    lab.server("d1").unwrap().stop().unwrap();
    wait_state(&lab, WEB_DIRECT, "d1", "down");
    let left = spread(&lab, DIRECT, 12);
    assert_eq!((left.get("d1"), left.get("d2"), left.get("d3")), (None, Some(&8), Some(&4)));

    lab.server("d1").unwrap().start().unwrap();
    wait_state(&lab, WEB_DIRECT, "d1", "up");
    assert_eq!(spread(&lab, DIRECT, 12).get("d1"), Some(&6));
}

fn wait_state(lab: &Lab, service: &str, server: &str, state: &str) {
    let reached = until(&format!("{server} to be {state}"), LIMIT, || {
        let service = lab.routers[R1].service(service)?;
        Ok(service.reals.iter().any(|real| real.name == server && real.state == state))
    });
    reached.expect("the health check notices");
}
