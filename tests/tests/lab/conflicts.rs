//! Somebody else answers for a virtual address, and is told of until that is over.

use std::{fs, time::Duration};

use lb_daemon::api::types::ConflictStatus;
use lb_tests::lab::{
    Lab, R1, R2,
    router::Router,
    topology::{DIRECT_VIP, HOSTS, NAT_VIP},
    wait::{pause, until},
};

use crate::support::{lab, pair};

/// Time that anything may take here, on a busy machine: a claim is over after ten seconds of silence.
const LIMIT: Duration = Duration::from_secs(40);

#[test]
fn a_stranger_is_told_of_until_it_is_gone() {
    let Some(lab) = pair() else { return };
    let router = &lab.routers[R1];
    let events = ask_often(router);
    let client = lab.namespace("client").unwrap().clone();
    client.ip("address add 192.0.2.10/32 dev eth0").unwrap();
    let [conflict] = &conflicts(&lab, R1)[..] else { panic!("one conflict is expected") };
    assert_eq!((conflict.address, conflict.interface.as_str()), (NAT_VIP, "eth0"));
    assert_eq!((conflict.claimed_by.as_str(), &conflict.mac), ("a stranger", &mac_of(0)));
    let shown = router.lbctl(&["status"]).unwrap();
    assert!(shown.contains("192.0.2.10 on eth0 CLAIMED by a stranger"), "{shown}");
    assert!(shown.contains("WARNING: address conflict: a stranger"), "{shown}");

    client.ip("address del 192.0.2.10/32 dev eth0").unwrap();
    until("the conflict to be over", LIMIT, || Ok(router.status()?.conflicts.is_empty())).unwrap();
    let log = router.log_tail();
    assert_eq!(log.matches("address conflict: a stranger").count(), 1, "{log}");
    assert_eq!(log.matches("address conflict over").count(), 1, "{log}");
    until("both events", LIMIT, || {
        let told = fs::read_to_string(&events).unwrap_or_default();
        Ok(told.contains("\"event\":\"conflict\"") && told.contains("\"event\":\"conflict_over\""))
    })
    .unwrap();
}

#[test]
fn a_real_server_that_answers_is_called_by_its_name() {
    let Some(lab) = pair() else { return };
    ask_often(&lab.routers[R1]);
    let server = lab.namespace("d2").unwrap().clone();
    server.sysctl("ipv4.conf.all.arp_ignore", "0").unwrap();
    let [conflict] = &conflicts(&lab, R1)[..] else { panic!("one conflict is expected") };
    assert_eq!((conflict.address, conflict.claimed_by.as_str()), (DIRECT_VIP, "real server d2"));
}

#[test]
fn routers_that_do_not_hear_each_other_find_each_other() {
    let Some(mut lab) = lab() else { return };
    for index in [R1, R2] {
        let mut config = lab.routers[index].standard_config();
        if let Some(peer) = &mut config.peer {
            peer.key = format!("the-key-of-router-{index}-alone");
        }
        let text = config.text().unwrap() + "\n[announce]\nprobe = \"1s\"\n";
        lab.routers[index].write_config(&text).unwrap();
        lab.routers[index].start().unwrap();
    }
    for (index, host) in [(R1, 2), (R2, 1)] {
        let found = conflicts(&lab, index);
        assert!(found.iter().all(|conflict| conflict.claimed_by == "the peer"), "{found:?}");
        assert!(found.iter().any(|conflict| conflict.mac == mac_of(host)), "{found:?}");
    }
}

#[test]
fn a_handover_is_no_conflict() {
    let Some(lab) = pair() else { return };
    let routers = [&lab.routers[R1], &lab.routers[R2]];
    routers.iter().for_each(|router| drop(ask_often(router)));
    routers[0].lbctl(&["failover"]).unwrap();
    until("r2 to be active", LIMIT, || Ok(routers[1].is_active())).unwrap();
    // Longer than the time in which the peer's claims do not count, and several questions to everyone.
    pause(Duration::from_secs(7)).unwrap();
    for router in routers {
        assert_eq!(router.status().unwrap().conflicts, []);
        let log = router.log_tail();
        assert!(!log.contains("address conflict"), "{log}");
    }
}

/// Has a running router ask everyone each second, and write every event to the file that this returns.
fn ask_often(router: &Router) -> std::path::PathBuf {
    let events = router.socket().with_extension("events");
    let more = format!(
        "\n[announce]\nprobe = \"1s\"\n[notify]\nuser = \"root\"\nevent_cmd = [\"/bin/sh\", \"-c\", \"cat >> {}\"]\n",
        events.display()
    );
    router.write_config(&(router.standard_config().text().unwrap() + &more)).unwrap();
    router.lbctl(&["reload"]).unwrap();
    events
}

/// The conflicts of a router, once it has one.
fn conflicts(lab: &Lab, index: usize) -> Vec<ConflictStatus> {
    let router = &lab.routers[index];
    until("a conflict", LIMIT, || Ok(router.status().is_ok_and(|status| !status.conflicts.is_empty())))
        .unwrap();
    router.status().unwrap().conflicts
}

/// The MAC address of a host's first interface, as people write it.
fn mac_of(host: usize) -> String {
    let bytes = HOSTS[host].ports[0].mac().map(|byte| format!("{byte:02x}"));
    bytes.join(":")
}
