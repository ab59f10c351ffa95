//! What the heartbeats say of the copy, which goes another way here: its stream is cut, and they are not.

use super::*;
use crate::{
    api::types::BehindStatus,
    config::{HostAddress, Preference},
    ha::driver::{self, Group, Handle as Pair},
};

/// A router's heartbeat and its copy.
struct Both {
    pair: Pair,
    _copy: Handle,
}

#[test]
fn both_routers_know_what_the_standby_lacks_while_the_stream_is_cut() {
    in_namespace(async {
        for end in [1, 2] {
            ip(&format!("address add fd00::{end}/128 dev lo"));
        }
        let (alpha, beta) = (table(4), table(4));
        alpha.open(client(1), server(0), Established);
        let mut first = begin(&alpha, 1, 2, 100);
        takes(&mut first, Role::Active).await;
        let mut second = begin(&beta, 2, 1, 200);
        takes(&mut second, Role::Standby).await;
        for both in [&first, &second] {
            becomes("beta has everything", || both.lacks() == Some(Some(0))).await;
        }
        assert!(second.is_ready());

        ip("address del fd00::2/128 dev lo");
        alpha.open(client(2), server(0), Established);
        for both in [&first, &second] {
            becomes("a connection is missing", || both.lacks() == Some(Some(1))).await;
            assert_eq!(both.behind().unwrap().bytes, Some(30));
        }
        assert!(!second.is_ready());
        becomes("it has been for long", || second.behind().is_some_and(|behind| behind.far)).await;

        ip("address add fd00::2/128 dev lo");
        for both in [&first, &second] {
            becomes("beta has everything again", || both.lacks() == Some(Some(0))).await;
        }
        assert!(second.is_ready());
        assert_eq!(beta.flows(), alpha.flows());
    });
}

impl Both {
    fn behind(&self) -> Option<BehindStatus> {
        self.pair.status().behind
    }

    fn lacks(&self) -> Option<Option<u64>> {
        self.behind().map(|behind| behind.records)
    }

    fn is_ready(&self) -> bool {
        self.pair.status().failback.is_some_and(|failback| failback.ready)
    }
}

/// A router whose heartbeats go over IPv4 and its copy over IPv6.
fn begin(table: &Arc<Table>, own: u8, other: u8, priority: u8) -> Both {
    let [local, remote] = [own, other]
        .map(|end| HostAddress { ip: [0xfd00, 0, 0, 0, 0, 0, 0, end.into()].into(), interface: None });
    let heartbeat = peer([127, 0, 0, own], [127, 0, 0, other], b"0123456789abcdef");
    let copied = Peer { paths: vec![HeartbeatPath { local, remote }], ..heartbeat.clone() };
    let preference = Preference { priority, failback: Failback::Manual };
    let group = Group { name: String::new(), preference, resume: false, maintenance: None };
    let (reached, positions) = watch::channel(Positions::default());
    let lease = MemoryDatapath::default().lease();
    let bound = driver::bind(Some(heartbeat)).unwrap();
    let pair = bound.start("router".to_owned(), 7, vec![group], lease, positions).unwrap();
    let segments = watch::channel(Segments::default()).1;
    let table = Arc::clone(table) as Arc<dyn FlowTable>;
    let bound = bind(Some(&copied)).unwrap();
    let copy = bound.start(table, schedules(0), pair.roles.clone(), segments, reached).unwrap();
    Both { pair, _copy: copy }
}

/// Waits for a role, and follows it as the director does.
async fn takes(both: &mut Both, role: Role) {
    let wait = both.pair.roles.wait_for(|states| states[0].role == role);
    drop(timeout(LONG, wait).await.expect("in time").expect("the heartbeat runs"));
    both.pair.applied(0, role);
}
