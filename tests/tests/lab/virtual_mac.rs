//! Floating addresses keep their virtual MAC address when they move: no host has to believe anything.

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::Duration,
};

use lb_daemon::{mac::Mac, ping::ping};
use lb_tests::lab::{
    Lab, R1, R2,
    background::{STREAM, configure, known, respond},
    capture::{Capture, Sight},
    config::Config,
    downloads::Downloads,
    run::run,
    topology::{DIRECT_VIP, NAT_ROUTER, NAT_VIP},
    wait::{pause, until},
};

use crate::support::{DIRECT, NAT, get, lab, lone_config};

/// The virtual router, and its MAC address.
const ID: u8 = 51;
const VIRTUAL: Mac = Mac::of_virtual_router(ID);
/// Downloads from each service, and bytes a second of each.
const DOWNLOADS: usize = 4;
const RATE: u64 = 200_000;
/// Time that anything may take here, on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
/// A port where nobody listens: what is sent there needs a neighbour all the same.
const DISCARD: u16 = 9;
/// Who talks to which address: the client and a host beside it to the virtual ones, a real server to its gateway.
const TALKS: [(&str, Ipv4Addr); 5] =
    [("client", NAT_VIP), ("client", DIRECT_VIP), ("d1", NAT_VIP), ("n1", NAT_ROUTER), ("n2", NAT_ROUTER)];

#[test]
fn a_takeover_after_a_loss_of_power_changes_no_neighbour() {
    let Some(mut lab) = routers() else { return };
    takes_over(&mut lab, |lab| lab.power_off(R1).unwrap());
}

#[test]
fn a_takeover_beside_a_data_plane_without_a_daemon_changes_no_neighbour() {
    let Some(mut lab) = routers() else { return };
    takes_over(&mut lab, |lab| {
        lab.routers[R1].kill().unwrap();
    });
    // It comes back, takes its role back, and each router receives what it is to receive.
    lab.routers[R1].start().unwrap();
    lab.wait_settled().unwrap();
    until("r1 alone to receive it", LIMIT, || {
        Ok([R1, R2].map(|router| receives(&lab, router)) == [true, false])
    })
    .unwrap();
    talk(&lab);
}

#[test]
fn the_kernel_answers_at_the_virtual_mac_on_both_routers() {
    let Some(lab) = lab() else { return };
    // The kernel's veth driver keeps it in mind that a frame is addressed to somebody else, which no other driver does. With more
    // queues at the other end than at this one it has no XDP, and the program runs generically.
    let switch = lab.namespace("switch").unwrap().clone();
    for port in ["r1-pub", "r1-priv", "r2-pub", "r2-priv"] {
        run(switch.command("ethtool").args(["-L", port, "tx", "2"])).unwrap();
    }
    let Some(mut lab) = start(lab) else { return };
    let generic =
        |lab: &Lab| lab.routers[R1].status().unwrap().interfaces.iter().all(|one| one.mode == "generic");
    assert!(generic(&lab));
    echoes(&lab);
    lab.routers[R1].kill().unwrap();
    until("r2 to be active", LIMIT, || Ok(lab.routers[R2].is_active())).unwrap();
    talk(&lab);
    echoes(&lab);
}

#[test]
fn planned_handovers_fail_no_request_and_the_switch_is_never_misled() {
    let Some(lab) = lab_without_copies() else { return };
    let _responders = respond(&lab, RATE).unwrap();
    let switch = lab.namespace("switch").unwrap().clone();
    let loads = [NAT_VIP, DIRECT_VIP].map(|address| downloads(&lab, address));
    for (router, other, port) in [(R1, R2, "r2-pub"), (R2, R1, "r1-pub")] {
        lab.routers[router].lbctl(&["failover"]).unwrap();
        until("the other to be active", LIMIT, || Ok(lab.routers[other].is_active())).unwrap();
        until("this one to be standby", LIMIT, || {
            Ok(lab.routers[router].role().as_deref() == Some("standby"))
        })
        .unwrap();
        let is_learned = || -> anyhow::Result<bool> {
            let learned = run(switch.command("bridge").args(["fdb", "show", "dev", port]))?;
            Ok(learned.contains(&VIRTUAL.to_string()))
        };
        until("the switch to hear the other", LIMIT, is_learned).unwrap();
        assert!(receives(&lab, router), "it passes on what comes late");
        let before: Vec<u64> = loads.iter().flat_map(Downloads::received).collect();
        // The router that has given the role up goes on with the downloads, and sends nothing from the virtual address.
        for _ in 0..20 {
            assert!(is_learned().unwrap(), "the switch has heard {router} after {other}");
            assert!([NAT, DIRECT].iter().all(|target| !get(&lab, *target, "/").is_empty()));
            pause(Duration::from_millis(50)).unwrap();
        }
        until("every download to go on", LIMIT, || Ok(have_grown(&loads, &before))).unwrap();
        until("the other alone to receive", LIMIT, || Ok(!receives(&lab, router))).unwrap();
        talk(&lab);
    }
    loads.into_iter().for_each(|load| load.finish().unwrap());
}

#[test]
fn a_router_without_a_peer_answers_also_when_its_daemon_is_dead() {
    let Some(mut lab) = lab() else { return };
    let router = &mut lab.routers[R1];
    let mut config = lone_config(router);
    change(&mut config);
    router.configure(&config).unwrap();
    router.start().unwrap();
    until("r1 to have its addresses and servers", LIMIT, || {
        let status = lab.routers[R1].status()?;
        let mut servers = status.services.iter().flat_map(|service| &service.reals);
        Ok(status.addresses.iter().all(|one| one.present) && servers.all(|real| real.state == "up"))
    })
    .unwrap();
    talk(&lab);
    lab.routers[R1].kill().unwrap();
    for host in ["client", "d1", "n1", "n2"] {
        lab.namespace(host).unwrap().ip("neighbour flush all\n").unwrap();
    }
    talk(&lab);
}

/// A pair whose routers do not tell each other of connections.
fn lab_without_copies() -> Option<Lab> {
    let mut lab = lab()?;
    for router in &mut lab.routers {
        let mut config = router.standard_config();
        change(&mut config);
        router.write_config(&format!("{}\n[peer.sync]\nenabled = false\n", config.text().unwrap())).unwrap();
        router.start().unwrap();
    }
    lab.wait_settled().unwrap();
    talk(&lab);
    Some(lab)
}

/// Has r2 take over by a `fault` of r1: established connections go on, and every host finds every address where it was.
fn takes_over(lab: &mut Lab, fault: impl FnOnce(&mut Lab)) {
    let _responders = respond(lab, RATE).unwrap();
    let switch = lab.namespace("switch").unwrap().clone();
    let captures = ["client", "d1", "n1", "n2"].map(|port| Capture::start(&switch, port).unwrap());
    let loads = [NAT_VIP, DIRECT_VIP].map(|address| downloads(lab, address));
    until("r2 to know every connection", LIMIT, || Ok(known(lab, R2)? == 2 * DOWNLOADS)).unwrap();
    // These hosts believe nobody from now on.
    for (host, address) in TALKS.into_iter().filter(|(host, _)| ["client", "n1"].contains(host)) {
        let line = format!("neighbour replace {address} lladdr {VIRTUAL} dev eth0 nud permanent\n");
        lab.namespace(host).unwrap().ip(&line).unwrap();
    }
    assert_eq!([R1, R2].map(|router| receives(lab, router)), [true, false]);

    fault(lab);
    until("r2 to be active", LIMIT, || Ok(lab.routers[R2].is_active())).unwrap();
    until("r2 to receive", LIMIT, || Ok(receives(lab, R2))).unwrap();
    let before: Vec<u64> = loads.iter().flat_map(Downloads::received).collect();
    until("every download to go on", LIMIT, || Ok(have_grown(&loads, &before))).unwrap();
    loads.into_iter().for_each(|load| load.finish().unwrap());
    talk(lab);
    for (_, sight) in captures.iter().flat_map(Capture::seen) {
        if let Sight::Answer { address, mac } | Sight::Announcement { address, mac } = sight
            && [NAT_VIP, DIRECT_VIP, NAT_ROUTER].contains(&address)
        {
            assert_eq!(Mac(mac), VIRTUAL, "{address}");
        }
    }
}

/// A pair with a virtual MAC address, whose addresses every host has talked to.
fn routers() -> Option<Lab> {
    start(lab()?)
}

/// Starts the routers of a laboratory likewise.
fn start(mut lab: Lab) -> Option<Lab> {
    lab.start_routers(change).unwrap();
    let status = lab.routers[R1].lbctl(&["status"]).unwrap();
    assert_eq!(status.matches(&format!("present, virtual MAC {VIRTUAL}")).count(), 3, "{status}");
    talk(&lab);
    Some(lab)
}

/// A virtual MAC address, and services for downloads.
fn change(config: &mut Config) {
    configure(config);
    config.router.virtual_mac = Some(ID);
}

/// Whether every download has got more than it had `before`.
fn have_grown(loads: &[Downloads], before: &[u64]) -> bool {
    let now = loads.iter().flat_map(Downloads::received);
    now.zip(before).all(|(now, before)| now > before + RATE)
}

/// Downloads from the service that streams at `address`.
fn downloads(lab: &Lab, address: Ipv4Addr) -> Downloads {
    Downloads::start(lab.client().unwrap(), SocketAddrV4::new(address, STREAM), DOWNLOADS).unwrap()
}

/// Every service answers, and every host finds every address that it sends to at the virtual MAC address.
fn talk(lab: &Lab) {
    for target in [NAT, DIRECT] {
        assert!(!get(lab, target, "/").is_empty());
    }
    for (host, address) in TALKS {
        let namespace = lab.namespace(host).unwrap();
        let send = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.send_to(b"?", (address, DISCARD));
        namespace.enter(send).unwrap().unwrap();
        until(&format!("{host} to find {address}"), LIMIT, || {
            let mut command = namespace.command("ip");
            let neighbour = run(command.args(["neighbour", "show", "to", &address.to_string()]))?;
            Ok(neighbour.contains(&format!("lladdr {VIRTUAL} ")))
        })
        .unwrap();
    }
}

/// Every address gives its hosts an echo: the kernel's, which takes what is addressed to the virtual MAC address.
fn echoes(lab: &Lab) {
    for (host, address) in TALKS {
        let ask = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(ping(&address.into(), None, LIMIT))
        };
        lab.namespace(host).unwrap().enter(ask).unwrap().unwrap();
    }
}

/// Whether both interfaces of a router receive what is addressed to the virtual MAC address, or neither does.
fn receives(lab: &Lab, router: usize) -> bool {
    let receives = ["eth0", "eth1"].map(|interface| {
        let mut command = lab.routers[router].namespace().command("bridge");
        let entries = run(command.args(["fdb", "show", "dev", interface])).unwrap();
        entries.contains(&format!("{VIRTUAL} self permanent"))
    });
    receives[0] && receives[1]
}
