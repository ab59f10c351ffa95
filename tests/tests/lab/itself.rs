//! The laboratory itself, with a kernel router in the place of `lbd`: what it measures is there to be measured.

use std::{
    net::SocketAddrV4,
    path::Path,
    time::{Duration, Instant},
};

use lb_tests::lab::{
    Lab, R1,
    capture::{Capture, Sight},
    load::{
        Load, Plan,
        record::{Failure, Summary},
    },
    netns::{self, Namespace},
    run::run,
    topology::{NAT_ROUTER, UDP_PORT},
    udp::echo,
    wait::{pause, until},
};

use crate::support::lab;

#[test]
fn every_server_answers_with_its_name() {
    let Some(lab) = routed_lab() else { return };
    let client = lab.client().unwrap();
    for server in &lab.servers {
        let url = |path: &str| format!("http://{}{path}", server.http());
        let get = |path: &str| run(client.command("curl").args(["-sS", "-m", "5", &url(path)])).unwrap();
        assert_eq!(get("/"), server.name());
        assert_eq!(get("/client"), "192.0.2.100");
        assert_eq!(get("/slow/10"), server.name());
        let echoed = echo(client, SocketAddrV4::new(*server.http().ip(), UDP_PORT), "hello").unwrap();
        assert_eq!(echoed, server.name());
    }
}

#[test]
fn the_load_counts_what_a_dying_server_does() {
    let Some(mut lab) = routed_lab() else { return };
    let target = lab.server("n1").unwrap().http();
    let load = Load::start(
        lab.client().unwrap(),
        Plan { timeout: Duration::from_secs(1), ..Plan::steady(target, 200) },
    );
    let load = load.unwrap();
    until("the first answers", Duration::from_secs(10), || Ok(load.summary().servers.get("n1") > Some(&20)))
        .unwrap();
    assert_eq!(load.summary().failed(), 0);

    let killed = Instant::now();
    lab.server("n1").unwrap().kill_hard().unwrap();
    pause(Duration::from_millis(300)).unwrap();
    lab.server("n1").unwrap().revive().unwrap();
    let back = Instant::now();
    until("answers after the return", Duration::from_secs(10), || {
        Ok(!load.summary_since(back).servers.is_empty())
    })
    .unwrap();

    let records = load.finish().unwrap();
    let silent = records.iter().filter(|record| (killed..back).contains(&record.started));
    assert!(silent.clone().count() > 10, "the rate goes on during the outage");
    assert!(Summary::of(silent).requests > 0);
    let before = Summary::of(records.iter().filter(|record| record.finished < killed));
    assert_eq!((before.failed(), before.share("n1")), (0, 1.0));
}

#[test]
fn a_stopped_server_refuses_and_loses_nothing_it_had_begun() {
    let Some(mut lab) = routed_lab() else { return };
    let target = lab.server("n2").unwrap().http();
    let mut slow = lab.client().unwrap().command("curl");
    slow.args(["-sS", "-m", "5", &format!("http://{target}/slow/700")]);
    let slow = std::thread::spawn(move || run(&mut slow));
    pause(Duration::from_millis(300)).unwrap();
    lab.server("n2").unwrap().stop().unwrap();
    assert_eq!(slow.join().unwrap().unwrap(), "n2");

    let load = Load::start(lab.client().unwrap(), Plan::steady(target, 100)).unwrap();
    until("refusals", Duration::from_secs(10), || Ok(load.summary().requests > 5)).unwrap();
    let summary = Summary::of(&load.finish().unwrap());
    assert_eq!(summary.failures.get(&Failure::Refused), Some(&summary.requests));
}

#[test]
fn the_capture_sees_connections_and_announcements() {
    let Some(lab) = routed_lab() else { return };
    let port = lab.routers[R1].public();
    let capture = Capture::start(lab.namespace("switch").unwrap(), port.switch).unwrap();
    let target = lab.servers[0].http();
    let mut curl = lab.client().unwrap().command("curl");
    let local = run(curl.args(["-sS", "-w", " %{local_port}", &format!("http://{target}/")])).unwrap();
    let connections = || capture.connections(target, port.mac());
    until("the connection", Duration::from_secs(5), || Ok(!connections().is_empty())).unwrap();
    assert_eq!(local, format!("n1 {}", connections()[0].1));

    lab.routers[R1].namespace().sysctl("ipv4.conf.eth0.arp_notify", "1").unwrap();
    lab.routers[R1].namespace().ip("link set eth0 down\nlink set eth0 up\n").unwrap();
    let announcement = Sight::Announcement { address: port.address, mac: port.mac() };
    until("the announcement", Duration::from_secs(5), || {
        Ok(capture.seen().iter().any(|(_, sight)| *sight == announcement))
    })
    .unwrap();
}

#[test]
fn nothing_stays_of_a_lab_not_even_of_a_dead_one() {
    let Some(lab) = lab() else { return };
    let (name, folder) = (lab.name().to_owned(), lab.folder().to_owned());
    let of_lab = |prefix: &str| -> usize {
        std::fs::read_dir(netns::FOLDER).unwrap().flatten().filter(|entry| starts_with(entry, prefix)).count()
    };
    assert_eq!(of_lab(&format!("{name}-")), 10);
    assert!(folder.join("r1/bpf").is_dir());
    drop(lab);
    assert_eq!(of_lab(&format!("{name}-")), 0);
    assert!(!folder.exists());

    // No process has this id: it is the kernel's limit (PID_MAX_LIMIT in include/linux/threads.h).
    Namespace::create("lb4194304-left").unwrap();
    let next = crate::support::lab().unwrap();
    assert_eq!(of_lab("lb4194304-"), 0);
    drop(next);
}

fn starts_with(entry: &std::fs::DirEntry, prefix: &str) -> bool {
    Path::new(&entry.file_name()).to_string_lossy().starts_with(prefix)
}

/// The lab with r1 as a plain kernel router between the LANs.
fn routed_lab() -> Option<Lab> {
    let lab = lab()?;
    let router = lab.routers[R1].namespace().ip(&format!("address add {NAT_ROUTER}/24 dev eth1\n"));
    let client = lab.client().and_then(|client| client.ip("route add 10.11.12.0/24 via 192.0.2.2\n"));
    router.and(client).expect("a kernel router between the LANs");
    Some(lab)
}
