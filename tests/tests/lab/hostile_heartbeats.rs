//! Heartbeats that are not the peer's: counted by cause, and believed by nobody.

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::Duration,
};

use etherparse::{SlicedPacket, TransportSlice};
use lb_daemon::{
    api::types::{PeerStatus, Status},
    config::{Key, Keys},
    ha::{
        Role,
        heartbeat::{Heartbeat, codec::Codec},
    },
};
use lb_tests::{
    lab::{Lab, R1, R2, frames::Frames, router::Router, wait::until},
    packet::Frame,
};

use crate::support::pair;

/// Port of heartbeats unless configured.
const PORT: u16 = 539;
/// Time that anything may take here, on a busy machine.
const LIMIT: Duration = Duration::from_secs(15);
/// Bytes of the shortest heartbeat there is: without a name.
const SHORTEST: usize = 82;
/// Heartbeats of each kind.
const COUNT: u64 = 25;

#[test]
fn forged_and_recorded_heartbeats_are_counted_and_change_no_role() {
    let Some(lab) = pair() else { return };
    for victim in [R1, R2] {
        let (router, peer) = (&lab.routers[victim], &lab.routers[R2 - victim]);
        let recorded = record(&lab, peer, 1).remove(0);
        let before = [R1, R2].map(|index| seen(&lab.routers[index]));
        let frames = Frames::open(lab.client().unwrap(), "eth0").unwrap();
        let shots = shots(&recorded);
        for (_, payload) in &shots {
            // From the client, with the peer's address.
            let frame = Frame::udp(at(peer), at(router)).payload(payload);
            frames.send([frame.link([2, 0, 192, 0, 2, 100], router.public().mac()).bytes()]).unwrap();
        }
        // The very words of the peer, from an address that is not the peer's.
        lab.client().unwrap().enter(|| insist(&recorded, at(router))).unwrap();

        let mut expected = before[victim].ignored.clone();
        for cause in shots.iter().map(|(cause, _)| *cause).chain((0..COUNT).map(|_| "stranger")) {
            *expected.entry(cause.to_owned()).or_default() += 1;
        }
        let counted = || Ok(seen(router).ignored == expected);
        until("every one to be counted", LIMIT, counted)
            .unwrap_or_else(|error| panic!("{error}: {:?} instead of {expected:?}", seen(router).ignored));
        for (index, before) in [R1, R2].into_iter().zip(before) {
            let now = seen(&lab.routers[index]);
            assert!(now.alive && now.paths.iter().all(|path| path.alive), "{now:?}");
            assert_eq!((now.transitions.len(), now.name), (before.transitions.len(), before.name));
        }
        assert_eq!(lab.active().unwrap(), R1);
    }
    // One line for each power of two, not one for each heartbeat; it says who.
    let log = lab.routers[R2].log_tail();
    assert!(log.matches("heartbeat ignored").count() < 40, "{log}");
    let stranger = "heartbeat ignored: not from the peer's address local=192.0.2.3 from=192.0.2.100:";
    assert!(log.contains(stranger), "{log}");
}

#[test]
fn recorded_heartbeats_of_a_dead_router_do_not_keep_its_role() {
    let Some(mut lab) = pair() else { return };
    let recorded = record(&lab, &lab.routers[R1], 8);
    lab.routers[R1].kill().unwrap();
    let target = at(&lab.routers[R2]);
    let source = at(&lab.routers[R1]);
    let ghost = lab.routers[R1].namespace().enter(|| UdpSocket::bind(source)).unwrap().unwrap();
    let replayed = |router: &Router| seen(router).ignored.get("replayed").copied().unwrap_or(0);
    let before = replayed(&lab.routers[R2]);
    until("r2 to take over from the ghost of r1", LIMIT, || {
        for payload in &recorded {
            ghost.send_to(payload, target)?;
        }
        Ok(lab.routers[R2].is_active())
    })
    .unwrap();
    until("the ghost to be counted", LIMIT, || Ok(replayed(&lab.routers[R2]) > before)).unwrap();
    assert!(!seen(&lab.routers[R2]).alive);

    // The router itself is believed when it returns.
    drop(ghost);
    lab.routers[R1].start().unwrap();
    lab.wait_settled().unwrap();
    assert_eq!(lab.active().unwrap(), R1);
}

/// Payloads that no router should believe, and what each is ignored as. `recorded` is a heartbeat of the peer.
fn shots(recorded: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let forged = Codec::new(&Keys::one(Key(b"a-guess-at-the-secret".to_vec()))).encode(&usurper()).to_vec();
    let changed = |offset: usize, byte: u8| {
        let mut copy = recorded.to_vec();
        copy[offset] = byte;
        copy
    };
    let length = recorded.len();
    (0..COUNT)
        .flat_map(|round| {
            let cut = SHORTEST * round as usize / COUNT as usize;
            let noise: Vec<u8> = (0..length).map(|at| (at as u64 * 197 + round * 31) as u8).collect();
            [
                ("wrong_key", forged.clone()),
                // The role of the sender, and the last octet of the tag.
                ("wrong_key", changed(5, recorded[5] ^ 1)),
                ("wrong_key", changed(length - 1, recorded[length - 1] ^ 1)),
                ("replayed", recorded.to_vec()),
                ("version", changed(4, 99)),
                ("truncated", recorded[..cut].to_vec()),
                // Room for what a later version adds, but not signed.
                ("wrong_key", [recorded, &[0; 1]].concat()),
                ("truncated", recorded.repeat(7)),
                ("truncated", noise),
            ]
        })
        .collect()
}

/// What an attacker would like to say.
fn usurper() -> Heartbeat {
    Heartbeat {
        role: Role::Active,
        wants_role: true,
        resumes: true,
        fault: false,
        weak: false,
        forced: None,
        priority: 255,
        cause: 0,
        incarnation: 1,
        sequence: u64::MAX,
        config_hash: 0,
        echo: None,
        name: "usurper".to_owned(),
        group: String::new(),
        position: None,
    }
}

/// The next `count` heartbeats that `router` sends on the public LAN.
fn record(lab: &Lab, router: &Router, count: usize) -> Vec<Vec<u8>> {
    let switch = lab.namespace("switch").expect("there is a switch");
    let frames = Frames::open(switch, router.public().switch).expect("it has this port");
    let source = router.public().address;
    frames.receive(count, LIMIT, |frame| heartbeat_from(frame, source)).expect("it sends heartbeats")
}

/// The payload of a frame, if it is a heartbeat from `source`.
fn heartbeat_from(frame: &[u8], source: Ipv4Addr) -> Option<Vec<u8>> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let from = packet.net.as_ref()?.ipv4_ref()?.header().source_addr();
    let Some(TransportSlice::Udp(udp)) = packet.transport else { return None };
    (from == source && udp.destination_port() == PORT).then(|| udp.payload().to_vec())
}

/// Sends `payload` often, from any port.
fn insist(payload: &[u8], target: SocketAddrV4) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("some port is free");
    for _ in 0..COUNT {
        socket.send_to(payload, target).expect("there is a way to the router");
    }
}

fn at(router: &Router) -> SocketAddrV4 {
    SocketAddrV4::new(router.public().address, PORT)
}

/// The pair as `lbctl` shows it.
fn seen(router: &Router) -> PeerStatus {
    let json = router.lbctl(&["--json", "status"]).expect("lbd answers");
    let status: Status = serde_json::from_str(&json).expect("lbctl prints the API's JSON");
    status.peer.expect("there is a peer")
}
