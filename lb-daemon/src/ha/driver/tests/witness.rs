//! A witness that answers over the network, or does not.

use super::*;
use crate::namespace::ip;

#[test]
fn a_router_without_a_peer_is_active_while_its_witness_answers() {
    in_namespace(async {
        let watched = Peer { witnesses: vec![[192, 0, 2, 1].into()], ..peer(ALPHA, BETA, 200) };
        let mut alpha = start("alpha".to_owned(), Some(watched), 7, false).unwrap();
        becomes(&mut alpha, Role::Standby).await;
        let words = "neither the peer nor a witness answers: this router may be cut off";
        assert_eq!(alpha.roles.borrow()[0].reason, words);
        assert_eq!(alpha.warnings()[0], "no witness answers: without the peer, this router is not active");
        // The witness comes, and goes again.
        ip("address add 192.0.2.1/32 dev lo");
        becomes(&mut alpha, Role::Active).await;
        assert_eq!(alpha.warnings(), ["the peer is not heard on any heartbeat path"]);
        let status = alpha.status().witnesses[0].clone();
        assert_eq!((status.address.as_str(), status.answers), ("192.0.2.1", true));
        ip("address del 192.0.2.1/32 dev lo");
        becomes(&mut alpha, Role::Standby).await;
        // A reload that names none makes it an ordinary router; one that names another asks that one.
        let other = Peer { witnesses: vec![[127, 0, 0, 9].into()], ..peer(ALPHA, BETA, 200) };
        alpha.update(Some(other), &BTreeMap::new(), 7).unwrap();
        becomes(&mut alpha, Role::Active).await;
    });
}

#[test]
fn a_standby_router_takes_over_when_the_witness_answers() {
    in_namespace(async {
        let witnesses = vec![[127, 0, 0, 9].into()];
        let alpha = Peer { witnesses: witnesses.clone(), ..peer(ALPHA, BETA, 200) };
        let beta = Peer { witnesses, ..peer(BETA, ALPHA, 100) };
        let mut alpha = start("alpha".to_owned(), Some(alpha), 7, false).unwrap();
        becomes(&mut alpha, Role::Active).await;
        let mut beta = start("beta".to_owned(), Some(beta), 7, false).unwrap();
        becomes(&mut beta, Role::Standby).await;
        drop(alpha);
        becomes(&mut beta, Role::Active).await;
        assert_eq!(beta.roles.borrow()[0].reason, "peer silent for 1s");
    });
}
