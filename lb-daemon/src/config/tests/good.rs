//! Good files.

use std::{net::Ipv4Addr, time::Duration};

use lb_common::{IPPROTO_TCP, IPPROTO_UDP, Method, Scheduler, ServiceKey};

use super::{GROUPS, PAIR, SINGLE, read};
use crate::{
    config::{
        Announce, AnnounceForm, BpfLog, Check, Command, ConnectionSync, Daemon, Expect, Failback,
        HeartbeatPath, Host, Limits, Notify, Preference, Probe, TrackProbe, Vip, load::host_name, parse,
    },
    mac::Mac,
};

#[test]
fn the_smallest_file_gets_every_default() {
    let config = read(SINGLE).unwrap();
    assert_eq!(config.router.name, host_name().unwrap());
    assert_eq!(config.peer, None);
    assert_eq!((config.limits, &config.daemon), (Limits::default(), &Daemon::default()));
    assert_eq!(config.vips, [Vip { address: "192.0.2.10/32".parse().unwrap(), interface: "eth0".into() }]);
    let [web] = &config.services[..] else { panic!("{:?}", config.services) };
    assert_eq!(web.key, ServiceKey::new(IPPROTO_TCP, [192, 0, 2, 10], 80));
    assert_eq!(web.scheduler, Scheduler::WeightedRoundRobin);
    let http = Probe::Http { path: "/".into(), host: None, status: 200..=399, body: None };
    assert_eq!(web.check, Some(Check { probe: http, ..tcp_default() }));
    let real = &web.reals[0];
    assert_eq!((real.name.as_str(), real.port, real.weight), ("10.11.12.21:80", 80, 1));
    assert_eq!((real.address, real.method), (Ipv4Addr::new(10, 11, 12, 21), Method::Nat));
}

#[test]
fn a_pair_says_everything() {
    let config = read(PAIR).unwrap();
    let peer = config.peer.unwrap();
    assert_eq!(config.router.name, "lvs1");
    assert_eq!(config.router.nat_router.unwrap().address.to_string(), "10.11.12.10/24");
    assert_eq!((peer.priority, peer.port), (150, 539));
    assert_eq!((peer.interval, peer.dead_after), (Duration::from_millis(200), Duration::from_millis(600)));
    assert_eq!(peer.failback, Failback::Auto { delay: Duration::from_secs(5) });
    assert_eq!(peer.keys.signing.0, b"0123456789abcdef");
    let second = HeartbeatPath { local: [10, 11, 12, 2].into(), remote: [10, 11, 12, 3].into() };
    assert_eq!((peer.paths.len(), &peer.paths[1]), (2, &second));
    assert_eq!(peer.sync, ConnectionSync { enabled: true, port: 540, half_open: false });
    assert_eq!((config.limits.flows, config.limits.services), (1_048_576, 256));
    assert_eq!(config.daemon.bpf_log, BpfLog::Warn);
    let [web, mail, dns] = &config.services[..] else { panic!("{:?}", config.services) };
    assert_eq!((web.reals[0].weight, web.reals[1].weight, web.reals[0].port), (2, 1, 8080));
    let probe = Probe::SendExpect { send: b"QUIT\r\n".to_vec(), expect: Expect::Prefix(b"220 ".to_vec()) };
    assert_eq!(mail.check.as_ref().unwrap().probe, probe);
    assert_eq!((mail.scheduler, mail.reals[0].method), (Scheduler::SourceHash, Method::Direct));
    assert_eq!(dns.key, ServiceKey::new(IPPROTO_UDP, [192, 0, 2, 11], 53));
    assert_eq!(dns.check, Some(Check { port: Some(53), ..tcp_default() }));
}

#[test]
fn each_group_has_its_addresses_and_priority() {
    let config = read(GROUPS).unwrap();
    assert_eq!(config.group_names(), ["mail", "shop"], "in the order of their names");
    let auto = |priority| Preference { priority, failback: Failback::Auto { delay: Duration::from_secs(5) } };
    let manual = Preference { priority: 100, failback: Failback::Manual };
    assert_eq!(config.preferences(), [("mail".to_owned(), manual), ("shop".to_owned(), auto(150))].into());
    let floating =
        |group| config.floating_of(group).iter().map(|vip| vip.address.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (floating(0), floating(1)),
        (vec!["192.0.2.11/32".to_owned()], vec!["10.11.12.10/24".to_owned(), "192.0.2.10/32".to_owned(),])
    );
    let groups: Vec<_> = config.services.iter().map(|one| config.group_of_service(&one.key)).collect();
    assert_eq!(groups, [1, 0]);
    // The priority of the pair is that of a group without one; without groups there is one that has no name.
    let config =
        read(&GROUPS.replace("priority = 150", "").replace("[peer]", "[peer]\npriority = 7")).unwrap();
    assert_eq!(config.preferences()["shop"].priority, 7);
    let config = read(PAIR).unwrap();
    assert_eq!(
        (config.group_names(), config.preferences()),
        (vec![String::new()], [(String::new(), auto(150))].into())
    );
    assert_eq!(config.floating_of(0).len(), config.floating().len());
}

#[test]
fn a_group_takes_its_role_back_as_the_pair_does_unless_it_says_otherwise() {
    let auto = |secs| Failback::Auto { delay: Duration::from_secs(secs) };
    for (peer, group, expected) in [
        ("", "", Failback::Manual),
        ("", "failback = \"auto\"", auto(5)),
        ("failback_delay = \"9s\"", "failback = \"auto\"", auto(9)),
        ("failback = \"auto\"\nfailback_delay = \"9s\"", "", auto(9)),
        ("failback = \"auto\"\nfailback_delay = \"9s\"", "failback_delay = \"1s\"", auto(1)),
        ("failback = \"auto\"", "failback = \"auto\"\nfailback_delay = \"0s\"", auto(0)),
        ("failback = \"auto\"\nfailback_delay = \"9s\"", "failback = \"manual\"", Failback::Manual),
    ] {
        let text = GROUPS.replace("failback = \"auto\"", peer).replace("failback = \"manual\"", "");
        let text = text.replace("priority = 100", &format!("priority = 100\n{group}\n# "));
        let config = read(&text).unwrap();
        assert_eq!(config.preferences()["mail"].failback, expected, "{peer}, and in the group {group}");
    }
}

#[test]
fn a_virtual_mac_is_that_of_a_virtual_router_or_any_and_each_group_has_its_own() {
    let mac = |text: &str| Some(text.parse::<Mac>().unwrap());
    let config = read(&PAIR.replace("[router]", "[router]\nvirtual_mac = 51")).unwrap();
    assert_eq!(config.virtual_mac_of(0), mac("00:00:5e:00:01:33"));
    assert!(config.has_virtual_macs());
    let config = read(&GROUPS.replace("virtual_mac = 52", "virtual_mac = \"02:0a:0b:0c:0d:0e\"")).unwrap();
    let macs = ["02:0a:0b:0c:0d:0e", "00:00:5e:00:01:33"].map(mac);
    assert_eq!([0, 1].map(|group| config.virtual_mac_of(group)), macs);
    assert!(config.has_virtual_macs() && !read(PAIR).unwrap().has_virtual_macs());
    assert_eq!(read(SINGLE).unwrap().virtual_mac_of(0), None);
}

#[test]
fn the_copy_of_connections_follows_the_heartbeat_unless_it_is_told() {
    for (lines, sync) in [
        ("port = 5000", ConnectionSync { enabled: true, port: 5001, half_open: false }),
        ("sync = { port = 7 }", ConnectionSync { enabled: true, port: 7, half_open: false }),
        ("sync = { enabled = false }", ConnectionSync { enabled: false, port: 540, half_open: false }),
        ("[peer.sync]\nhalf_open = true", ConnectionSync { enabled: true, port: 540, half_open: true }),
    ] {
        let text = match lines.strip_prefix("port") {
            Some(_) => PAIR.replace("[peer]", &format!("[peer]\n{lines}")),
            None if lines.starts_with("sync") => PAIR.replace("[peer]", &format!("[peer]\n{lines}")),
            None => format!("{PAIR}\n{lines}"),
        };
        assert_eq!(read(&text).unwrap().peer.unwrap().sync, sync, "{lines}");
    }
}

#[test]
fn checks_follow_the_protocol_where_none_is_given() {
    assert_eq!(check_of("").unwrap(), tcp_default());
    assert_eq!(check_of("protocol = \"udp\""), None);
    assert_eq!(check_of("check = { type = \"none\" }"), None);
}

#[test]
fn a_short_interval_shortens_the_default_timeout() {
    let check = check_of("check = { type = \"connect\", interval = \"500ms\" }").unwrap();
    assert_eq!((check.interval, check.timeout), (Duration::from_millis(500), Duration::from_millis(500)));
}

#[test]
fn a_regular_expression_is_compiled() {
    let check = check_of(r#"check = { type = "send_expect", expect_regex = "^2[0-9]{2}" }"#).unwrap();
    let regex = Expect::Regex(regex::bytes::Regex::new("^2[0-9]{2}").unwrap());
    assert_eq!(check.probe, Probe::SendExpect { send: vec![], expect: regex });
}

#[test]
fn peers_get_every_default() {
    let text = "[router]\ninterfaces = [\"eth0\"]\n[peer]\nkey = \"0123456789abcdef\"\n\
                paths = [{ local = \"192.0.2.2\", remote = \"192.0.2.3\" }]\n";
    let slow = read(&format!("{text}interval = \"30s\"")).unwrap().peer.unwrap();
    assert_eq!(slow.dead_after, Duration::from_secs(90), "by default it goes with the interval");
    let peer = read(text).unwrap().peer.unwrap();
    assert_eq!(peer.witnesses, []);
    assert_eq!((peer.priority, peer.port, peer.failback), (100, 539, Failback::Manual));
    assert_eq!((peer.interval, peer.dead_after), (Duration::from_millis(200), Duration::from_millis(600)));
}

#[test]
fn tracks_get_every_default() {
    let config = read(
        "[router]\ninterfaces = [\"eth0\"]\n\
         [[track]]\nname = \"uplink\"\ntype = \"link\"\ninterface = \"eth0\"\nfault = true\n\
         [[track]]\nname = \"gateway\"\ntype = \"gateway\"\naddress = \"192.0.2.1\"\nweight = 60\n\
         [[track]]\nname = \"disk\"\ntype = \"script\"\ncommand = [\"/x\", \"y\"]\nweight = 1\ninterval = \"1s\"",
    )
    .unwrap();
    let [uplink, gateway, disk] = &config.tracks[..] else { panic!("{:?}", config.tracks) };
    assert_eq!((uplink.fault, uplink.weight, uplink.rise, uplink.fall), (true, 0, 10, 1));
    assert_eq!(uplink.probe, TrackProbe::Link { interface: "eth0".to_owned() });
    let timeout = Duration::from_millis(500);
    let probe = TrackProbe::Gateway { address: [192, 0, 2, 1].into(), interface: None, timeout };
    assert_eq!((&gateway.probe, gateway.fault, gateway.weight), (&probe, false, 60));
    let (words, timeout) = (["/x", "y"].map(String::from).into(), Duration::from_secs(1));
    assert_eq!(disk.probe, TrackProbe::Script(Command { words, user: "nobody".to_owned(), timeout }));
    assert_eq!((disk.interval, disk.rise, disk.fall), (timeout, 2, 2));
}

#[test]
fn commands_that_are_told_run_as_one_user() {
    let head = "[router]\ninterfaces = [\"eth0\"]\n[notify]\nactive_cmd = [\"/a\", \"b\"]\n";
    let notify = read(head).unwrap().notify;
    let command = |words: &[&str]| Command {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        user: "nobody".to_owned(),
        timeout: Duration::from_secs(10),
    };
    assert_eq!((notify.active, notify.standby), (Some(command(&["/a", "b"])), None));
    let more = format!("{head}inactive_cmd = [\"/c\"]\nuser = \"root\"\ntimeout = \"1s\"");
    let standby = Command { user: "root".to_owned(), timeout: Duration::from_secs(1), ..command(&["/c"]) };
    assert_eq!(read(&more).unwrap().notify.standby, Some(standby));
    assert_eq!(read(SINGLE).unwrap().notify, Notify::default());
}

#[test]
fn announcements_get_every_default_and_a_refresh_can_be_left_out() {
    let announce = |lines: &str| read(&format!("{SINGLE}\n[announce]\n{lines}")).unwrap().announce;
    assert_eq!(announce(""), Announce::default());
    assert_eq!(read(SINGLE).unwrap().announce, Announce::default());
    let told = "form = \"reply\"\nburst = 5\nspacing = \"1s\"\nrepeats = 0\nrefresh = \"0s\"\nprobe = \"5s\"";
    let expected = Announce {
        form: AnnounceForm::Reply,
        burst: 5,
        spacing: Duration::from_secs(1),
        repeats: 0,
        refresh: None,
        probe: Some(Duration::from_secs(5)),
        ..Announce::default()
    };
    assert_eq!(announce(told), expected);
}

#[test]
fn a_file_without_services_is_a_start() {
    assert_eq!(read("[router]\ninterfaces = [\"eth0\"]").unwrap().services, []);
}

#[test]
fn interfaces_that_exist_are_accepted() {
    let host = Host { interfaces: Some(["lo", "eth0", "eth1"].map(String::from).into()) };
    let config = parse(SINGLE, "lbd.toml", &host, &|_| unreachable!("no key file is named")).unwrap();
    assert_eq!(config.router.interfaces, ["eth0", "eth1"].map(String::from).into());
}

/// The check of a service that says `line`.
fn check_of(line: &str) -> Option<Check> {
    let text = format!(
        "[router]\ninterfaces = [\"eth0\"]\n[[vip]]\naddress = \"192.0.2.10\"\ninterface = \"eth0\"\n\
         [[service]]\nname = \"web\"\naddress = \"192.0.2.10\"\nport = 80\n{line}\n"
    );
    read(&text).unwrap().services.remove(0).check
}

/// The check that a TCP service has by itself.
fn tcp_default() -> Check {
    let (interval, timeout) = (Duration::from_secs(2), Duration::from_secs(1));
    Check { probe: Probe::Connect, port: None, interval, timeout, rise: 2, fall: 2 }
}
