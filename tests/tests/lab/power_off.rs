//! The active router loses its power: nothing of it is left, neither daemon nor data plane. Its connections go on at the
//! standby, which it has told of them.

use std::{collections::BTreeMap, net::SocketAddrV4, thread, time::Duration};

use lb_daemon::api::types::SyncStatus;
use lb_tests::lab::{
    Lab, R1, R2,
    background::{STREAM, configure, hold, known, respond},
    downloads::Downloads,
    topology::{DIRECT_VIP, NAT_VIP},
    wait::until,
};

use crate::support::pair_with;

/// Connections that are held to each service of the first kind, and downloads from each of the second.
const HELD: u32 = 250;
const DOWNLOADS: usize = 10;
/// Bytes a second of each download.
const RATE: u64 = 200_000;
/// Time that anything may take here, on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn the_loss_of_the_active_router_costs_no_established_connection() {
    let Some(mut lab) = pair_with(configure) else { return };
    keeps_every_connection(&mut lab, |lab| lab.power_off(R1).unwrap());
}

/// Lets `befall` r1, which is active, what r2 takes over for, and looks whether every established connection goes on.
pub(crate) fn keeps_every_connection(lab: &mut Lab, befall: impl FnOnce(&mut Lab)) {
    let responders = respond(lab, RATE).unwrap();
    let held = [NAT_VIP, DIRECT_VIP].map(|address| hold(lab, address, HELD).unwrap());
    let downloads = [NAT_VIP, DIRECT_VIP].map(|address| {
        Downloads::start(lab.client().unwrap(), SocketAddrV4::new(address, STREAM), DOWNLOADS).unwrap()
    });
    let all = 2 * (HELD as usize + DOWNLOADS);
    until("r2 to know every connection", LIMIT, || Ok(known(lab, R2)? == all)).unwrap();
    // The last of them may come before the walk over the table is over.
    until("both routers to say that r2 has everything", LIMIT, || {
        Ok([R1, R2].into_iter().all(|router| sync(lab, router).in_sync && lacks(lab, router) == Some(0)))
    })
    .unwrap();

    befall(lab);
    until("r2 to be active", LIMIT, || Ok(lab.routers[R2].is_active())).unwrap();
    let before: Vec<u64> = downloads.iter().flat_map(Downloads::received).collect();
    until("every download to go on", LIMIT, || {
        let after = downloads.iter().flat_map(Downloads::received);
        Ok(after.zip(&before).all(|(after, before)| after > before + RATE))
    })
    .unwrap();
    for held in held {
        let tally = held.close().unwrap();
        assert_eq!((tally.succeeded(), tally.failures), (HELD.into(), BTreeMap::new()));
    }
    for downloads in downloads {
        downloads.finish().unwrap();
    }
    println!("{:?}", sync(lab, R2));
    drop(responders);
}

/// Its peer is told of the last connections too, which are opened while the role moves.
#[test]
fn a_router_that_has_handed_over_may_be_switched_off() {
    let Some(mut lab) = pair_with(configure) else { return };
    let _responders = respond(&lab, RATE).unwrap();
    let held = thread::scope(|scope| {
        let open = |address| {
            let lab = &lab;
            scope.spawn(move || hold(lab, address, HELD).unwrap())
        };
        let opening = [NAT_VIP, DIRECT_VIP].map(open);
        lab.routers[R1].lbctl(&["failover"]).unwrap();
        opening.map(|thread| thread.join().unwrap())
    });
    until("r2 to be active", LIMIT, || Ok(lab.routers[R2].is_active())).unwrap();
    until("r2 to tell r1", LIMIT, || Ok(sync(&lab, R2).state == "sending")).unwrap();
    lab.power_off(R1).unwrap();
    for held in held {
        let tally = held.close().unwrap();
        assert_eq!((tally.succeeded(), tally.failures), (HELD.into(), BTreeMap::new()));
    }
}

#[test]
fn a_router_that_returns_gets_the_connections_before_its_role() {
    let Some(mut lab) = pair_with(configure) else { return };
    let _responders = respond(&lab, RATE).unwrap();
    assert!(lab.routers[R1].stop().unwrap().success());
    until("r2 to be active", LIMIT, || Ok(lab.routers[R2].is_active())).unwrap();
    let held = hold(&lab, NAT_VIP, HELD).unwrap();
    lab.routers[R1].start().unwrap();
    lab.wait_settled().unwrap();
    assert_eq!(known(&lab, R1).unwrap(), HELD as usize, "known before the role was taken");
    until("r2 to follow", LIMIT, || Ok(sync(&lab, R2).in_sync && sync(&lab, R1).in_sync)).unwrap();
    // What it has now is enough: the other router's data plane is not needed any more.
    lab.power_off(R2).unwrap();
    assert_eq!(held.close().unwrap().succeeded(), u64::from(HELD));
}

/// Records that r2 lacks, as a router has it from the heartbeats.
fn lacks(lab: &Lab, router: usize) -> Option<u64> {
    lab.routers[router].status().unwrap().peer.unwrap().behind?.records
}

fn sync(lab: &Lab, router: usize) -> SyncStatus {
    lab.routers[router].status().unwrap().sync.unwrap()
}
