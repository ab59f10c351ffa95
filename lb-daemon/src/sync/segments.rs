//! The network segments that virtual addresses stand on. Both routers stand on each of them, for the address moves between
//! them: a neighbour there has the same MAC address for both.

use std::collections::BTreeMap;

use lb_common::LastHop;

use crate::{config::Config, topology::Link};

/// This router's interface, by virtual address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments(BTreeMap<[u8; 4], Interface>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interface {
    index: u32,
    mac: [u8; 6],
}

impl Segments {
    /// The segments of the configured virtual addresses.
    pub fn new(config: &Config, links: &BTreeMap<String, Link>) -> Self {
        let interface =
            |name: &String| links.get(name).map(|link| Interface { index: link.index, mac: link.mac });
        let all = config.vips.iter();
        Self(all.filter_map(|vip| Some((vip.address.addr().octets(), interface(&vip.interface)?))).collect())
    }

    /// The MAC address of a neighbour on the segment of a virtual address; all zero where it stands elsewhere, or nowhere.
    pub fn neighbour(&self, virtual_address: [u8; 4], hop: &LastHop) -> [u8; 6] {
        let here = self.0.get(&virtual_address).filter(|here| hop.is_known() && here.index == hop.ifindex());
        here.map_or([0; 6], |_| hop.mac())
    }

    /// This router's way to the neighbour with a MAC address on the segment of a virtual address.
    pub fn last_hop(&self, virtual_address: [u8; 4], mac: [u8; 6]) -> Option<LastHop> {
        let Interface { index, mac: own } = *self.0.get(&virtual_address)?;
        Some(LastHop::new(index, mac, own)).filter(LastHop::is_known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Vip, director::test_config};

    const VIP: [u8; 4] = [192, 0, 2, 10];
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

    /// The segments of a router whose only link is `name`; the virtual address stands on eth0.
    fn segments(name: &str, index: u32, mac: [u8; 6]) -> Segments {
        let mut config = test_config();
        config.vips.push(Vip { address: "192.0.2.10/32".parse().unwrap(), interface: "eth0".to_owned() });
        Segments::new(&config, &BTreeMap::from([(name.to_owned(), Link { index, mac, up: true })]))
    }
}
