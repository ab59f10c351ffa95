//! Decisions on a [`Snapshot`], without I/O: what the topology is, and which neighbour entries to make or give up.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use super::snapshot::{Hop, Snapshot};
use crate::topology::{Link, NextHop, Topology};

/// What to do about the neighbour table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Upkeep {
    /// Entries to resolve and keep resolved.
    pub(crate) keep: Vec<Hop>,
    /// Entries of ours that serve no target any more.
    pub(crate) release: Vec<Hop>,
}

impl Snapshot {
    /// The topology that these rows show.
    pub(crate) fn topology(&self) -> Topology {
        let next_hops = self
            .ways()
            .filter_map(|(target, hop, link)| {
                let mac = self.neighbours.get(&hop)?.mac?;
                Some((target, NextHop { ifindex: hop.ifindex, mac, source_mac: link.mac }))
            })
            .collect();
        let (locals, addresses) = (self.locals.clone(), self.addresses.clone());
        Topology { links: self.links.clone(), next_hops, locals, addresses }
    }

    /// Neighbours that targets are reached by now.
    pub(crate) fn hops(&self) -> BTreeSet<Hop> {
        self.ways().map(|(_, hop, _)| hop).collect()
    }

    /// What to do so that the neighbour table serves the targets.
    ///
    /// `asked` are the hops that were asked for a short while ago. An entry that is still not managed then stands in a
    /// kernel that does not know managed entries (before 5.16), and asking again every while keeps it fresh there.
    pub(crate) fn upkeep(&self, asked: &BTreeSet<Hop>) -> Upkeep {
        let wanted = self.hops();
        let release = self
            .neighbours
            .iter()
            .filter(|(hop, neighbour)| neighbour.ours && !neighbour.fixed && !wanted.contains(hop))
            .map(|(hop, _)| *hop)
            .collect();
        let keep = wanted
            .into_iter()
            .filter(|hop| match self.neighbours.get(hop) {
                None => true,
                Some(neighbour) => !neighbour.fixed && !neighbour.managed && !asked.contains(hop),
            })
            .collect();
        Upkeep { keep, release }
    }

    /// Every target with its neighbour and link, as far as packets can leave that way: not to ourselves, not through a
    /// link that is down.
    fn ways(&self) -> impl Iterator<Item = (Ipv4Addr, Hop, &Link)> {
        let up = self.links.values().filter(|link| link.up);
        let by_index: BTreeMap<u32, &Link> = up.map(|link| (link.index, link)).collect();
        self.routes
            .iter()
            .filter(|(target, _)| !self.locals.contains(target))
            .filter_map(move |(target, hop)| Some((*target, *hop, *by_index.get(&hop.ifindex)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::snapshot::Neighbour, *};
    use crate::config::Vip;

    const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const NEAR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
    const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 5);
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
    const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const NEAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 5];
    const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 254];
    const RESOLVED: Neighbour = Neighbour { mac: Some(NEAR_MAC), fixed: false, managed: true, ours: true };

    #[test]
    fn next_hops_are_the_target_or_its_gateway() {
        let topology = snapshot().topology();
        assert_eq!(topology.next_hops[&NEAR], NextHop { ifindex: 3, mac: NEAR_MAC, source_mac: OWN_MAC });
        assert_eq!(topology.next_hops[&FAR], NextHop { ifindex: 3, mac: GATEWAY_MAC, source_mac: OWN_MAC });
        assert_eq!(topology.locals, BTreeSet::from([OWN]));
        assert_eq!(topology.addresses, snapshot().addresses);
        assert!(topology.links["eth0"].up);
    }

    #[test]
    fn a_target_without_a_resolved_neighbour_is_absent() {
        let mut unresolved = snapshot();
        unresolved.neighbours.insert(hop(NEAR), Neighbour { mac: None, ..RESOLVED });
        unresolved.neighbours.remove(&hop(GATEWAY));
        assert!(unresolved.topology().next_hops.is_empty());
    }

    #[test]
    fn a_target_without_a_route_is_absent() {
        let mut routeless = snapshot();
        routeless.routes.remove(&FAR);
        assert_eq!(routeless.topology().next_hops.keys().collect::<Vec<_>>(), [&NEAR]);
    }

    #[test]
    fn a_link_that_is_down_carries_nothing() {
        let mut down = snapshot();
        down.links.insert("eth0".to_owned(), Link { index: 3, mac: OWN_MAC, up: false });
        assert!(down.topology().next_hops.is_empty());
        assert!(!down.topology().links["eth0"].up);
        assert!(down.hops().is_empty());
    }

    #[test]
    fn an_own_address_is_no_target() {
        let mut own = snapshot();
        own.locals.insert(NEAR);
        assert_eq!(own.topology().next_hops.keys().collect::<Vec<_>>(), [&FAR]);
        assert_eq!(own.hops(), BTreeSet::from([hop(GATEWAY)]));
    }

    #[test]
    fn nothing_is_to_do_while_all_is_managed() {
        assert_eq!(snapshot().upkeep(&BTreeSet::new()), Upkeep::default());
    }

    #[test]
    fn a_missing_entry_is_asked_for_at_once() {
        let mut missing = snapshot();
        missing.neighbours.remove(&hop(NEAR));
        let again = BTreeSet::from([hop(NEAR)]);
        assert_eq!(missing.upkeep(&again).keep, [hop(NEAR)]);
    }

    #[test]
    fn an_unmanaged_entry_is_asked_for_once_a_while() {
        let mut plain = snapshot();
        plain.neighbours.insert(hop(NEAR), Neighbour { managed: false, ours: false, ..RESOLVED });
        assert_eq!(plain.upkeep(&BTreeSet::new()).keep, [hop(NEAR)]);
        assert_eq!(plain.upkeep(&BTreeSet::from([hop(NEAR)])).keep, []);
    }

    #[test]
    fn an_administrators_entry_is_left_alone() {
        let mut fixed = snapshot();
        let permanent = Neighbour { fixed: true, managed: false, ours: false, ..RESOLVED };
        fixed.neighbours.insert(hop(NEAR), permanent);
        assert_eq!(fixed.upkeep(&BTreeSet::new()), Upkeep::default());
        assert_eq!(fixed.topology().next_hops[&NEAR].mac, NEAR_MAC);
    }

    #[test]
    fn only_own_entries_are_given_up() {
        let mut rest = snapshot();
        rest.routes.clear();
        rest.neighbours.insert(hop(GATEWAY), Neighbour { ours: false, ..RESOLVED });
        assert_eq!(rest.upkeep(&BTreeSet::new()), Upkeep { keep: vec![], release: vec![hop(NEAR)] });
    }

    #[test]
    fn an_own_entry_that_an_administrator_fixed_is_not_given_up() {
        let mut fixed = snapshot();
        fixed.routes.clear();
        for neighbour in fixed.neighbours.values_mut() {
            neighbour.fixed = true;
        }
        assert_eq!(fixed.upkeep(&BTreeSet::new()), Upkeep::default());
    }

    #[test]
    fn a_gateway_is_kept_while_one_target_needs_it() {
        let mut one = snapshot();
        one.routes.remove(&NEAR);
        assert_eq!(one.upkeep(&BTreeSet::new()).release, [hop(NEAR)]);
    }

    /// One link; one target on it, one behind a gateway; both resolved.
    fn snapshot() -> Snapshot {
        Snapshot {
            links: [("eth0".to_owned(), Link { index: 3, mac: OWN_MAC, up: true })].into(),
            locals: [OWN].into(),
            addresses: [Vip { address: OWN.into(), interface: "eth0".to_owned() }].into(),
            routes: [(NEAR, hop(NEAR)), (FAR, hop(GATEWAY))].into(),
            neighbours: [
                (hop(NEAR), RESOLVED),
                (hop(GATEWAY), Neighbour { mac: Some(GATEWAY_MAC), ..RESOLVED }),
            ]
            .into(),
        }
    }

    fn hop(address: Ipv4Addr) -> Hop {
        Hop { ifindex: 3, address }
    }
}
