//! Real sockets, on the loopback of a network namespace of each test's own.

mod groups;
mod paths;
mod witness;

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use super::*;
use crate::{
    config::{ConnectionSync, Failback, HeartbeatPath, Key, Keys, Peer},
    datapath::{Datapath as _, memory::MemoryDatapath},
    ha::{engine::Condition, heartbeat::Heartbeat},
    namespace::{in_namespace, run},
};

const PORT: u16 = 539;
const OLD: &[u8] = b"0123456789abcdef";
const NEW: &[u8] = b"fedcba9876543210";
const ALPHA: [u8; 4] = [127, 0, 0, 1];
const BETA: [u8; 4] = [127, 0, 0, 2];
/// Far more than any step takes: a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_router_without_a_peer_is_active_at_once() {
    run(async {
        let mut handle = start("alpha".to_owned(), None, 0, false).unwrap();
        assert_eq!(handle.roles.borrow()[0].role, Role::Active);
        assert_eq!(handle.failover(None), Err("no peer is configured".to_owned()));
        assert_eq!(handle.warnings(), Vec::<String>::new());
        assert_eq!(handle.update(None, &BTreeMap::new(), 1), Ok(()));
        assert_eq!(
            handle.update(Some(peer(ALPHA, BETA, 1)), &BTreeMap::new(), 1),
            Err(NeedsRestart(vec!["peer"]))
        );
        handle.shutdown().await;
    });
}

#[test]
fn two_routers_share_one_role_and_pass_it_on() {
    in_namespace(async {
        let mut alpha = start("alpha".to_owned(), Some(peer(ALPHA, BETA, 200)), 7, false).unwrap();
        becomes(&mut alpha, Role::Active).await;
        assert_eq!(alpha.roles.borrow()[0].reason, "peer silent for 1s");
        assert_eq!(alpha.warnings(), ["the peer is not heard on any heartbeat path"]);

        let mut beta = start("beta".to_owned(), Some(peer(BETA, ALPHA, 100)), 8, false).unwrap();
        becomes(&mut beta, Role::Standby).await;
        let status = beta.status();
        assert_eq!((status.name.as_deref(), status.alive), (Some("alpha"), true));
        assert_eq!(status.paths[0].local, "127.0.0.2");
        assert!(status.paths[0].alive);
        assert_eq!(status.transitions[0].reason, "peer is active");
        assert_eq!(beta.warnings(), ["the configuration differs from that of alpha"]);
        assert_eq!(beta.failover(None), Err("this router is standby: there is no role to give".to_owned()));

        // Alpha has heard beta when it says so; beta takes the role, and keeps it.
        tokio::time::timeout(LONG, async {
            while !alpha.status().alive {
                pause().await
            }
        })
        .await
        .unwrap();
        assert_eq!(alpha.failover(None), Ok("handing the active role to beta".to_owned()));
        becomes(&mut beta, Role::Active).await;
        becomes(&mut alpha, Role::Standby).await;
        assert_eq!(alpha.roles.borrow()[0].reason, "peer has taken over");

        let roles = alpha.roles.clone();
        tokio::time::timeout(LONG, beta.shutdown()).await.unwrap();
        becomes(&mut alpha, Role::Active).await;
        assert_eq!(roles.borrow()[0].reason, "peer gave up the role");
    });
}

#[test]
fn a_router_with_a_fault_gives_its_role_to_a_peer_without() {
    in_namespace(async {
        let mut alpha = start("alpha".to_owned(), Some(peer(ALPHA, BETA, 200)), 7, false).unwrap();
        becomes(&mut alpha, Role::Active).await;
        let mut beta = start("beta".to_owned(), Some(peer(BETA, ALPHA, 100)), 7, false).unwrap();
        becomes(&mut beta, Role::Standby).await;
        hear_each_other([&alpha, &beta]).await;
        alpha.set_conditions(|_| Condition { faults: vec!["uplink".to_owned()], ..Condition::default() });
        becomes(&mut beta, Role::Active).await;
        assert_eq!(beta.roles.borrow()[0].reason, "peer gave up the role, for it has a fault");
        becomes(&mut alpha, Role::Standby).await;
        assert_eq!(alpha.explanation(0), "peer has taken over; this router has a fault: uplink");
        assert!(beta.status().fault && !alpha.status().fault);
    });
}

#[test]
fn a_frozen_router_learns_what_happened_before_it_acts() {
    in_namespace(async {
        let (to_alpha, from_beta) = std::sync::mpsc::channel();
        let mut alpha = start("alpha".to_owned(), Some(peer(ALPHA, BETA, 200)), 7, false).unwrap();
        becomes(&mut alpha, Role::Active).await;
        // A thread of the same namespace.
        let thread = std::thread::spawn(move || {
            run(async move {
                let mut beta = start("beta".to_owned(), Some(peer(BETA, ALPHA, 100)), 7, false).unwrap();
                becomes(&mut beta, Role::Standby).await;
                to_alpha.send(()).unwrap();
                becomes(&mut beta, Role::Active).await;
                to_alpha.send(()).unwrap();
                // As long as alpha lives, its role is beta's.
                let yielded = beta.roles.wait_for(|states| states[0].role != Role::Active);
                assert!(tokio::time::timeout(Duration::from_secs(1), yielded).await.is_err());
            });
        });
        tokio::time::timeout(LONG, async {
            while !alpha.status().alive {
                pause().await
            }
        })
        .await
        .unwrap();
        // Nothing on this thread moves until beta has noticed.
        from_beta.recv().unwrap();
        from_beta.recv().unwrap();
        becomes(&mut alpha, Role::Standby).await;
        assert_eq!(alpha.roles.borrow()[0].reason, "peer took over while this router was frozen");
        while !thread.is_finished() {
            pause().await;
        }
        thread.join().unwrap();
    });
}

#[test]
fn what_is_not_the_peers_is_counted_and_ignored() {
    in_namespace(async {
        let handle = start("alpha".to_owned(), Some(peer(ALPHA, BETA, 200)), 7, false).unwrap();
        let stranger = UdpSocket::bind(("127.0.0.3", PORT)).unwrap();
        let mirror = UdpSocket::bind((Ipv4Addr::from(BETA), PORT)).unwrap();
        let forged = Codec::new(&Keys::one(Key(b"another key, 16+".to_vec()))).encode(&goodbye());
        let recorded = Codec::new(&keys()).encode(&goodbye());
        let mut other_version = recorded.to_vec();
        other_version[4] += 1;
        stranger.send_to(&recorded, (Ipv4Addr::from(ALPHA), PORT)).unwrap();
        for datagram in [&forged[..], &recorded[1..], &other_version, &recorded] {
            mirror.send_to(datagram, (Ipv4Addr::from(ALPHA), PORT)).unwrap();
        }
        let counted = async {
            while handle.status().ignored.values().sum::<u64>() < 5 {
                pause().await
            }
        };
        tokio::time::timeout(LONG, counted).await.unwrap();
        let causes = ["stranger", "truncated", "unproven", "version", "wrong_key"];
        assert_eq!(handle.status().ignored, causes.map(|cause| (cause.to_owned(), 1)).into());
        assert!(!handle.status().alive);
    });
}

#[test]
fn a_port_or_an_address_that_cannot_be_had_is_named() {
    in_namespace(async {
        let _other = UdpSocket::bind((Ipv4Addr::from(ALPHA), PORT)).unwrap();
        let taken = start("alpha".to_owned(), Some(peer(ALPHA, BETA, 1)), 0, false).unwrap_err();
        let taken = taken.to_string();
        assert!(
            taken.starts_with("heartbeat port 539 on 127.0.0.1 is taken by another program: "),
            "{taken}"
        );
        let absent = start("alpha".to_owned(), Some(peer([192, 0, 2, 2], BETA, 1)), 0, false).unwrap_err();
        let expected = "heartbeat address 192.0.2.2 is on no interface of this router: add it, or correct peer.paths.local";
        assert_eq!(absent.to_string(), expected);
    });
}

#[test]
fn a_reload_changes_the_timing_and_names_what_it_cannot_change() {
    in_namespace(async {
        let mut handle = start("alpha".to_owned(), Some(peer(ALPHA, BETA, 1)), 0, false).unwrap();
        let slow = Duration::from_secs(3600);
        let slower = Peer { interval: slow, dead_after: slow * 3, ..peer(ALPHA, BETA, 2) };
        assert_eq!(handle.update(Some(slower.clone()), &BTreeMap::new(), 0), Ok(()));
        assert_eq!(handle.shared.lock().engines[0].settings().dead_after, slow * 3);
        let elsewhere = Peer { port: 540, ..peer(ALPHA, [127, 0, 0, 9], 2) };
        let refused = handle.update(Some(elsewhere), &BTreeMap::new(), 0).unwrap_err();
        assert_eq!(refused.to_string(), "changed, but in force only after a restart: peer.paths, peer.port");
        becomes(&mut handle, Role::Active).await;
    });
}

#[test]
fn a_key_takes_the_place_of_another_while_every_heartbeat_is_believed() {
    in_namespace(async {
        let alpha = start("alpha".to_owned(), Some(peer(ALPHA, BETA, 200)), 7, false).unwrap();
        let beta = start("beta".to_owned(), Some(peer(BETA, ALPHA, 100)), 7, false).unwrap();
        hear_each_other([&alpha, &beta]).await;
        let steps = [keys_of(OLD, &[NEW]), keys_of(NEW, &[OLD]), keys_of(NEW, &[])];
        for keys in steps {
            for (handle, peer) in [(&alpha, peer(ALPHA, BETA, 200)), (&beta, peer(BETA, ALPHA, 100))] {
                let peer = Peer { keys: keys.clone(), ..peer };
                assert_eq!(handle.accept_keys(&peer), Ok(()));
                assert_eq!(handle.update(Some(peer), &BTreeMap::new(), 7), Ok(()));
                hear_each_other([&alpha, &beta]).await;
            }
        }
        for handle in [alpha, beta] {
            let ignored = handle.status().ignored;
            assert!(ignored.keys().all(|cause| cause == "unproven"), "{ignored:?}");
            assert_eq!(handle.warnings(), Vec::<String>::new());
        }
    });
}

#[test]
fn a_change_of_keys_that_would_cut_the_pair_apart_is_refused() {
    in_namespace(async {
        let alpha = start("alpha".to_owned(), Some(peer(ALPHA, BETA, 200)), 7, false).unwrap();
        let refusal = |keys| alpha.accept_keys(&Peer { keys, ..peer(ALPHA, BETA, 200) });
        // Nobody is there to be cut off.
        assert_eq!(refusal(keys_of(NEW, &[])), Ok(()));
        let beta = start("beta".to_owned(), Some(peer(BETA, ALPHA, 100)), 7, false).unwrap();
        hear_each_other([&alpha, &beta]).await;
        let early = refusal(keys_of(NEW, &[OLD])).unwrap_err();
        assert!(early.starts_with("the peer does not accept the first of the new keys yet"), "{early}");
        let accepts_both = Peer { keys: keys_of(OLD, &[NEW]), ..peer(BETA, ALPHA, 100) };
        beta.update(Some(accepts_both), &BTreeMap::new(), 7).unwrap();
        hear_each_other([&alpha, &beta]).await;
        assert_eq!(refusal(keys_of(NEW, &[OLD])), Ok(()));
        let early = refusal(keys_of(NEW, &[])).unwrap_err();
        assert!(early.starts_with("the peer still signs with a key that would be removed"), "{early}");
        let swapped = Peer { keys: keys_of(NEW, &[OLD]), ..peer(ALPHA, BETA, 200) };
        alpha.update(Some(swapped), &BTreeMap::new(), 7).unwrap();
        assert_eq!(alpha.warnings(), ["beta signs its heartbeats with another key than this router"]);
    });
}

#[test]
fn the_peer_hears_of_a_role_when_the_data_plane_has_it() {
    in_namespace(async {
        let ear = UdpSocket::bind((Ipv4Addr::from(BETA), PORT)).unwrap();
        ear.set_nonblocking(true).unwrap();
        let heard = || {
            let mut buffer = [0; 512];
            let codec = Codec::new(&keys());
            std::iter::from_fn(|| {
                ear.recv(&mut buffer).ok().map(|len| codec.decode(&buffer[..len]).unwrap().role)
            })
            .last()
        };
        // Patience for longer than the test takes.
        let slow = Peer { interval: LONG, dead_after: Duration::from_secs(1), ..peer(ALPHA, BETA, 200) };
        let alpha = start("alpha".to_owned(), Some(slow.clone()), 7, false).unwrap();
        tokio::time::timeout(LONG, async {
            while alpha.roles.borrow()[0].role != Role::Active {
                // Something must happen within half of `dead_after`, or it takes itself for frozen.
                alpha.update(Some(slow.clone()), &BTreeMap::new(), 7).unwrap();
                pause().await;
            }
        })
        .await
        .unwrap();
        pause().await;
        assert_eq!(heard(), Some(Role::Starting));
        alpha.applied(0, Role::Active);
        let told = async {
            while heard() != Some(Role::Active) {
                pause().await;
            }
        };
        tokio::time::timeout(LONG, told).await.unwrap();
    });
}

#[test]
fn a_router_answers_as_long_as_it_renews_its_lease() {
    in_namespace(async {
        let datapath = MemoryDatapath::default();
        let peer = Some(peer(ALPHA, BETA, 200));
        let mut alpha = start_over(datapath.clone(), "alpha".to_owned(), peer, 7, false).unwrap();
        assert_eq!((datapath.lease().runs(0), alpha.status().lease.state.as_str()), (false, "none"));
        becomes(&mut alpha, Role::Active).await;
        let renewed = async {
            while !datapath.lease().runs(0) {
                pause().await;
            }
        };
        tokio::time::timeout(LONG, renewed).await.expect("an active router has a lease");
        // Nothing on this thread moves.
        std::thread::sleep(Duration::from_millis(1100));
        assert!(!datapath.lease().runs(0), "it ends by itself");
        pause().await;
        pause().await;
        assert_eq!(alpha.status().lease.state, "expired");
        assert!(alpha.warnings().iter().any(|line| line.starts_with("the lease has expired")));
        let woken = Instant::now();
        let renewed = async {
            while !datapath.lease().runs(0) {
                pause().await;
            }
        };
        tokio::time::timeout(LONG, renewed).await.expect("nobody has taken over");
        assert!(woken.elapsed() > Duration::from_millis(900), "the peer was waited for");
        alpha.shutdown().await;
        assert!(datapath.state().leases.contains_key(&0), "the next life finds what is left of it");
    });
}

#[test]
fn a_router_without_a_network_goes_on() {
    in_namespace(async {
        // Nobody has the remote address, and there is no route to it.
        let mut handle = start("alpha".to_owned(), Some(peer(ALPHA, [192, 0, 2, 9], 1)), 0, false).unwrap();
        becomes(&mut handle, Role::Active).await;
        tokio::time::timeout(LONG, handle.shutdown()).await.unwrap();
    });
}

fn peer(local: [u8; 4], remote: [u8; 4], priority: u8) -> Peer {
    Peer {
        priority,
        interval: Duration::from_millis(100),
        dead_after: Duration::from_secs(1),
        failback: Failback::Manual,
        port: PORT,
        keys: keys(),
        witnesses: Vec::new(),
        paths: vec![HeartbeatPath { local: local.into(), remote: remote.into() }],
        sync: ConnectionSync { enabled: true, port: PORT + 1, half_open: false },
    }
}

fn keys() -> Keys {
    keys_of(OLD, &[])
}

fn keys_of(signing: &[u8], others: &[&[u8]]) -> Keys {
    let key = |bytes: &[u8]| Key(bytes.to_vec());
    Keys { signing: key(signing), others: others.iter().map(|bytes| key(bytes)).collect() }
}

/// Waits until each router has heard what the other has sent from now on.
async fn hear_each_other(handles: [&Handle; 2]) {
    let heard = |handle: &Handle| {
        handle.shared.lock().engines[0].peer().said.as_ref().map_or(0, |heartbeat| heartbeat.sequence)
    };
    for handle in handles {
        // One heartbeat may be on its way.
        let news = heard(handle) + 2;
        let wait = async {
            while heard(handle) < news {
                pause().await;
            }
        };
        tokio::time::timeout(LONG, wait).await.expect("the other router is heard");
    }
}

/// What a peer said that is going.
fn goodbye() -> Heartbeat {
    Heartbeat {
        priority: 255,
        cause: 13,
        config_hash: 7,
        name: "beta".to_owned(),
        ..Heartbeat::plain(Role::Leaving, 5)
    }
}

/// Waits for a role, and follows it as the director does.
async fn becomes(handle: &mut Handle, role: Role) {
    let wait = handle.roles.wait_for(|states| states[0].role == role);
    tokio::time::timeout(LONG, wait).await.expect("the role is taken in time").expect("the heartbeat runs");
    handle.applied(0, role);
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Binds and starts in one.
fn start(name: String, peer: Option<Peer>, config_hash: u64, resume: bool) -> Result<Handle, Error> {
    start_over(MemoryDatapath::default(), name, peer, config_hash, resume)
}

/// The same over a data plane that the test holds on to.
fn start_over(
    datapath: MemoryDatapath,
    name: String,
    peer: Option<Peer>,
    config_hash: u64,
    resume: bool,
) -> Result<Handle, Error> {
    let preference = peer
        .as_ref()
        .map_or(Preference::ALONE, |peer| Preference { priority: peer.priority, failback: peer.failback });
    let group = Group { name: String::new(), preference, resume, maintenance: None };
    let (_, positions) = watch::channel(Positions::default());
    bind(peer)?.start(name, config_hash, vec![group], Arc::new(datapath), positions)
}
