//! What to add and remove, and what else would be lost: decided on values alone.

use std::collections::{BTreeMap, BTreeSet};

use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};

use super::{Change, Wanted};
use crate::{
    config::Vip,
    netlink::snapshot::{self, ADDRESS_OWNER},
};

/// An address that stands on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Address, prefix length and interface.
    pub(super) vip: Vip,
    /// Not the first one of its subnet on the interface.
    secondary: bool,
    /// Added by `lbd`, as the kernel remembers it.
    pub(super) marked: bool,
    /// As the kernel tells it, lifetime and label included: enough to put it back as it was.
    pub(super) message: AddressMessage,
}

impl Standing {
    /// Reads a message, with the interfaces' names by index.
    pub(super) fn of(message: AddressMessage, names: &BTreeMap<u32, &str>) -> Option<Self> {
        let address = snapshot::address(&message)?;
        let interface = (*names.get(&message.header.index)?).to_owned();
        let secondary = message.header.flags.contains(AddressHeaderFlags::Secondary);
        let marked = message.attributes.contains(&AddressAttribute::Protocol(ADDRESS_OWNER));
        Some(Self { vip: Vip { address, interface }, secondary, marked, message })
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

/// Floating addresses that are wanted here and do not stand.
pub(super) fn missing<'a>(standing: &[Standing], floating: &'a [(Vip, Wanted)]) -> Vec<&'a Vip> {
    let here = floating.iter().filter(|(_, wanted)| *wanted == Wanted::Here).map(|(vip, _)| vip);
    here.filter(|vip| !standing.iter().any(|other| other.vip == **vip)).collect()
}

/// What stands and is not to: floating addresses where they are wanted away, and own ones that are floating no more.
/// Secondaries first, so that no primary takes one of them along.
pub(super) fn removals<'a>(
    standing: &'a [Standing],
    floating: &[(Vip, Wanted)],
    is_own: impl Fn(&Standing) -> bool,
) -> Vec<&'a Standing> {
    let is_due = |other: &&Standing| {
        let wanted = floating.iter().find(|(vip, _)| *vip == other.vip).map(|(_, wanted)| *wanted);
        wanted.map_or_else(|| is_own(other), |wanted| wanted == Wanted::Away)
    };
    let mut removals: Vec<&Standing> = standing.iter().filter(is_due).collect();
    removals.sort_by_key(|standing| !standing.secondary);
    removals
}

/// What is to be remembered as added, after these changes to what stood: what was `recorded` and stands still, and what is new.
pub(super) fn remembered(
    standing: &[Standing],
    recorded: &BTreeSet<Vip>,
    changes: &[Change],
) -> BTreeSet<Vip> {
    let stood = recorded.iter().filter(|vip| standing.iter().any(|other| other.vip == **vip));
    let mut remembered: BTreeSet<Vip> = stood.cloned().collect();
    for change in changes {
        match change {
            Change::Added(vip) => drop(remembered.insert(vip.clone())),
            Change::Removed(vip) => drop(remembered.remove(vip)),
            Change::Restored(_) => {}
        }
    }
    remembered
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
    use super::*;

    const PRIMARY: bool = false;
    const SECONDARY: bool = true;

    #[test]
    fn what_stands_is_not_missing() {
        let standing = [standing("10.0.0.9/24", "eth0", SECONDARY)];
        assert_eq!(missing(&standing, &[(vip("10.0.0.9/24", "eth0"), Wanted::Here)]), Vec::<&Vip>::new());
    }

    #[test]
    fn another_prefix_or_interface_is_another_address() {
        let standing = [standing("10.0.0.9/24", "eth0", SECONDARY)];
        for other in [vip("10.0.0.9/32", "eth0"), vip("10.0.0.9/24", "eth1"), vip("10.0.0.8/24", "eth0")] {
            assert_eq!(missing(&standing, &[(other.clone(), Wanted::Here)]), [&other]);
            assert!(missing(&standing, &[(other.clone(), Wanted::Away)]).is_empty());
            assert_eq!(away(&standing, &[other]), Vec::<&Standing>::new());
        }
    }

    #[test]
    fn floating_addresses_go_on_standby_alone_whoever_has_set_them() {
        let standing = [standing("10.0.0.9/24", "eth0", SECONDARY), own("10.0.0.8/24", "eth0")];
        let floating = [vip("10.0.0.9/24", "eth0"), vip("10.0.0.8/24", "eth0")];
        for wanted in [Wanted::Here, Wanted::AsTheyAre] {
            assert_eq!(removals(&standing, &all(&floating, wanted), is_marked), Vec::<&Standing>::new());
        }
        assert_eq!(away(&standing, &floating), [&standing[0], &standing[1]]);
    }

    #[test]
    fn an_own_address_that_is_floating_no_more_goes_whatever_is_wanted() {
        let standing = [
            own("10.0.0.9/24", "eth0"),
            own("10.0.0.8/32", "eth1"),
            standing("10.0.0.7/24", "eth0", SECONDARY),
        ];
        let floating = [vip("10.0.0.9/32", "eth0")];
        for wanted in [Wanted::Here, Wanted::Away, Wanted::AsTheyAre] {
            let due = removals(&standing, &all(&floating, wanted), is_marked);
            assert_eq!(due, [&standing[0], &standing[1]], "{wanted:?}");
        }
    }

    #[test]
    fn what_is_gone_or_removed_is_forgotten_and_what_is_added_remembered() {
        let [nine, eight, seven] = [9, 8, 7].map(|last| vip(&format!("10.0.0.{last}/32"), "eth0"));
        let standing = [standing("10.0.0.9/32", "eth0", PRIMARY), standing("10.0.0.5/32", "eth0", PRIMARY)];
        let recorded = BTreeSet::from([nine.clone(), eight]);
        assert_eq!(remembered(&standing, &recorded, &[]), [nine.clone()].into());
        let changes = [Change::Added(seven.clone()), Change::Removed(nine)];
        assert_eq!(remembered(&standing, &recorded, &changes), [seven].into());
    }

    #[test]
    fn secondaries_are_removed_before_their_primary() {
        let standing = [standing("10.0.0.9/24", "eth0", PRIMARY), standing("10.0.0.8/24", "eth0", SECONDARY)];
        let floating = [vip("10.0.0.9/24", "eth0"), vip("10.0.0.8/24", "eth0")];
        assert_eq!(away(&standing, &floating), [&standing[1], &standing[0]]);
        assert!(endangered(&standing, &away(&standing, &floating)).is_empty());
    }

    #[test]
    fn the_own_address_is_endangered_behind_a_floating_primary() {
        let standing = [standing("10.0.0.9/24", "eth0", PRIMARY), standing("10.0.0.1/24", "eth0", SECONDARY)];
        let removals = away(&standing, &[vip("10.0.0.9/24", "eth0")]);
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
        let removals = away(&standing, &[vip("10.0.0.9/24", "eth0")]);
        assert!(endangered(&standing, &removals).is_empty());
    }

    #[test]
    fn a_floating_secondary_endangers_nothing() {
        let standing = [
            standing("10.0.0.1/24", "eth0", PRIMARY),
            standing("10.0.0.9/24", "eth0", SECONDARY),
            standing("10.0.0.2/24", "eth0", SECONDARY),
        ];
        let removals = away(&standing, &[vip("10.0.0.9/24", "eth0")]);
        assert!(endangered(&standing, &removals).is_empty());
    }

    /// What goes where the floating addresses are wanted away.
    fn away<'a>(standing: &'a [Standing], floating: &[Vip]) -> Vec<&'a Standing> {
        removals(standing, &all(floating, Wanted::Away), is_marked)
    }

    fn all(floating: &[Vip], wanted: Wanted) -> Vec<(Vip, Wanted)> {
        floating.iter().map(|vip| (vip.clone(), wanted)).collect()
    }

    fn is_marked(standing: &Standing) -> bool {
        standing.marked
    }

    /// An address that `lbd` has added.
    fn own(address: &str, interface: &str) -> Standing {
        let mut message = standing(address, interface, SECONDARY).message;
        message.attributes.push(AddressAttribute::Protocol(ADDRESS_OWNER));
        let own = Standing::of(message, &BTreeMap::from([(3, "eth0"), (4, "eth1")])).unwrap();
        assert!(own.marked);
        own
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
