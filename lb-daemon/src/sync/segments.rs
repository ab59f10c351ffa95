//! The network segments that virtual addresses stand on. Both routers stand on each of them, for the address moves between
//! them: a neighbour there has the same MAC address for both.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::LastHop;

use crate::{config::Config, ha::Role, topology::Link};

/// This router's interface, by virtual address, and whose connections of it are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    interfaces: BTreeMap<[u8; 4], Interface>,
    /// Virtual addresses that this router is active for; `None` where there are no groups: then it is for all or for none.
    own: Option<BTreeSet<[u8; 4]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interface {
    index: u32,
    mac: [u8; 6],
}

impl Segments {
    /// The segments of the configured virtual addresses, for a router with these roles by group.
    pub fn new(config: &Config, links: &BTreeMap<String, Link>, roles: &[Role]) -> Self {
        let interface =
            |name: &String| links.get(name).map(|link| Interface { index: link.index, mac: link.mac });
        let all = config.vips.iter();
        let interfaces =
            all.filter_map(|vip| Some((vip.address.addr().octets(), interface(&vip.interface)?))).collect();
        let forwards = |address| roles.get(config.group_of(address)).is_some_and(|role| role.forwards());
        let own = config.vips.iter().map(|vip| vip.address.addr()).filter(|address| forwards(*address));
        let own = (!config.groups.is_empty()).then(|| own.map(|address| address.octets()).collect());
        Self { interfaces, own }
    }

    /// Whether connections of a virtual address are this router's to tell of.
    pub fn are_told(&self, virtual_address: [u8; 4]) -> bool {
        self.own.as_ref().is_none_or(|own| own.contains(&virtual_address))
    }

    /// Whether they are the peer's to tell of.
    pub fn are_heard(&self, virtual_address: [u8; 4]) -> bool {
        self.own.as_ref().is_none_or(|own| !own.contains(&virtual_address))
    }

    /// Whether both tell of the same connections: another set begins with everything.
    pub fn tell_the_same(&self, other: &Self) -> bool {
        self.own == other.own
    }

    /// The MAC address of a neighbour on the segment of a virtual address; all zero where it stands elsewhere, or nowhere.
    pub fn neighbour(&self, virtual_address: [u8; 4], hop: &LastHop) -> [u8; 6] {
        let here = self
            .interfaces
            .get(&virtual_address)
            .filter(|here| hop.is_known() && here.index == hop.ifindex());
        here.map_or([0; 6], |_| hop.mac())
    }

    /// This router's way to the neighbour with a MAC address on the segment of a virtual address.
    pub fn last_hop(&self, virtual_address: [u8; 4], mac: [u8; 6]) -> Option<LastHop> {
        let Interface { index, mac: own } = *self.interfaces.get(&virtual_address)?;
        Some(LastHop::new(index, mac, own)).filter(LastHop::is_known)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{
        config::{Group, Vip},
        director::test_config,
    };

    const VIP: [u8; 4] = [192, 0, 2, 10];
    const OTHER: [u8; 4] = [192, 0, 2, 20];
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

    #[test]
    fn a_neighbour_is_the_same_for_both_routers() {
        let [one, other] = [(3, [6; 6]), (8, [4; 6])].map(|(index, mac)| segments("eth0", index, mac));
        let hop = LastHop::new(3, MAC, [6; 6]);
        let mac = one.neighbour(VIP, &hop);
        assert_eq!(mac, MAC);
        assert_eq!(other.last_hop(VIP, mac), Some(LastHop::new(8, MAC, [4; 6])));
    }

    #[test]
    fn a_neighbour_elsewhere_is_not_told_of() {
        let segments = segments("eth0", 3, [6; 6]);
        for hop in [LastHop::new(4, MAC, [6; 6]), LastHop::default(), LastHop::LEAVING] {
            assert_eq!(segments.neighbour(VIP, &hop), [0; 6]);
        }
        assert_eq!(segments.neighbour([192, 0, 2, 11], &LastHop::new(3, MAC, [6; 6])), [0; 6]);
    }

    #[test]
    fn a_way_that_is_not_known_is_none() {
        assert_eq!(segments("eth0", 3, [6; 6]).last_hop(VIP, [0; 6]), None);
        assert_eq!(segments("eth1", 3, [6; 6]).last_hop(VIP, MAC), None, "the interface is gone");
    }

    #[test]
    fn each_group_is_told_of_by_the_router_that_is_active_for_it() {
        let mut config = test_config();
        let all = |roles: &[Role], config: &Config| {
            let segments = Segments::new(config, &BTreeMap::new(), roles);
            [VIP, OTHER].map(|vip| (segments.are_told(vip), segments.are_heard(vip)))
        };
        for vip in [VIP, OTHER] {
            let (vip, interface) = (Ipv4Addr::from(vip), "eth0".to_owned());
            config.vips.push(Vip { address: vip.into(), interface });
        }
        for role in [Role::Active, Role::Standby] {
            assert_eq!(all(&[role], &config), [(true, true); 2], "the one role decides by itself");
        }
        for (name, vip) in [("east", VIP), ("west", OTHER)] {
            config.groups.push(Group::of_one(name, vip.into()));
        }
        assert_eq!(all(&[Role::Leaving, Role::Standby], &config), [(true, false), (false, true)]);
        assert_eq!(all(&[Role::Starting, Role::Active], &config), [(false, true), (true, false)]);
    }

    /// The segments of a router whose only link is `name`; the virtual address stands on eth0.
    fn segments(name: &str, index: u32, mac: [u8; 6]) -> Segments {
        let mut config = test_config();
        config.vips.push(Vip { address: "192.0.2.10/32".parse().unwrap(), interface: "eth0".to_owned() });
        Segments::new(
            &config,
            &BTreeMap::from([(name.to_owned(), Link { index, mac, up: true })]),
            &[Role::Active],
        )
    }
}
