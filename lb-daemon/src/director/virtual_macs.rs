//! The virtual MAC addresses of the groups that this router is active for, and of no others.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tracing::info;

use super::Director;
use crate::{
    address::Wanted,
    last_hops,
    virtual_mac::{self, Outcome, Place},
};

/// Subject of trouble with virtual MAC addresses.
pub(super) const VIRTUAL_MACS: &str = "virtual MAC addresses";

/// Time in which a router that has given a group up receives what is sent to its virtual MAC address all the same, and passes it on. Switches
/// send it there until they have heard the peer's announcement, or the one after it.
const LINGER: Duration = Duration::from_secs(5);

impl Director {
    /// Has the interfaces receive what is addressed to virtual MAC addresses, or not, as the roles want.
    pub(super) async fn place_virtual_macs(&mut self) {
        let of_group = |(group, wanted): (usize, Wanted)| {
            let wanted = match wanted {
                Wanted::Away if self.lingering.contains_key(&group) => Wanted::AsTheyAre,
                wanted => wanted,
            };
            virtual_mac::places(&self.parts.config, group).into_iter().map(move |place| (place, wanted))
        };
        let wanted: BTreeMap<Place, Wanted> = self.wanted().flat_map(of_group).collect();
        let Outcome { changes, failures } = self.parts.virtual_macs.reconcile(&wanted).await;
        changes.iter().for_each(|change| info!("{change}"));
        self.trouble.note(VIRTUAL_MACS, (!failures.is_empty()).then(|| failures.join("; ")));
    }

    /// Sends nothing from the virtual MAC address of a group any more: the peer does so now. To be called on standby: the lease has been
    /// given up, so that the program takes up the address no more. Where the router `was_active`, it receives it for a moment longer.
    pub(super) fn let_go_of_virtual_mac(&mut self, group: usize, was_active: bool) {
        let topology = self.parts.topology.borrow();
        let table = self.parts.datapath.flow_table();
        for Place { interface, mac } in virtual_mac::places(&self.parts.config, group) {
            if was_active {
                self.lingering.insert(group, Instant::now() + LINGER);
            }
            if let Some(link) = topology.links.get(&interface) {
                last_hops::let_go(table.last_hops(), link.index, mac.0, link.mac);
            }
        }
    }

    /// Receives no longer what is sent to groups that were given up, once their time is over; and tries again what has failed.
    pub(super) async fn heal_virtual_macs(&mut self) {
        let before = self.lingering.len();
        let now = Instant::now();
        self.lingering.retain(|_, until| *until > now);
        if self.lingering.len() != before || self.trouble.stands(VIRTUAL_MACS) {
            self.place_virtual_macs().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lb_common::LastHop;

    use super::*;
    use crate::{
        config::Vip,
        datapath::{Datapath as _, memory::MemoryDatapath},
        director::{test_config, tests::Idle},
        ha::Role,
        mac::Mac,
        topology::Link,
    };

    const VIRTUAL: Mac = Mac::of_virtual_router(51);
    const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];

    #[tokio::test]
    async fn a_group_that_is_given_up_is_received_for_a_moment_and_sent_from_no_more() {
        let mut config = test_config();
        config.router.virtual_mac = Some(VIRTUAL);
        config.vips =
            vec![Vip { address: "192.0.2.10/32".parse().unwrap(), interface: "nowhere".to_owned() }];
        let datapath = MemoryDatapath::default();
        let Idle { mut director, topology, .. } = Idle::new(config, &datapath, Path::new("/nonexistent"));
        let link = Link { index: 7, mac: OWN, up: true };
        topology.send_modify(|topology| topology.links = [("nowhere".to_owned(), link)].into());
        let table = datapath.flow_table();
        let hop = |local| LastHop::new(7, [2; 6], local);
        table.last_hops()[1].set(hop(VIRTUAL.0));

        director.applied = vec![Role::Standby];
        director.let_go_of_virtual_mac(0, true);
        assert_eq!(table.last_hops()[1].read(), hop(OWN));
        assert!(director.lingering.contains_key(&0));
        director.heal_virtual_macs().await;
        assert!(director.lingering.contains_key(&0), "its time is not over");
        director.lingering.insert(0, Instant::now());
        director.heal_virtual_macs().await;
        assert!(director.lingering.is_empty());

        director.let_go_of_virtual_mac(0, false);
        assert!(director.lingering.is_empty(), "after a start nothing is sent to it");
    }
}
