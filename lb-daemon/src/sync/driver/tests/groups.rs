//! Both directions at once: each router is active for one of two groups.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::*;
use crate::{
    config::{Group, Vip},
    director::test_config,
    sync::record::Server,
};

/// Connections of each group.
const FLOWS: u16 = 20;

/// A running copy, its roles and what it is told of them.
struct Both {
    copy: Running,
    segments: watch::Sender<Segments>,
}

#[test]
fn each_router_tells_of_its_own_services_and_a_group_that_moves_keeps_its_connections() {
    in_namespace(async {
        let (alpha, beta) = (two_services(64), two_services(33));
        open(&alpha, east);
        open(&beta, west);
        let first = begin(&alpha, ALPHA, BETA, [Role::Active, Role::Standby]);
        let second = begin(&beta, BETA, ALPHA, [Role::Standby, Role::Active]);
        let all = usize::from(FLOWS) * 2;
        becomes("each has everything", || alpha.flows().len() == all && beta.flows() == alpha.flows()).await;
        for both in [&first, &second] {
            becomes("it is in sync", || *both.copy.handle.in_sync.borrow()).await;
            let out = || both.copy.handle.status_out().expect("there are both directions");
            becomes("and so is the peer", || out().in_sync).await;
            assert_eq!(
                (both.copy.handle.status().state, out().state),
                ("receiving".into(), "sending".into())
            );
            assert_eq!(both.copy.handle.warnings(), Vec::<String>::new());
        }

        second.take([Role::Active, Role::Active]);
        first.take([Role::Standby, Role::Standby]);
        becomes("one direction is left", || first.copy.handle.status_out().is_none()).await;
        beta.change(client(3), FinWait);
        becomes("beta tells of it now", || alpha.state(client(3)) == Some(FinWait)).await;
        becomes("alpha is in sync", || *first.copy.handle.in_sync.borrow()).await;
        assert_eq!((alpha.flows().len(), &beta.flows()), (all, &alpha.flows()));
    });
}

#[test]
fn what_a_router_is_active_for_is_not_the_peers_to_take_away() {
    in_namespace(async {
        let (alpha, beta) = (two_services(64), two_services(64));
        open(&alpha, east);
        let first = begin(&alpha, ALPHA, BETA, [Role::Active, Role::Standby]);
        let second = begin(&beta, BETA, ALPHA, [Role::Standby, Role::Active]);
        becomes("beta has everything", || beta.flows() == alpha.flows()).await;

        // Alpha is lost with all it knew. Beta has its connections, on which there was no packet since.
        drop(first);
        becomes("beta notices", || second.copy.handle.status().state == "connecting").await;
        second.take([Role::Active, Role::Standby]);
        let empty = two_services(64);
        let first = begin(&empty, ALPHA, BETA, [Role::Standby, Role::Active]);
        becomes("beta has had everything again", || *second.copy.handle.in_sync.borrow()).await;
        becomes("and alpha too", || *first.copy.handle.in_sync.borrow()).await;
        assert_eq!(beta.flows().len(), usize::from(FLOWS), "nothing went with the full transfer");
        assert_eq!(empty.flows(), beta.flows());
        assert_eq!(second.copy.handle.status().unlisted, 0);
    });
}

impl Both {
    fn take(&self, roles: [Role; 2]) {
        self.segments.send_replace(segments(roles));
        self.copy.role.send_replace(states(roles));
    }
}

fn begin(table: &Arc<Table>, local: [u8; 4], remote: [u8; 4], roles: [Role; 2]) -> Both {
    let (role, told) = watch::channel(states(roles));
    let (segments, known) = watch::channel(segments(roles));
    let peer = peer(local, remote, b"0123456789abcdef");
    let table = Arc::clone(table) as Arc<dyn FlowTable>;
    let (reached, positions) = watch::channel(Positions::default());
    let handle = bind(Some(&peer)).unwrap().start(table, schedules(0), told, known, reached).unwrap();
    Both { copy: Running { handle, positions, role }, segments }
}

fn states(roles: [Role; 2]) -> Vec<RoleState> {
    roles.into_iter().flat_map(state).collect()
}

fn segments(roles: [Role; 2]) -> Segments {
    let mut config = test_config();
    for (name, server) in [("east", east(0)), ("west", west(0))] {
        let vip = Ipv4Addr::from(server.virtual_address);
        config.vips.push(Vip { address: vip.into(), interface: "eth0".to_owned() });
        config.groups.push(Group::of_one(name, vip));
    }
    Segments::new(&config, &BTreeMap::new(), &roles)
}

/// A table with a real server for each of two virtual addresses.
fn two_services(buckets: usize) -> Arc<Table> {
    let mut table = Table::new(buckets);
    table.own(0, east(0), 1);
    table.own(1, west(1), 1);
    Arc::new(table)
}

fn east(number: u16) -> Server {
    server(number)
}

fn west(number: u16) -> Server {
    Server { virtual_address: [192, 0, 2, 2], ..server(number) }
}

/// Opens the connections of one of the two services.
fn open(table: &Table, service: fn(u16) -> Server) {
    let (slot, first) =
        if service(0).virtual_address == east(0).virtual_address { (0, 0) } else { (1, FLOWS) };
    for number in first..first + FLOWS {
        assert!(table.open(client(number), service(slot), Established));
    }
}
