//! Netlink messages as plain rows, and what a moment's rows look like together.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use ipnet::Ipv4Net;
use netlink_packet_route::{
    AddressFamily,
    address::{AddressAttribute, AddressMessage, AddressProtocol},
    link::{LinkAttribute, LinkFlags, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourMessage, NeighbourState},
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteType},
};

use crate::{config::Vip, topology::Link};

/// Marks the neighbour entries that `lbd` has made (`NDA_PROTOCOL`), so that it knows them again after a restart.
/// The number is one that neither linux/rtnetlink.h nor iproute2's rt_protos gives to anyone.
pub(crate) const OWNER: RouteProtocol = RouteProtocol::Other(76);

/// Marks the addresses that `lbd` has added (`IFA_PROTO`), likewise. linux/if_addr.h has given away 1 to 3.
pub(crate) const ADDRESS_OWNER: AddressProtocol = AddressProtocol::Other(76);

/// A neighbour that packets are handed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hop {
    /// Interface index.
    pub(crate) ifindex: u32,
    /// Address of the gateway, or of the target itself.
    pub(crate) address: Ipv4Addr,
}

/// An entry of the neighbour table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// MAC address, while the entry is good to send with.
    pub(crate) mac: Option<[u8; 6]>,
    /// Set by an administrator: never resolved, never changed.
    pub(crate) fixed: bool,
    /// Kept resolved by the kernel (`NTF_EXT_MANAGED`).
    pub(crate) managed: bool,
    /// Made by `lbd`.
    pub(crate) ours: bool,
}

/// All rows of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Links by name.
    pub(crate) links: BTreeMap<String, Link>,
    /// Own addresses.
    pub(crate) locals: BTreeSet<Ipv4Addr>,
    /// The same with their prefix lengths and interfaces.
    pub(crate) addresses: BTreeSet<Vip>,
    /// Where packets to each target go; a target without a route is absent.
    pub(crate) routes: BTreeMap<Ipv4Addr, Hop>,
    /// The neighbour table.
    pub(crate) neighbours: BTreeMap<Hop, Neighbour>,
}

/// Name and row of a link; `None` for one without a name, which no kernel sends.
pub(crate) fn link(message: &LinkMessage) -> Option<(String, Link)> {
    let name = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })?;
    let mac = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(bytes) => <[u8; 6]>::try_from(bytes.as_slice()).ok(),
        _ => None,
    });
    let up = message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
    Some((name, Link { index: message.header.index, mac: mac.unwrap_or_default(), up }))
}

/// Address and prefix length of an IPv4 address; `None` for any other family.
pub(crate) fn address(message: &AddressMessage) -> Option<Ipv4Net> {
    // On a point-to-point link IFA_ADDRESS is the other end and IFA_LOCAL is ours (linux/if_addr.h).
    let own = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
        _ => None,
    };
    let address = message.attributes.iter().find_map(own)?;
    Ipv4Net::new(address, message.header.prefix_len).ok()
}

/// The neighbour that a looked-up route to `target` leads to; `None` where it leads nowhere, or by other means than an
/// IPv4 neighbour.
pub(crate) fn hop(target: Ipv4Addr, message: &RouteMessage) -> Option<Hop> {
    if message.header.kind != RouteType::Unicast {
        return None;
    }
    let ifindex = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })?;
    // RTA_VIA stands instead of RTA_GATEWAY where the gateway is an IPv6 one.
    if message.attributes.iter().any(|attribute| matches!(attribute, RouteAttribute::Via(_))) {
        return None;
    }
    let gateway = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => Some(*gateway),
        _ => None,
    });
    Some(Hop { ifindex, address: gateway.unwrap_or(target) })
}

/// Key and row of an entry of the IPv4 neighbour table.
pub(crate) fn neighbour(message: &NeighbourMessage) -> Option<(Hop, Neighbour)> {
    if message.header.family != AddressFamily::Inet {
        return None;
    }
    let mut destination = None;
    let mut mac = None;
    let mut row = Neighbour { fixed: fixed(message.header.state), ..Neighbour::default() };
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => destination = Some(*address),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = <[u8; 6]>::try_from(bytes.as_slice()).ok(),
            NeighbourAttribute::ExtFlags(flags) => row.managed = flags.contains(NeighbourExtFlags::Managed),
            NeighbourAttribute::Protocol(protocol) => row.ours = *protocol == OWNER,
            _ => {}
        }
    }
    row.mac = mac.filter(|_| usable(message.header.state));
    Some((Hop { ifindex: message.header.ifindex, address: destination? }, row))
}

/// Whether an entry in this state has a MAC address to send to. A stale one is good until the kernel finds otherwise.
fn usable(state: NeighbourState) -> bool {
    matches!(
        state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
    )
}

fn fixed(state: NeighbourState) -> bool {
    matches!(state, NeighbourState::Permanent | NeighbourState::Noarp)
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::route::RouteVia;

    use super::*;

    const TARGET: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 5];

    #[test]
    fn a_link_is_up_with_a_carrier_only() {
        let both = LinkFlags::Up | LinkFlags::LowerUp;
        for (flags, up) in [(both, true), (LinkFlags::Up, false), (LinkFlags::LowerUp, false)] {
            let (name, row) = link(&link_message(flags)).unwrap();
            assert_eq!((name.as_str(), row), ("eth0", Link { index: 3, mac: MAC, up }));
        }
    }

    #[test]
    fn a_link_without_a_mac_address_has_a_zero_one() {
        let mut message = link_message(LinkFlags::Up);
        message.attributes.retain(|attribute| !matches!(attribute, LinkAttribute::Address(_)));
        assert_eq!(link(&message).unwrap().1.mac, [0; 6]);
    }

    #[test]
    fn the_own_end_of_a_point_to_point_link_counts() {
        let mut message = AddressMessage::default();
        message.header.prefix_len = 32;
        message.attributes =
            vec![AddressAttribute::Address(GATEWAY.into()), AddressAttribute::Local(TARGET.into())];
        assert_eq!(address(&message), Some("10.0.0.5/32".parse().unwrap()));
    }

    #[test]
    fn a_direct_route_leads_to_the_target() {
        let message = route_message(RouteType::Unicast, vec![RouteAttribute::Oif(3)]);
        assert_eq!(hop(TARGET, &message), Some(Hop { ifindex: 3, address: TARGET }));
    }

    #[test]
    fn a_route_behind_a_gateway_leads_to_the_gateway() {
        let gateway = RouteAttribute::Gateway(RouteAddress::Inet(GATEWAY));
        let message = route_message(RouteType::Unicast, vec![RouteAttribute::Oif(3), gateway]);
        assert_eq!(hop(TARGET, &message), Some(Hop { ifindex: 3, address: GATEWAY }));
    }

    #[test]
    fn routes_that_no_ipv4_neighbour_serves_lead_nowhere() {
        let via = RouteAttribute::Via(RouteVia::Inet6(std::net::Ipv6Addr::LOCALHOST));
        for (kind, attributes) in [
            (RouteType::Local, vec![RouteAttribute::Oif(1)]),
            (RouteType::Broadcast, vec![RouteAttribute::Oif(3)]),
            (RouteType::BlackHole, vec![]),
            (RouteType::Unicast, vec![]),
            (RouteType::Unicast, vec![RouteAttribute::Oif(3), via]),
        ] {
            assert_eq!(hop(TARGET, &route_message(kind, attributes)), None, "{kind:?}");
        }
    }

    #[test]
    fn a_neighbour_has_a_mac_address_while_it_is_usable() {
        use NeighbourState::{Delay, Failed, Incomplete, Noarp, None, Permanent, Probe, Reachable, Stale};
        for (state, good) in [
            (Reachable, true),
            (Stale, true),
            (Delay, true),
            (Probe, true),
            (Permanent, true),
            (Incomplete, false),
            (Failed, false),
            (Noarp, false),
            (None, false),
        ] {
            let (key, row) = neighbour(&neighbour_message(state)).unwrap();
            assert_eq!(key, Hop { ifindex: 3, address: TARGET });
            assert_eq!(row.mac, good.then_some(MAC), "{state:?}");
            assert_eq!(row.fixed, matches!(state, Permanent | Noarp), "{state:?}");
        }
    }

    #[test]
    fn ownership_and_management_are_read() {
        let mut message = neighbour_message(NeighbourState::Reachable);
        assert!(!neighbour(&message).unwrap().1.managed && !neighbour(&message).unwrap().1.ours);
        message.attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
        message.attributes.push(NeighbourAttribute::Protocol(OWNER));
        assert!(neighbour(&message).unwrap().1.managed && neighbour(&message).unwrap().1.ours);
    }

    #[test]
    fn an_entry_of_another_table_is_not_taken() {
        let mut message = neighbour_message(NeighbourState::Reachable);
        message.header.family = AddressFamily::Bridge;
        assert_eq!(neighbour(&message), None);
    }

    fn link_message(flags: LinkFlags) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 3;
        message.header.flags = flags;
        message.attributes =
            vec![LinkAttribute::Address(MAC.to_vec()), LinkAttribute::IfName("eth0".to_owned())];
        message
    }

    fn route_message(kind: RouteType, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.kind = kind;
        message.attributes = attributes;
        message
    }

    fn neighbour_message(state: NeighbourState) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = 3;
        message.header.state = state;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet(TARGET)),
            NeighbourAttribute::LinkLayerAddress(MAC.to_vec()),
        ];
        message
    }
}
