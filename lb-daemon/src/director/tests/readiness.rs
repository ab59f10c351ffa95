//! What the pair is told of this router's readiness, by group: in a network namespace, since a router without a peer has no
//! role to take back.

use std::net::TcpListener;

use super::{roles::grouped, *};
use crate::{
    config::{ConnectionSync, Expect, Failback, HeartbeatPath, Key, Keys, Peer},
    namespace::in_namespace,
};

#[test]
fn a_router_is_ready_for_a_group_once_it_has_the_connections_and_knows_the_groups_servers() {
    in_namespace(async {
        let silent = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 12), 1)).unwrap();
        let (in_sync, rig) = start().await;

        // The server of the first group is found down at once, and that of the second one lets its checker wait.
        rig.until(|status| status.services[0].reals[0].detail.contains("refused")).await;
        assert_eq!(ready(&rig.status().await), [false, false], "the full transfer is not over");
        in_sync.send_replace(true);
        rig.until(|status| ready(status) == [true, false]).await;
        drop(silent);
        rig.until(|status| ready(status) == [true, true]).await;

        // A gap in what the peer tells, and then all of it again.
        in_sync.send_replace(false);
        rig.until(|status| ready(status) == [false, false]).await;
        in_sync.send_replace(true);
        rig.until(|status| ready(status) == [true, true]).await;
    });
}

#[test]
fn a_router_is_not_ready_from_its_start_until_the_copy_says_so() {
    in_namespace(async {
        let mut config = grouped();
        config.services.clear();
        let (in_sync, rig) = start_with(config).await;
        for _ in 0..3 {
            assert_eq!(ready(&rig.status().await), [false, false]);
        }
        in_sync.send_replace(true);
        rig.until(|status| ready(status) == [true, true]).await;
    });
}

/// A director of a pair with two groups, each with a service over one server, and what it is told of the copy: that it is under
/// way.
async fn start() -> (watch::Sender<bool>, Rig) {
    let mut config = grouped();
    let expects = Probe::SendExpect { send: Vec::new(), expect: Expect::Prefix(b"220".to_vec()) };
    for (service, (number, probe)) in config.services.iter_mut().zip([(11, Probe::Connect), (12, expects)]) {
        service.reals = vec![server(number)];
        let hour = Duration::from_secs(3600);
        service.check = Some(Check { probe, port: None, interval: hour, timeout: hour, rise: 1, fall: 1 });
    }
    start_with(config).await
}

async fn start_with(config: Config) -> (watch::Sender<bool>, Rig) {
    let datapath = MemoryDatapath::default();
    let mut idle = Idle::new(config, &datapath, Path::new("/nonexistent"));
    let director = &mut idle.director;
    let preference = Preference { priority: 1, failback: Failback::Manual };
    let group = |name: String| ha::driver::Group { name, preference, resume: false, maintenance: None };
    let groups = director.parts.config.group_names().into_iter().map(group).collect();
    let (_, positions) = watch::channel(ha::engine::Positions::default());
    let heartbeat = ha::driver::bind(Some(peer())).unwrap();
    director.parts.pair = heartbeat.start("lvs1".to_owned(), 0, groups, datapath.lease(), positions).unwrap();
    director.held = director.parts.pair.held();
    let (told, in_sync) = watch::channel(false);
    director.parts.sync.in_sync = in_sync;
    (told, idle.run().await)
}

/// A peer that is never there, and waited for.
fn peer() -> Peer {
    Peer {
        priority: 1,
        interval: Duration::from_secs(60),
        dead_after: Duration::from_secs(3600),
        failback: Failback::Manual,
        port: 539,
        keys: Keys::one(Key(b"0123456789abcdef".to_vec())),
        witnesses: Vec::new(),
        paths: vec![HeartbeatPath { local: [127, 0, 0, 1].into(), remote: [127, 0, 0, 2].into() }],
        sync: ConnectionSync { enabled: false, port: 540, half_open: false },
    }
}

fn ready(status: &Status) -> Vec<bool> {
    let failbacks = status.groups.iter().map(|group| group.failback.as_ref().expect("there is a peer"));
    failbacks.map(|failback| failback.ready).collect()
}
