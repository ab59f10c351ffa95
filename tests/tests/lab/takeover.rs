//! The standby router takes over, whether the active one dies, is stopped or stands still.

use std::{net::Ipv4Addr, time::Duration};

use lb_tests::lab::{
    Lab, R1, R2,
    capture::{Capture, Sight},
    load::{Load, Plan, record::Summary},
    run::run,
    topology::{DIRECT_VIP, HOSTS, NAT_ROUTER, NAT_VIP},
    wait::{pause, until},
};
use nix::sys::signal::Signal;

use crate::support::{DIRECT, NAT, client, pair};

/// Time that anything may take here, on a busy machine; the demo measures how long it does take.
const LIMIT: Duration = Duration::from_secs(15);

#[test]
fn the_death_of_the_active_router_moves_every_address() {
    let Some(mut lab) = pair() else { return };
    let switch = lab.namespace("switch").unwrap().clone();
    let captures = ["r2-pub", "r2-priv"].map(|port| Capture::start(&switch, port).unwrap());
    lab.routers[R1].kill().unwrap();
    until("r2 to be active", LIMIT, || Ok(lab.routers[R2].is_active())).unwrap();

    let (public, private) = (HOSTS[2].ports[0].mac(), HOSTS[2].ports[1].mac());
    for (capture, address, mac) in [
        (&captures[0], NAT_VIP, public),
        (&captures[0], DIRECT_VIP, public),
        (&captures[1], NAT_ROUTER, private),
    ] {
        until(&format!("{address} to be announced"), LIMIT, || Ok(announced(capture, address, mac))).unwrap();
    }
    until("answers", LIMIT, || Ok(answers(&lab))).unwrap();
    let present = lab.routers[R2].status().unwrap().addresses;
    assert!(present.len() == 3 && present.iter().all(|address| address.present), "{present:?}");
}

#[test]
fn a_planned_stop_fails_no_request_and_neither_does_the_return() {
    let Some(mut lab) = pair() else { return };
    let loads =
        [NAT, DIRECT].map(|target| Load::start(lab.client().unwrap(), Plan::steady(target, 100)).unwrap());
    pause(Duration::from_secs(1)).unwrap();
    assert!(lab.routers[R1].stop().unwrap().success());
    until("r2 to be active", LIMIT, || Ok(lab.routers[R2].is_active())).unwrap();
    pause(Duration::from_secs(1)).unwrap();
    lab.routers[R1].start().unwrap();
    lab.wait_settled().unwrap();
    pause(Duration::from_secs(1)).unwrap();
    for load in loads {
        let summary = Summary::of(&load.finish().unwrap());
        assert!(summary.requests > 100 && summary.failed() == 0, "{summary:?}");
    }
}

#[test]
fn a_thawed_router_leaves_one_active() {
    let Some(mut lab) = pair() else { return };
    lab.routers[R1].signal(Signal::SIGSTOP).unwrap();
    until("r2 to be active", LIMIT, || Ok(lab.routers[R2].is_active())).unwrap();
    until("answers through r2", LIMIT, || Ok(answers(&lab))).unwrap();
    lab.routers[R1].signal(Signal::SIGCONT).unwrap();
    lab.wait_settled().unwrap();
    assert_eq!(lab.active().unwrap(), R1);
    assert!(answers(&lab));
}

/// Whether both services answer.
fn answers(lab: &Lab) -> bool {
    let one =
        |target| run(client(lab, "curl").args(["-sS", "-m", "2", &format!("http://{target}/")])).is_ok();
    [NAT, DIRECT].into_iter().all(one)
}

fn announced(capture: &Capture, address: Ipv4Addr, mac: [u8; 6]) -> bool {
    capture.seen().iter().any(|(_, sight)| *sight == Sight::Announcement { address, mac })
}
