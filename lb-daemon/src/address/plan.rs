//! What to add and remove, and what else would be lost: decided on values alone.

use std::collections::BTreeMap;

use netlink_packet_route::address::{AddressHeaderFlags, AddressMessage};

use crate::{config::Vip, netlink::snapshot};

/// An address that stands on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Address, prefix length and interface.
    pub(super) vip: Vip,
    /// Not the first one of its subnet on the interface.
    secondary: bool,
    /// As the kernel tells it, lifetime and label included: enough to put it back as it was.
    pub(super) message: AddressMessage,
}

impl Standing {
    /// Reads a message, with the interfaces' names by index.
    pub(super) fn of(message: AddressMessage, names: &BTreeMap<u32, &str>) -> Option<Self> {
        let address = snapshot::address(&message)?;
        let interface = (*names.get(&message.header.index)?).to_owned();
        let secondary = message.header.flags.contains(AddressHeaderFlags::Secondary);
        Some(Self { vip: Vip { address, interface }, secondary, message })
    }

    /// Whether `other` goes when this one goes: the kernel deletes a primary address together with its secondaries,
    /// those of the same subnet and prefix length (`__inet_del_ifa` in net/ipv4/devinet.c).
    fn takes_along(&self, other: &Self) -> bool {
        !self.secondary
            && other.secondary
            && self.vip.interface == other.vip.interface
            && self.vip.address.trunc() == other.vip.address.trunc()
    }
}

/// Floating addresses that do not stand.
pub(super) fn missing<'a>(standing: &[Standing], floating: &'a [Vip]) -> Vec<&'a Vip> {
    floating.iter().filter(|vip| !standing.iter().any(|other| other.vip == **vip)).collect()
}

/// Floating addresses that stand; secondaries first, so that no primary takes one of them along.
pub(super) fn removals<'a>(standing: &'a [Standing], floating: &[Vip]) -> Vec<&'a Standing> {
    let mut removals: Vec<&Standing> =
        standing.iter().filter(|other| floating.contains(&other.vip)).collect();
    removals.sort_by_key(|standing| !standing.secondary);
    removals
}

/// Addresses that are to stay, but that the kernel would delete together with a removed one.
pub(super) fn endangered<'a>(standing: &'a [Standing], removals: &[&Standing]) -> Vec<&'a Standing> {
    standing
        .iter()
        .filter(|other| !removals.iter().any(|removed| removed.vip == other.vip))
        .filter(|other| removals.iter().any(|removed| removed.takes_along(other)))
        .collect()
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::address::AddressAttribute;

    use super::*;

    const PRIMARY: bool = false;
    const SECONDARY: bool = true;

    #[test]
    fn what_stands_is_not_missing() {
        let standing = [standing("10.0.0.9/24", "eth0", SECONDARY)];
        assert_eq!(missing(&standing, &[vip("10.0.0.9/24", "eth0")]), Vec::<&Vip>::new());
    }

    #[test]
    fn another_prefix_or_interface_is_another_address() {
        let standing = [standing("10.0.0.9/24", "eth0", SECONDARY)];
        for other in [vip("10.0.0.9/32", "eth0"), vip("10.0.0.9/24", "eth1"), vip("10.0.0.8/24", "eth0")] {
            assert_eq!(missing(&standing, std::slice::from_ref(&other)), [&other]);
            assert_eq!(removals(&standing, &[other]), Vec::<&Standing>::new());
        }
    }

    #[test]
    fn secondaries_are_removed_before_their_primary() {
        let standing = [standing("10.0.0.9/24", "eth0", PRIMARY), standing("10.0.0.8/24", "eth0", SECONDARY)];
        let floating = [vip("10.0.0.9/24", "eth0"), vip("10.0.0.8/24", "eth0")];
        assert_eq!(removals(&standing, &floating), [&standing[1], &standing[0]]);
        assert!(endangered(&standing, &removals(&standing, &floating)).is_empty());
    }

    #[test]
    fn the_own_address_is_endangered_behind_a_floating_primary() {
        let standing = [standing("10.0.0.9/24", "eth0", PRIMARY), standing("10.0.0.1/24", "eth0", SECONDARY)];
        let removals = removals(&standing, &[vip("10.0.0.9/24", "eth0")]);
        assert_eq!(endangered(&standing, &removals), [&standing[1]]);
    }

    #[test]
    fn nothing_else_is_endangered() {
        let standing = [
            standing("10.0.0.9/24", "eth0", PRIMARY),
            standing("10.0.0.1/25", "eth0", SECONDARY),
            standing("10.0.0.2/24", "eth1", SECONDARY),
            standing("10.0.1.1/24", "eth0", SECONDARY),
            standing("10.0.2.1/24", "eth0", PRIMARY),
        ];
        let removals = removals(&standing, &[vip("10.0.0.9/24", "eth0")]);
        assert!(endangered(&standing, &removals).is_empty());
    }

    #[test]
    fn a_floating_secondary_endangers_nothing() {
        let standing = [
            standing("10.0.0.1/24", "eth0", PRIMARY),
            standing("10.0.0.9/24", "eth0", SECONDARY),
            standing("10.0.0.2/24", "eth0", SECONDARY),
        ];
        let removals = removals(&standing, &[vip("10.0.0.9/24", "eth0")]);
        assert!(endangered(&standing, &removals).is_empty());
    }

    fn vip(address: &str, interface: &str) -> Vip {
        Vip { address: address.parse().unwrap(), interface: interface.to_owned() }
    }

    fn standing(address: &str, interface: &str, secondary: bool) -> Standing {
        let vip = vip(address, interface);
        let names = BTreeMap::from([(3, "eth0"), (4, "eth1")]);
        let mut message = AddressMessage::default();
        message.header.index = if interface == "eth0" { 3 } else { 4 };
        message.header.prefix_len = vip.address.prefix_len();
        message.attributes.push(AddressAttribute::Local(vip.address.addr().into()));
        if secondary {
            message.header.flags |= AddressHeaderFlags::Secondary;
        }
        let standing = Standing::of(message, &names).unwrap();
        assert_eq!(standing.vip, vip);
        standing
    }
}
