//! `SIGHUP`: a new file is taken as a whole or not at all.

use std::time::Duration;

use lb_tests::lab::{
    R1, R2,
    config::WEB_NAT,
    load::{Load, Plan, record::Summary},
    router::Router,
    wait::{pause, until},
};
use nix::sys::signal::Signal;

use crate::support::{NAT, pair, spread};

/// Time that a reload may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_good_file_changes_weights_under_load() {
    let Some(lab) = pair() else { return };
    let load = Load::start(lab.client().unwrap(), Plan::steady(NAT, 100)).unwrap();
    for router in &lab.routers {
        let mut config = router.standard_config();
        config.service(WEB_NAT).unwrap().weights([4, 1, 0]);
        router.configure(&config).unwrap();
        router.signal(Signal::SIGHUP).unwrap();
    }
    for index in [R1, R2] {
        until("the new weights", LIMIT, || Ok(weights(&lab.routers[index]) == [4, 1, 0])).unwrap();
    }
    let summary = Summary::of(&load.finish().unwrap());
    assert!(summary.requests > 0 && summary.failed() == 0, "{summary:?}");

    let after = spread(&lab, NAT, 10);
    assert_eq!((after.get("n1"), after.get("n2"), after.get("n3")), (Some(&8), Some(&2), None));
}

#[test]
fn a_bad_file_changes_nothing() {
    let Some(mut lab) = pair() else { return };
    let broken =
        lab.routers[R1].standard_config().text().unwrap().replace("weight = 1", "weight = 9\nwieght = 1");
    assert!(broken.contains("wieght"));
    lab.routers[R1].write_config(&broken).unwrap();
    lab.routers[R1].signal(Signal::SIGHUP).unwrap();
    until("the log to name the key", LIMIT, || Ok(lab.routers[R1].log_tail().contains("wieght"))).unwrap();
    pause(Duration::from_millis(200)).unwrap();

    assert!(lab.routers[R1].is_running());
    assert_eq!(weights(&lab.routers[R1]), [1, 2, 3]);
    assert_eq!(lab.active().unwrap(), R1);
    assert_eq!(spread(&lab, NAT, 6).get("n3"), Some(&3));
}

/// Weights in force of the NAT service; none while the router does not answer.
fn weights(router: &Router) -> Vec<u32> {
    let service = router.service(WEB_NAT);
    service.map_or(Vec::new(), |service| service.reals.iter().map(|real| real.weight).collect())
}
