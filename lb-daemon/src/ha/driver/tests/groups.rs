//! Two groups over the same sockets.

use super::*;
use crate::ha::engine::{Forced, Maintenance};

#[test]
fn each_router_is_active_for_the_group_that_prefers_it_and_groups_move_alone() {
    in_namespace(async {
        let mut alpha = begin("alpha", automatic(ALPHA, BETA), [("east", 200), ("west", 50)]);
        let mut beta = begin("beta", automatic(BETA, ALPHA), [("east", 100), ("west", 100)]);
        are(&mut alpha, [Role::Active, Role::Standby]).await;
        are(&mut beta, [Role::Standby, Role::Active]).await;
        // A lease begins with the first heartbeat that the other router has confirmed.
        let told = async {
            while alpha.groups()[1].peer_role.as_deref() != Some("active")
                || !alpha.warnings().is_empty()
                || !beta.warnings().is_empty()
            {
                pause().await;
            }
        };
        tokio::time::timeout(LONG, told).await.unwrap();
        let [east, west] = &alpha.groups()[..] else { panic!("{:?}", alpha.groups()) };
        assert_eq!((east.name.as_str(), east.role.as_str(), east.priority), ("east", "active", 200));
        assert_eq!((west.peer_role.as_deref(), west.peer_priority), (Some("active"), Some(100)));
        assert_eq!(alpha.status().role.as_deref(), Some("mixed"));

        let refused = alpha.failover(Some("west"));
        assert_eq!(refused, Err("group west: this router is standby: there is no role to give".to_owned()));
        assert_eq!(beta.failover(None), Ok("group west: handing the active role to alpha".to_owned()));
        are(&mut alpha, [Role::Active, Role::Active]).await;
        are(&mut beta, [Role::Standby, Role::Standby]).await;

        let held = Maintenance { role: Forced::Standby, reason: String::new() };
        let said = alpha.hold(Some("east"), Some(&held));
        assert_eq!(said, Ok("group east: this router is held standby by the operator".to_owned()));
        are(&mut alpha, [Role::Standby, Role::Active]).await;
        are(&mut beta, [Role::Active, Role::Standby]).await;
        let said = beta.hold(None, Some(&held)).unwrap_err();
        assert!(said.starts_with("group east: the peer is held standby by its operator"), "{said}");
        assert!(said.ends_with("; group west: this router is held standby by the operator"), "{said}");

        tokio::time::timeout(LONG, beta.shutdown()).await.unwrap();
    });
}

#[test]
fn a_group_that_the_peer_does_not_have_is_told_of() {
    in_namespace(async {
        let mut alpha = begin("alpha", peer(ALPHA, BETA, 200), [("east", 200), ("west", 200)]);
        let beta = begin("beta", peer(BETA, ALPHA, 100), [("east", 100), ("south", 100)]);
        are(&mut alpha, [Role::Active, Role::Active]).await;
        let told = async {
            while !beta.status().ignored.contains_key("unknown_group") || !alpha.status().alive {
                pause().await;
            }
        };
        tokio::time::timeout(LONG, told).await.unwrap();
        let expected =
            "the peer says nothing for the group west: both routers must have the same [[group]] sections";
        assert_eq!(alpha.warnings(), [expected]);
    });
}

#[test]
fn a_reload_changes_the_failback_of_one_group() {
    in_namespace(async {
        let alpha = begin("alpha", peer(ALPHA, BETA, 200), [("east", 200), ("west", 200)]);
        let shown = || alpha.groups().into_iter().map(|group| group.failback.unwrap()).collect::<Vec<_>>();
        let modes = || shown().into_iter().map(|one| (one.mode, one.delay_ms)).collect::<Vec<_>>();
        let manual = || ("manual".to_owned(), None);
        assert_eq!(modes(), [manual(), manual()]);
        assert_eq!(alpha.status().failback, None, "each group has its own");
        let auto = Preference { priority: 200, failback: Failback::Auto { delay: Duration::from_secs(2) } };
        let preferences = [("west".to_owned(), auto)].into();
        assert_eq!(alpha.update(Some(peer(ALPHA, BETA, 200)), &preferences, 7), Ok(()));
        assert_eq!(modes(), [manual(), ("auto".to_owned(), Some(2000))]);
    });
}

fn automatic(local: [u8; 4], remote: [u8; 4]) -> Peer {
    Peer { failback: Failback::Auto { delay: Duration::ZERO }, ..peer(local, remote, 1) }
}

fn begin(name: &str, peer: Peer, groups: [(&str, u8); 2]) -> Handle {
    let failback = peer.failback;
    let group = |(name, priority): (&str, u8)| Group {
        name: name.to_owned(),
        preference: Preference { priority, failback },
        resume: false,
        maintenance: None,
    };
    bind(Some(peer))
        .unwrap()
        .start(
            name.to_owned(),
            7,
            groups.map(group).into(),
            MemoryDatapath::default().lease(),
            watch::channel(Positions::default()).1,
        )
        .unwrap()
}

/// Waits for these roles, and follows them on the way as the director does.
async fn are(handle: &mut Handle, roles: [Role; 2]) {
    let wait = async {
        loop {
            let states = handle.roles.borrow_and_update().clone();
            for (group, state) in states.iter().enumerate() {
                handle.applied(group, state.role);
            }
            if states.iter().map(|state| state.role).eq(roles) {
                return;
            }
            handle.roles.changed().await.expect("the heartbeat runs");
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("the roles are taken in time");
}
