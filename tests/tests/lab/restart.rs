//! The data plane outlives its daemon: connections go on while `lbd` is stopped, killed and started again.

use std::{os::unix::net::UnixDatagram, process::Command, thread, time::Duration};

use lb_tests::lab::{
    Lab, R1, R2,
    load::{Load, Plan, record::Summary},
    run::run,
    wait::{pause, until},
};
use nix::sys::signal::Signal;

use crate::support::{DIRECT, NAT, download, lab, pair, sha256};

/// Bytes of a download: about five seconds of it.
const LENGTH: u64 = 100_000_000;
/// Its rate in bytes a second.
const RATE: &str = "20M";
/// Time in which a router has started, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn downloads_survive_a_restart() {
    survive(|lab| {
        lab.routers[R1].stop().unwrap();
        lab.routers[R1].start().unwrap();
    });
}

#[test]
fn downloads_survive_a_crash() {
    survive(|lab| {
        lab.routers[R1].kill().unwrap();
        pause(Duration::from_secs(1)).unwrap();
        lab.routers[R1].start().unwrap();
    });
}

#[test]
fn downloads_survive_a_restart_of_the_last_router_of_a_pair() {
    let Some(mut lab) = pair() else { return };
    lab.routers[R2].kill().unwrap();
    until("r1 to miss its peer", LIMIT, || {
        Ok(lab.routers[R1].status()?.peer.is_some_and(|peer| !peer.alive))
    })
    .unwrap();
    let downloads = [NAT, DIRECT].map(|target| spawn(download(&lab, target, LENGTH, RATE)));
    let load = Load::start(lab.client().unwrap(), Plan::steady(NAT, 50)).unwrap();
    pause(Duration::from_secs(1)).expect("nothing interrupts");
    assert!(lab.routers[R1].stop().unwrap().success());
    // New connections too: nobody else would take them.
    pause(Duration::from_secs(1)).expect("nothing interrupts");
    lab.routers[R1].start().unwrap();
    active(&lab);
    let summary = Summary::of(&load.finish().unwrap());
    assert!(summary.requests > 50 && summary.failed() == 0, "{summary:?}");
    let expected = sha256(LENGTH);
    for download in downloads {
        let hash = download.join().expect("the thread does not panic");
        assert_eq!(hash.expect("the download ends"), expected);
    }
}

#[test]
fn an_address_that_left_the_file_while_nobody_ran_goes_and_an_administrators_stays() {
    let Some(mut lab) = lone_router() else { return };
    let namespace = lab.routers[R1].namespace().clone();
    let standing = || run(namespace.command("ip").args(["-o", "-4", "address", "show"])).expect("ip runs");
    assert!(standing().contains("192.0.2.11/32"));
    lab.routers[R1].kill().unwrap();
    namespace.ip("address add 192.0.2.12/32 dev eth0").unwrap();
    let mut config = lab.routers[R1].standard_config();
    config.peer = None;
    config.vip.retain(|vip| vip.address != "192.0.2.11/32");
    config.service.retain(|service| service.address != "192.0.2.11");
    lab.routers[R1].configure(&config).unwrap();
    lab.routers[R1].start().unwrap();
    active(&lab);
    let now = standing();
    assert!(!now.contains("192.0.2.11/32"), "it has left the file: {now}");
    assert!(now.contains("192.0.2.10/32") && now.contains("10.11.12.10/24"), "{now}");
    assert!(now.contains("192.0.2.12/32"), "lbd has not added it: {now}");
}

#[test]
fn downloads_survive_a_flow_table_of_another_size() {
    survive(|lab| {
        let mut config = lab.routers[R1].standard_config();
        config.peer = None;
        for flows in [65_536, 4096] {
            config.limits = [("flows", flows)].into();
            lab.routers[R1].configure(&config).unwrap();
            lab.routers[R1].stop().unwrap();
            lab.routers[R1].start().unwrap();
            active(lab);
            let log = lab.routers[R1].log_tail();
            assert!(log.contains("the flow table is made anew"), "{log}");
            assert!(log.contains(&format!("the flow table has room for {flows} connections")), "{log}");
        }
    });
}

#[test]
fn a_crash_loop_leaves_the_data_plane_forwarding() {
    survive(|lab| {
        for round in 0..10_u64 {
            lab.routers[R1].kill().unwrap();
            lab.routers[R1].start().unwrap();
            // Killed at another moment of its start each time, ready or not.
            pause(Duration::from_millis(30 * round)).unwrap();
        }
    });
}

#[test]
fn the_service_manager_hears_every_second_that_the_daemon_lives() {
    let Some(mut lab) = lab() else { return };
    let mut config = lab.routers[R1].standard_config();
    config.peer = None;
    lab.routers[R1].configure(&config).unwrap();
    let path = lab.routers[R1].socket().with_extension("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let wait = |time| manager.set_read_timeout(Some(time)).unwrap();
    let heard = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).trim().to_owned())
    };
    let notify = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "30000000")];
    lab.routers[R1].start_with(&notify).unwrap();
    wait(LIMIT);
    let mut said: Vec<_> = (0..4).map_while(|_| heard()).collect();
    // The start may take longer than a look.
    said.sort_unstable();
    assert_eq!(said, ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
    lab.routers[R1].signal(Signal::SIGSTOP).unwrap();
    wait(Duration::from_secs(3));
    // One may have been on its way.
    assert!(heard().is_none() || heard().is_none(), "it stands still");
    lab.routers[R1].signal(Signal::SIGCONT).unwrap();
    wait(LIMIT);
    assert_eq!(heard().as_deref(), Some("WATCHDOG=1"));
}

/// Runs a download by each method while `interrupt` does what it does to the only router.
fn survive(interrupt: impl FnOnce(&mut Lab)) {
    let Some(mut lab) = lone_router() else { return };
    let downloads = [NAT, DIRECT].map(|target| spawn(download(&lab, target, LENGTH, RATE)));
    pause(Duration::from_secs(1)).expect("nothing interrupts");
    interrupt(&mut lab);
    active(&lab);
    let expected = sha256(LENGTH);
    for download in downloads {
        let hash = download.join().expect("the thread does not panic");
        assert_eq!(hash.expect("the download ends"), expected);
    }
    let after = run(&mut download(&lab, NAT, 1000, RATE)).expect("new connections are made again");
    assert_eq!(after, sha256(1000));
}

/// The laboratory with r1 alone: no peer could help it out.
fn lone_router() -> Option<Lab> {
    let mut lab = lab()?;
    let mut config = lab.routers[R1].standard_config();
    config.peer = None;
    lab.routers[R1].configure(&config).expect("the configuration can be written");
    lab.routers[R1].start().expect("lbd starts");
    active(&lab);
    Some(lab)
}

/// Waits until r1 is active with every server up.
fn active(lab: &Lab) {
    let settled = until("r1 to be active with all servers up", LIMIT, || {
        let status = lab.routers[R1].status()?;
        let up = status.services.iter().flat_map(|service| &service.reals).all(|real| real.state == "up");
        Ok(status.role == "active" && up)
    });
    settled.expect("a router alone settles");
}

fn spawn(mut command: Command) -> thread::JoinHandle<anyhow::Result<String>> {
    thread::spawn(move || run(&mut command))
}
