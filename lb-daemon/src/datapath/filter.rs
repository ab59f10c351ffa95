//! Which addresses the program looks at: those of services and of NAT real servers.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use lb_common::{AddressFilter, FILTER_WORDS, RealKey, ServiceKey};

/// The addresses in use, and the filter made of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    services: BTreeSet<ServiceKey>,
    reals: BTreeSet<RealKey>,
    virtual_addresses: Bits,
    real_addresses: Bits,
}

/// How many users each bit has; a bit without is clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bits(BTreeMap<(usize, u64), u32>);

impl Filter {
    /// The filter for these services and NAT real servers.
    pub(super) fn new(
        services: impl IntoIterator<Item = ServiceKey>,
        reals: impl IntoIterator<Item = RealKey>,
    ) -> Self {
        let mut filter = Self::default();
        for key in services {
            filter.add_service(key);
        }
        for key in reals {
            filter.add_real(key);
        }
        filter
    }

    /// Adds a service; whether the filter has changed.
    pub(super) fn add_service(&mut self, key: ServiceKey) -> bool {
        self.services.insert(key) && self.virtual_addresses.add(key.address)
    }

    /// The opposite.
    pub(super) fn remove_service(&mut self, key: &ServiceKey) -> bool {
        self.services.remove(key) && self.virtual_addresses.remove(key.address)
    }

    /// Adds a NAT real server; whether the filter has changed.
    pub(super) fn add_real(&mut self, key: RealKey) -> bool {
        self.reals.insert(key) && self.real_addresses.add(key.address)
    }

    /// The opposite.
    pub(super) fn remove_real(&mut self, key: &RealKey) -> bool {
        self.reals.remove(key) && self.real_addresses.remove(key.address)
    }

    /// The value of the map.
    pub(super) fn value(&self) -> Box<AddressFilter> {
        let mut value = Box::new(AddressFilter::EMPTY);
        self.virtual_addresses.set(&mut value.virtual_addresses);
        self.real_addresses.set(&mut value.real_addresses);
        value
    }
}

impl Bits {
    fn add(&mut self, address: [u8; 4]) -> bool {
        let users = self.0.entry(AddressFilter::bit(address)).or_default();
        *users += 1;
        *users == 1
    }

    fn remove(&mut self, address: [u8; 4]) -> bool {
        let Entry::Occupied(mut users) = self.0.entry(AddressFilter::bit(address)) else { return false };
        *users.get_mut() -= 1;
        if *users.get() > 0 {
            return false;
        }
        users.remove();
        true
    }

    fn set(&self, words: &mut [u64; FILTER_WORDS]) {
        for (word, bit) in self.0.keys() {
            if let Some(word) = words.get_mut(*word) {
                *word |= bit;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stays_while_somebody_uses_it() {
        let [http, https] = [80, 443].map(|port| ServiceKey::new(6, [192, 0, 2, 1], port));
        let mut filter = Filter::default();
        assert!(filter.add_service(http) && !filter.add_service(http) && !filter.add_service(https));
        assert!(contains(&filter, [192, 0, 2, 1]) && !contains(&filter, [192, 0, 2, 2]));
        assert!(!filter.remove_service(&http) && contains(&filter, [192, 0, 2, 1]));
        assert!(!filter.remove_service(&http) && filter.remove_service(&https));
        assert_eq!((filter.value(), &filter), (Box::new(AddressFilter::EMPTY), &Filter::default()));
    }

    #[test]
    fn both_kinds_of_addresses_are_kept_apart() {
        let key = RealKey::new(17, [10, 0, 0, 1], 53);
        let filter = Filter::new([], [key]);
        assert!(!contains(&filter, key.address));
        let (word, bit) = AddressFilter::bit(key.address);
        assert_eq!(filter.value().real_addresses[word], bit);
    }

    fn contains(filter: &Filter, address: [u8; 4]) -> bool {
        let (word, bit) = AddressFilter::bit(address);
        filter.value().virtual_addresses[word] & bit != 0
    }
}
