//! The real servers of this router, by the addresses that the peer knows them by too.

use std::collections::{HashMap, HashSet};

use crate::{datapath::FlowTable, sync::record::Server};

/// Unknown servers that are remembered. With more, any change of this router's servers counts as if it were one of them.
const MISSING: usize = 1024;

/// Slots by server, read when they are needed.
#[derive(Debug, Default)]
pub(super) struct Servers {
    slots: HashMap<Server, u16>,
    /// Servers that the peer named and this router does not have.
    missing: HashSet<Server>,
}

impl Servers {
    /// The slot and its generation. `None` where this router has no such server, or has had it for so short that the next
    /// [`learnt`](Self::learnt) will tell.
    pub(super) fn slot(&mut self, server: &Server, table: &dyn FlowTable) -> Option<(u16, u32)> {
        if self.slots.is_empty() {
            self.slots = read(table);
        }
        let found = self.slots.get(server).and_then(|slot| {
            // Slots get other owners.
            let real = table.real(*slot).filter(|real| Server::of(real).as_ref() == Some(server))?;
            Some((*slot, real.generation))
        });
        if found.is_none() && self.missing.len() < MISSING {
            self.missing.insert(*server);
        }
        found
    }

    /// Reads the table of real servers again where one was missing; whether one that was is there now.
    pub(super) fn learnt(&mut self, table: &dyn FlowTable) -> bool {
        if self.missing.is_empty() {
            return false;
        }
        let slots = read(table);
        let crowded = self.missing.len() >= MISSING;
        let known = self.missing.iter().any(|server| slots.contains_key(server));
        let learnt = known || crowded && slots != self.slots;
        if learnt {
            self.missing.clear();
        }
        self.slots = slots;
        learnt
    }
}

fn read(table: &dyn FlowTable) -> HashMap<Server, u16> {
    let owned = |slot| table.real(slot).as_ref().and_then(Server::of).map(|server| (server, slot));
    (0..=u16::MAX).filter_map(owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::tests::fixture::{Table, server};

    #[test]
    fn a_server_is_found_by_its_addresses_as_long_as_it_owns_its_slot() {
        let mut table = Table::new(4);
        let mut servers = Servers::default();
        table.own(9, server(1), 3);
        assert_eq!(servers.slot(&server(1), &table), Some((9, 3)));
        table.own(9, server(2), 4);
        assert_eq!(servers.slot(&server(1), &table), None);
        table.own(5, server(1), 1);
        assert!(servers.learnt(&table));
        assert_eq!(servers.slot(&server(1), &table), Some((5, 1)));
        assert_eq!(servers.slot(&server(2), &table), Some((9, 4)));
    }

    #[test]
    fn only_a_server_that_was_missing_is_news() {
        let mut table = Table::new(4);
        let mut servers = Servers::default();
        assert_eq!(servers.slot(&server(1), &table), None);
        table.own(3, server(2), 1);
        assert!(!servers.learnt(&table));
        table.own(4, server(1), 1);
        assert!(servers.learnt(&table) && !servers.learnt(&table));
    }

    #[test]
    fn of_too_many_missing_ones_any_may_have_come() {
        let mut table = Table::new(4);
        let mut servers = Servers::default();
        for number in 0..2000 {
            assert_eq!(servers.slot(&server(number), &table), None);
        }
        assert!(servers.missing.len() <= MISSING && !servers.learnt(&table));
        table.own(0, server(2001), 1);
        assert!(servers.learnt(&table));
    }
}
