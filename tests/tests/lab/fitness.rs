//! Routers that are unfit or cut off, and commands that are told.

use std::{fs, time::Duration};

use lb_tests::lab::{
    Lab, R1, R2,
    load::{Load, Plan, record::Summary},
    router::Router,
    wait::until,
};

use crate::support::{NAT, pair};

/// Time that anything may take here, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_router_with_a_fault_gives_its_role_away_and_gets_it_back_under_load() {
    let Some(lab) = pair() else { return };
    let (fit, told) = (lab.folder().join("fit"), lab.folder().join("told"));
    fs::write(&fit, "").unwrap();
    let router = &lab.routers[R1];
    let more = format!(
        "[[track]]\nname = \"fit\"\ntype = \"script\"\ncommand = [\"/usr/bin/test\", \"-e\", \"{}\"]\nuser = \"root\"\n\
         interval = \"100ms\"\nrise = 1\nfall = 1\nfault = true\n\
         [notify]\nevent_cmd = [\"/bin/sh\", \"-c\", \"cat >> {1}; echo >> {1}\"]\nuser = \"root\"\n",
        fit.display(),
        told.display()
    );
    reload(router, |text| format!("{text}\n{more}"));
    until("the track to be well", LIMIT, || Ok(router.status()?.tracks[0].ok == Some(true))).unwrap();

    let load = Load::start(lab.client().unwrap(), Plan::steady(NAT, 100)).unwrap();
    fs::remove_file(&fit).unwrap();
    active(&lab, R2);
    let reason = router.status().unwrap().reason;
    assert_eq!(reason, "peer has taken over; this router has a fault: fit");
    assert!(lab.routers[R2].status().unwrap().peer.unwrap().fault);
    fs::write(&fit, "").unwrap();
    active(&lab, R1);
    let summary = Summary::of(&load.finish().unwrap());
    assert!(summary.requests > 0 && summary.failed() == 0, "{summary:?}");

    let events = || {
        let text = fs::read_to_string(&told).unwrap_or_default();
        let events = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        events
            .map(|event| format!("{} {}", event["event"], event["role"]).replace('"', ""))
            .collect::<Vec<_>>()
    };
    until("the last role to be told", LIMIT, || Ok(events().iter().any(|event| event == "role active")))
        .unwrap();
    // The fault and the role that follows from it are told by two tasks.
    let roles: Vec<_> = events().into_iter().filter(|event| event.starts_with("role")).collect();
    assert_eq!(roles, ["role leaving", "role standby", "role active"]);
    for expected in ["fault", "recovered"] {
        assert_eq!(events().iter().filter(|event| event.starts_with(expected)).count(), 1, "{:?}", events());
    }
}

#[test]
fn of_two_routers_cut_apart_the_one_with_a_witness_is_active() {
    let Some(lab) = pair() else { return };
    let client = "witness = [\"192.0.2.100\"]";
    for router in &lab.routers {
        reload(router, |text| text.replace("[peer]\n", &format!("[peer]\n{client}\n")));
        until("the witness to answer", LIMIT, || {
            Ok(router.status()?.peer.is_some_and(|peer| peer.witnesses.iter().all(|witness| witness.answers)))
        })
        .unwrap();
    }
    let cut = &lab.routers[R1];
    cut.namespace().ip("link set eth0 down\nlink set eth1 down").unwrap();
    until("the router that is cut off to stand by", LIMIT, || Ok(cut.role().as_deref() == Some("standby")))
        .unwrap();
    active(&lab, R2);
    let reason = cut.status().unwrap().reason;
    assert_eq!(reason, "neither the peer nor a witness answers: this router may be cut off");
    // Back in the network, it takes its role back as after any absence.
    cut.namespace().ip("link set eth0 up\nlink set eth1 up").unwrap();
    active(&lab, R1);
    assert_eq!(lab.active().unwrap(), R1);
}

/// Changes the file of `router`, and has it in force.
fn reload(router: &Router, change: impl FnOnce(String) -> String) {
    let text = router.standard_config().text().unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed);
    router.write_config(&changed).unwrap();
    router.lbctl(&["reload"]).unwrap();
}

/// Waits until this router is active, and the other one is not.
fn active(lab: &Lab, index: usize) {
    until("the role to move", LIMIT, || {
        Ok(lab.routers[index].is_active() && !lab.routers[R2 - index].is_active())
    })
    .unwrap();
}
