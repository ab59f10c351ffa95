//! A router whose daemon is dead or frozen has the addresses in its kernel, and answers for none of them any more once its peer
//! does. Neighbour caches are flushed all the time, so that somebody asks at every moment.

use std::{
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use lb_tests::lab::{
    Lab, R1, R2,
    capture::{Capture, Sight},
    config::Config,
    netns::Namespace,
    run::run,
    topology::{DIRECT_VIP, HOSTS, NAT_ROUTER, NAT_VIP},
    wait::{pause, until},
};
use nix::sys::signal::Signal;

use crate::support::pair_with;

/// Time that anything may take here, on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
/// Time between two questions of one host.
const PACE: Duration = Duration::from_millis(20);
/// Time between two answers, at most, where every question is answered.
const PAUSE: Duration = Duration::from_secs(1);
/// Time in which both routers are watched.
const WATCH: Duration = Duration::from_secs(4);
/// A port where nobody listens: what is sent there needs a neighbour all the same.
const DISCARD: u16 = 9;

#[test]
fn a_killed_router_falls_silent_before_its_peer_answers() {
    let Some((mut lab, questions)) = asked(None) else { return };
    lab.routers[R1].kill().unwrap();
    until("r2 to answer for every address", LIMIT, || Ok(questions.all_answered_by(R2))).unwrap();
    pause(WATCH).unwrap();
    assert!(has_addresses(&lab, R1), "the kernel of r1 would answer");
    questions.judge(None);
    lab.routers[R1].start().unwrap();
    until("r1 to be standby", LIMIT, || Ok(lab.routers[R1].role().as_deref() == Some("standby"))).unwrap();
    until("r1 to give the addresses up", LIMIT, || Ok(!has_addresses(&lab, R1))).unwrap();
    pause(WATCH / 4).unwrap();
    questions.judge(None);
}

#[test]
fn a_frozen_router_is_silent_until_it_knows_and_then_is_standby() {
    let Some((lab, questions)) = asked(None) else { return };
    lab.routers[R1].signal(Signal::SIGSTOP).unwrap();
    until("r2 to answer for every address", LIMIT, || Ok(questions.all_answered_by(R2))).unwrap();
    pause(WATCH).unwrap();
    assert!(has_addresses(&lab, R1), "the kernel of r1 would answer");
    let woken = lab.routers[R1].signal(Signal::SIGCONT).unwrap();
    until("r1 to be standby", LIMIT, || Ok(lab.routers[R1].role().as_deref() == Some("standby"))).unwrap();
    pause(WATCH).unwrap();
    assert!(!has_addresses(&lab, R1) && has_addresses(&lab, R2));
    questions.judge(Some(woken));
}

#[test]
fn a_daemon_that_restarts_within_the_lease_leaves_no_question_without_an_answer() {
    // Far longer than a busy machine takes to start lbd.
    let Some((mut lab, questions)) = asked(Some("20s")) else { return };
    lab.routers[R1].kill().unwrap();
    lab.routers[R1].start().unwrap();
    until("r1 to be active again", LIMIT, || Ok(lab.routers[R1].is_active())).unwrap();
    pause(WATCH / 2).unwrap();
    let answers = questions.answers();
    assert!(answers.iter().all(|(_, _, router)| *router == R1), "r2 had no reason to take over");
    let status = lab.routers[R1].lbctl(&["status"]).unwrap();
    assert!(status.contains("  lease     runs for "), "{status}");
    for address in [NAT_VIP, DIRECT_VIP, NAT_ROUTER] {
        let of = answers.iter().filter(|(_, of, _)| *of == address);
        let times: Vec<Instant> = of.map(|(at, ..)| *at).collect();
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
        println!("{address}: the longest pause between two answers is {longest:?}");
        assert!(longest < Some(PAUSE), "{address}: {longest:?} without an answer");
    }
}

/// A pair whose active router, r1, has answered for every address. Once the role has moved it stays there.
fn asked(dead_after: Option<&str>) -> Option<(Lab, Questions)> {
    let change = |config: &mut Config, failback_delay: Option<&str>| {
        let peer = config.peer.as_mut().expect("the routers of the lab are a pair");
        peer.dead_after = dead_after.map(str::to_owned);
        peer.failback_delay = failback_delay.map_or(peer.failback_delay.clone(), str::to_owned);
    };
    let lab = pair_with(|config| change(config, None))?;
    for router in &lab.routers {
        let mut config = router.standard_config();
        change(&mut config, Some("1h"));
        router.configure(&config).unwrap();
        router.lbctl(&["reload"]).unwrap();
    }
    let questions = Questions::start(&lab);
    until("r1 to answer for every address", LIMIT, || Ok(questions.all_answered_by(R1))).unwrap();
    Some((lab, questions))
}

/// Whether a router's kernel has the floating addresses: all of them or none.
fn has_addresses(lab: &Lab, router: usize) -> bool {
    let mut command = lab.routers[router].namespace().command("ip");
    let listed = run(command.args(["-o", "-4", "address"])).unwrap();
    let present = [NAT_VIP, DIRECT_VIP, NAT_ROUTER].map(|address| listed.contains(&format!(" {address}/")));
    assert!(present.iter().all(|one| *one == present[0]), "{listed}");
    present[0]
}

/// Hosts that ask, and what they are answered.
struct Questions {
    stop: Arc<AtomicBool>,
    hosts: Vec<JoinHandle<()>>,
    captures: [Capture; 2],
}

impl Questions {
    /// The client asks for the virtual addresses, a real server for its gateway.
    fn start(lab: &Lab) -> Self {
        let switch = lab.namespace("switch").unwrap().clone();
        let captures = ["client", "n1"].map(|port| Capture::start(&switch, port).unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let ask = |host: &str, targets: &'static [Ipv4Addr]| {
            let (namespace, stop) = (lab.namespace(host).unwrap().clone(), Arc::clone(&stop));
            thread::spawn(move || ask(&namespace, targets, &stop))
        };
        let hosts = vec![ask("client", &[NAT_VIP, DIRECT_VIP]), ask("n1", &[NAT_ROUTER])];
        Self { stop, hosts, captures }
    }

    /// Every answer: when, for which address, by which router. Each address is seen at one port, so that the order is that of
    /// the wire.
    fn answers(&self) -> Vec<(Instant, Ipv4Addr, usize)> {
        self.sights(|sight| match sight {
            Sight::Answer { address, mac } => Some((address, mac)),
            Sight::Announcement { .. } | Sight::Syn { .. } => None,
        })
    }

    fn sights(&self, choose: fn(Sight) -> Option<(Ipv4Addr, [u8; 6])>) -> Vec<(Instant, Ipv4Addr, usize)> {
        let ours = |address: &Ipv4Addr| [NAT_VIP, DIRECT_VIP, NAT_ROUTER].contains(address);
        let seen = self.captures.iter().flat_map(Capture::seen);
        let chosen = seen.filter_map(|(at, sight)| choose(sight).map(|(address, mac)| (at, address, mac)));
        chosen
            .filter(|(_, address, _)| ours(address))
            .map(|(at, address, mac)| (at, address, router(mac)))
            .collect()
    }

    fn all_answered_by(&self, router: usize) -> bool {
        let answers = self.answers();
        let answered = |address: Ipv4Addr| answers.iter().any(|(_, of, by)| (*of, *by) == (address, router));
        [NAT_VIP, DIRECT_VIP, NAT_ROUTER].into_iter().all(answered)
    }

    /// Once r2 has answered for an address, r1 never does again; nor does it announce any from when it was woken on.
    fn judge(&self, woken: Option<Instant>) {
        let answers = self.answers();
        for address in [NAT_VIP, DIRECT_VIP, NAT_ROUTER] {
            let of = |router| answers.iter().filter(move |(_, of, by)| (*of, *by) == (address, router));
            let (last, first) = (of(R1).next_back().unwrap(), of(R2).next().unwrap());
            println!(
                "{address}: {} answers of r1, {} of r2, {:?} between",
                of(R1).count(),
                of(R2).count(),
                first.0.saturating_duration_since(last.0)
            );
            assert!(last.0 < first.0, "{address}: r1 answers {:?} after r2", last.0 - first.0);
        }
        let announced = self.sights(|sight| match sight {
            Sight::Announcement { address, mac } => Some((address, mac)),
            Sight::Answer { .. } | Sight::Syn { .. } => None,
        });
        let late = announced.iter().filter(|(at, _, by)| *by == R1 && woken.is_some_and(|woken| *at > woken));
        assert_eq!(late.count(), 0, "r1 announces addresses that it has lost");
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for host in self.hosts.drain(..) {
            if host.join().is_err() {
                eprintln!("a host that asked has panicked");
            }
        }
    }
}

/// Forgets all neighbours of a host and has it ask for `targets`, again and again.
fn ask(namespace: &Namespace, targets: &[Ipv4Addr], stop: &AtomicBool) {
    let socket = namespace.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).unwrap().unwrap();
    while !stop.load(Ordering::Relaxed) {
        namespace.ip("neighbour flush all\n").unwrap();
        for target in targets {
            // What cannot be sent now is asked for in the next turn.
            let _ = socket.send_to(b"?", (*target, DISCARD));
        }
        thread::sleep(PACE);
    }
}

/// The router with this MAC address.
fn router(mac: [u8; 6]) -> usize {
    let of = |name| HOSTS.iter().find(|host| host.name == name).unwrap();
    let has = |name| of(name).ports.iter().any(|port| port.mac() == mac);
    match (has("r1"), has("r2")) {
        (true, false) => R1,
        (false, true) => R2,
        _ => panic!("a stranger answers: {mac:02x?}"),
    }
}
