//! A pair whose heartbeats, and so the copy of its connections, go over IPv6 alone. There is no second chance then: what the
//! standby was not told of is lost.

use lb_tests::lab::{Lab, R1, R2, background::configure};

use crate::{power_off::keeps_every_connection, support::lab};

#[test]
fn a_pair_over_ipv6_loses_no_connection_with_the_power_of_the_active_router() {
    let Some(mut lab) = pair_over_ipv6() else { return };
    keeps_every_connection(&mut lab, |lab| lab.power_off(R1).unwrap());
}

#[test]
fn a_pair_over_ipv6_loses_no_connection_with_the_daemon_of_the_active_router() {
    let Some(mut lab) = pair_over_ipv6() else { return };
    keeps_every_connection(&mut lab, |lab| {
        lab.routers[R1].kill().unwrap();
    });
}

/// Both routers settled, with paths over IPv6 alone.
fn pair_over_ipv6() -> Option<Lab> {
    let mut lab = lab()?;
    lab.enable_ipv6().unwrap();
    let change = |config: &mut _| {
        configure(config);
        config.over_ipv6().unwrap();
    };
    lab.start_routers(change).expect("both routers settle");
    for router in [R1, R2] {
        let peer = lab.routers[router].status().unwrap().peer.unwrap();
        assert!(peer.paths.iter().all(|path| path.local.contains(':')), "{:?}", peer.paths);
    }
    Some(lab)
}
