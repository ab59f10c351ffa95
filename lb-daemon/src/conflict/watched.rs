//! What has to be known to tell a conflict: the addresses, and whose MAC addresses are whose.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use lb_common::Method;

use super::engine::{Action, Claim};
use crate::{config::Config, topology::Topology};

/// A MAC address at an interface, by its index: cards may have the same one on several segments.
pub type Place = (u32, [u8; 6]);

/// Who is to hold the addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holder {
    /// That is not decided yet.
    #[default]
    Undecided,
    /// This router.
    Here,
    /// The other router.
    Peer,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The floating addresses, by the index of their interface, with its name.
    pub addresses: BTreeMap<(u32, Ipv4Addr), String>,
    /// This router's own MAC addresses, by interface index.
    pub own: BTreeMap<u32, [u8; 6]>,
    /// Whether there is another router.
    pub is_pair: bool,
    /// The other router's MAC addresses, where a heartbeat path shows them.
    pub peer: BTreeSet<Place>,
    /// The virtual MAC address of the addresses: this router's or the peer's, whoever holds them.
    pub virtual_mac: Option<[u8; 6]>,
    /// Real servers with direct routing.
    pub servers: BTreeMap<Place, String>,
    /// Who is to hold the addresses.
    pub holder: Holder,
    /// Time between two questions to everyone while this router holds them; `None`: nobody is asked.
    pub probe: Option<Duration>,
}

impl Watched {
    /// Whom to ask whether a claim still stands: who makes it, or everyone where that is a virtual MAC address. A switch would
    /// send the question to whichever router it heard last.
    pub(super) fn question(&self, claim: &Claim) -> Action {
        if self.virtual_mac == Some(claim.mac) {
            Action::AskAll(claim.ifindex, claim.address)
        } else {
            Action::Ask(*claim)
        }
    }

    /// What configuration and network say of the addresses of a group.
    pub fn new(config: &Config, topology: &Topology, group: usize, holder: Holder) -> Self {
        let links = &topology.links;
        let addresses = config.floating_of(group).into_iter().filter_map(|vip| {
            let link = links.get(&vip.interface)?;
            Some(((link.index, vip.address.addr()), vip.interface))
        });
        let place = |target: Ipv4Addr| {
            let hop = topology.next_hops.get(&target)?;
            // Behind a gateway the next hop is the gateway.
            let is_near = topology.addresses.iter().any(|own| {
                links.get(&own.interface).is_some_and(|link| link.index == hop.ifindex)
                    && own.address.contains(&target)
            });
            is_near.then_some((hop.ifindex, hop.mac))
        };
        let peer = config.peer.iter().flat_map(|peer| &peer.paths);
        let reals = config.services.iter().flat_map(|service| &service.reals);
        let direct = reals.filter(|real| real.method == Method::Direct);
        Self {
            addresses: addresses.collect(),
            own: links.values().map(|link| (link.index, link.mac)).collect(),
            is_pair: config.peer.is_some(),
            peer: peer.filter_map(|path| place(path.remote.ipv4()?)).collect(),
            virtual_mac: config.virtual_mac_of(group).map(|mac| mac.0),
            servers: direct.filter_map(|real| Some((place(real.address)?, real.name.clone()))).collect(),
            holder,
            probe: config.announce.probe,
        }
    }
}

#[cfg(test)]
mod tests {
    use lb_common::{IPPROTO_TCP, Scheduler, ServiceKey};

    use super::*;
    use crate::{
        config::{Real, Service, Vip},
        director::test_config,
        topology::{Link, NextHop},
    };

    #[test]
    fn a_neighbour_is_known_by_its_mac_address_and_one_behind_a_gateway_is_not() {
        let vip = |address: &str| Vip { address: address.parse().unwrap(), interface: "eth0".to_owned() };
        let mut config = test_config();
        config.vips =
            vec![vip("192.0.2.10/32"), Vip { interface: "gone".to_owned(), ..vip("192.0.2.11/32") }];
        let real = |name: &str, address: &str, method| Real {
            name: name.to_owned(),
            address: address.parse().unwrap(),
            port: 80,
            weight: 1,
            method,
        };
        config.services = vec![Service {
            name: "web".to_owned(),
            key: ServiceKey::new(IPPROTO_TCP, [192, 0, 2, 10], 80),
            scheduler: Scheduler::RoundRobin,
            check: None,
            reals: vec![
                real("near", "192.0.2.21", Method::Direct),
                real("far", "198.51.100.21", Method::Direct),
                real("nat", "192.0.2.22", Method::Nat),
            ],
        }];
        let hop = |last| NextHop { ifindex: 3, mac: [2, 0, 0, 0, 0, last], source_mac: [2; 6] };
        let topology = Topology {
            links: [("eth0".to_owned(), Link { index: 3, mac: [2; 6], up: true })].into(),
            next_hops: [("192.0.2.21", 21), ("198.51.100.21", 1), ("192.0.2.22", 22)]
                .map(|(address, last)| (address.parse().unwrap(), hop(last)))
                .into(),
            addresses: [vip("192.0.2.2/24")].into(),
            ..Topology::default()
        };
        let watched = Watched::new(&config, &topology, 0, Holder::Here);
        let address = (3, Ipv4Addr::new(192, 0, 2, 10));
        assert_eq!(watched.addresses, [(address, "eth0".to_owned())].into());
        assert_eq!(watched.servers, [((3, [2, 0, 0, 0, 0, 21]), "near".to_owned())].into());
        assert_eq!((watched.own, watched.is_pair), ([(3, [2; 6])].into(), false));
    }
}
