//! Sync groups: services and addresses that have a role of their own, so that both routers of a pair can be active, each for
//! some. A configuration without `[[group]]` has one, which has no name.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use lb_common::ServiceKey;

use super::{Config, Failback, Vip};
use crate::mac::Mac;

/// A `[[group]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Unique name.
    pub name: String,
    /// Election priority of this router for it; that of the peer section where absent.
    pub priority: Option<u8>,
    /// Whether this router takes its role back when it returns; as the peer section says where absent.
    pub failback: Option<Failback>,
    /// Virtual addresses.
    pub vips: BTreeSet<Ipv4Addr>,
    /// The floating gateway of its NAT real servers, held by the router that is active for it.
    pub nat_router: Option<Vip>,
    /// The virtual MAC address of its floating addresses; `None`: they are at the interface's own.
    pub virtual_mac: Option<Mac>,
}

/// How much this router wants to be active for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preference {
    /// Election priority.
    pub priority: u8,
    /// Whether it takes its role back when it returns.
    pub failback: Failback,
}

impl Preference {
    /// That of a router without a peer: nobody asks for it.
    pub const ALONE: Self = Self { priority: 1, failback: Failback::Manual };
}

#[cfg(test)]
impl Group {
    /// One of a single virtual address and nothing else, for tests.
    pub(crate) fn of_one(name: &str, vip: Ipv4Addr) -> Self {
        Self {
            name: name.to_owned(),
            priority: None,
            failback: None,
            vips: [vip].into(),
            nat_router: None,
            virtual_mac: None,
        }
    }
}

impl Config {
    /// Names of all groups, in order; one that is empty where none is configured.
    pub fn group_names(&self) -> Vec<String> {
        let names: Vec<String> = self.groups.iter().map(|group| group.name.clone()).collect();
        if names.is_empty() { vec![String::new()] } else { names }
    }

    /// This router's preferences for the groups, in their order.
    pub fn preferences(&self) -> BTreeMap<String, Preference> {
        let common = self.peer.as_ref().map_or(Preference::ALONE, |peer| Preference {
            priority: peer.priority,
            failback: peer.failback,
        });
        let own = |group: &Group| Preference {
            priority: group.priority.unwrap_or(common.priority),
            failback: group.failback.unwrap_or(common.failback),
        };
        let of = |name: &String| self.groups.iter().find(|group| group.name == *name).map_or(common, own);
        self.group_names().into_iter().map(|name| (name.clone(), of(&name))).collect()
    }

    /// The number of the group that a floating address belongs to.
    pub fn group_of(&self, address: Ipv4Addr) -> usize {
        let holds = |group: &Group| {
            let gateway = group.nat_router.as_ref().map(|vip| vip.address.addr());
            group.vips.contains(&address) || gateway == Some(address)
        };
        self.groups.iter().position(holds).unwrap_or(0)
    }

    /// The lease that a floating address is answered for under: each group has one of its own.
    pub fn lease_of(&self, address: Ipv4Addr) -> u32 {
        u32::try_from(self.group_of(address)).unwrap_or(u32::MAX)
    }

    /// The virtual MAC address of a group, if it has one.
    pub fn virtual_mac_of(&self, group: usize) -> Option<Mac> {
        self.groups.get(group).map_or(self.router.virtual_mac, |group| group.virtual_mac)
    }

    /// Whether any group has a virtual MAC address.
    pub fn has_virtual_macs(&self) -> bool {
        (0..self.group_names().len()).any(|group| self.virtual_mac_of(group).is_some())
    }

    /// The number of the group that a service belongs to.
    pub fn group_of_service(&self, key: &ServiceKey) -> usize {
        self.group_of(Ipv4Addr::from(key.address))
    }

    /// The addresses that move with the roles: every VIP and NAT router address.
    pub fn floating(&self) -> BTreeSet<Vip> {
        let gateways = self.groups.iter().filter_map(|group| group.nat_router.as_ref());
        self.vips.iter().chain(&self.router.nat_router).chain(gateways).cloned().collect()
    }

    /// Those that move with the role of one group.
    pub fn floating_of(&self, group: usize) -> Vec<Vip> {
        self.floating().into_iter().filter(|vip| self.group_of(vip.address.addr()) == group).collect()
    }
}
