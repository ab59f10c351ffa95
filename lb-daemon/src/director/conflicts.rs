//! Addresses of ours that somebody else claims: has them watched, and tells of what is found.

use std::time::Instant;

use tracing::{info, warn};

use super::Director;
use crate::{
    api::types::ConflictStatus,
    conflict::{
        Report,
        watched::{Holder, Watched},
    },
    ha::Role,
    notify::{self, Kind},
};

impl Director {
    /// Has the addresses watched as configuration, network and role are now.
    pub(super) fn watch_for_conflicts(&self) {
        for (group, (role, watched)) in self.applied.iter().zip(&self.parts.conflicts.watched).enumerate() {
            let holder = match role {
                Role::Starting => Holder::Undecided,
                Role::Active => Holder::Here,
                Role::Standby | Role::Leaving => Holder::Peer,
            };
            let wanted = Watched::new(&self.parts.config, &self.parts.topology.borrow(), group, holder);
            watched.send_if_modified(|current| {
                let changed = *current != wanted;
                *current = wanted;
                changed
            });
        }
    }

    /// Tells of a conflict, once when it begins and once when it is over.
    pub(super) fn conflict(&mut self, report: Report) {
        let (kind, conflict, reason) = match report {
            Report::Found(conflict) => {
                let reason = conflict.to_string();
                warn!("address conflict: {reason}");
                self.conflicts.insert(conflict.clone(), Instant::now());
                (Kind::Conflict, conflict, reason)
            }
            Report::Over(conflict) => {
                let (mac, address, interface) = (conflict.mac, conflict.address, &conflict.interface);
                let reason = format!("{mac} claims {address} on {interface} no more");
                info!("address conflict over: {reason}");
                // Who it is may have come to be known meanwhile.
                self.conflicts.retain(|known, _| {
                    (known.mac, known.address, &known.interface) != (mac, address, interface)
                });
                (Kind::ConflictOver, conflict, reason)
            }
        };
        let told = notify::Conflict {
            address: conflict.address,
            interface: conflict.interface,
            mac: conflict.mac.to_string(),
            claimed_by: conflict.who.to_string(),
        };
        self.tell_conflict(kind, told, reason);
    }

    /// The conflicts that stand.
    pub(super) fn conflict_statuses(&self) -> Vec<ConflictStatus> {
        let status = |(conflict, since): (&crate::conflict::Conflict, &Instant)| ConflictStatus {
            address: conflict.address,
            interface: conflict.interface.clone(),
            mac: conflict.mac.to_string(),
            claimed_by: conflict.who.to_string(),
            since_secs: since.elapsed().as_secs(),
            text: conflict.to_string(),
        };
        self.conflicts.iter().map(status).collect()
    }
}
