//! Makes data plane, addresses and announcements those of a role.

use std::time::Duration;

use tracing::info;

use super::{Director, reload::floating};
use crate::{
    address::{self, Wanted},
    config::Vip,
    ha::{Role, driver::RoleState},
};

/// Time that a planned stop gives to commands that were told of it, of the eight seconds that it has.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Subject of trouble with floating addresses.
const ADDRESSES: &str = "addresses";

impl Director {
    /// Applies a role. The data plane opens before everything else, and closes after it.
    ///
    /// Several changes may have come since the last one, so that each role is applied from any other, itself included.
    pub(super) async fn take_role(&mut self, state: &RoleState) {
        let before = self.applied;
        self.applied = state.role;
        if before != state.role {
            info!("role {} → {}: {}", before.name(), state.role.name(), state.reason);
        }
        match state.role {
            // What a predecessor left stays until the pair has decided.
            Role::Starting => {}
            Role::Active => {
                self.replan();
                self.parts.pair.applied(state.role);
                self.place_addresses(Wanted::Here).await;
                self.announce();
            }
            // The peer announces now. This router forwards on, even where it had not come to begin.
            Role::Leaving => {
                self.parts.announcer.standby();
                if !before.forwards() {
                    self.replan();
                }
            }
            // Closed last: that both are open for a moment does no harm, but what finds nobody open is refused. Told first,
            // so that this router does not call itself active again meanwhile.
            Role::Standby => {
                self.parts.pair.applied(state.role);
                self.parts.announcer.standby();
                self.place_addresses(Wanted::Away).await;
                self.replan();
            }
        }
        self.parts.pair.applied(state.role);
        self.watch_for_conflicts();
        if before != state.role {
            self.tell_role(before, &state.reason);
        }
    }

    /// A planned stop: gives the role to the peer, and then the addresses. Where nobody takes it, everything stays as it
    /// is: the data plane goes on without a daemon, and a restart costs nothing.
    pub async fn shutdown(mut self) {
        // A role that has been decided but not applied yet.
        let state = self.parts.pair.role.borrow_and_update().clone();
        self.take_role(&state).await;
        self.parts.announcer.standby();
        // Whoever asks from now on is told that lbd is stopping.
        self.parts.commands.close();
        while self.parts.commands.try_recv().is_ok() {}
        self.parts.watchdog.stop();
        info!("stopping");
        if self.parts.pair.shutdown().await {
            let state = self.parts.pair.role.borrow().clone();
            self.take_role(&state).await;
        } else {
            info!(
                "nobody takes over: data plane and addresses stay, and keep forwarding \
                 (`lbd teardown` removes them)"
            );
        }
        // What it was told last is what matters most.
        if tokio::time::timeout(LAST_WORDS, self.parts.notifier.finish()).await.is_err() {
            info!("commands of [notify] are still running after {LAST_WORDS:?}, and are killed");
        }
    }

    /// Where the role wants the floating addresses.
    pub(super) fn wanted_addresses(&self) -> Wanted {
        match self.applied {
            Role::Active | Role::Leaving => Wanted::Here,
            Role::Standby => Wanted::Away,
            // What a predecessor left stays until the pair has decided.
            Role::Starting => Wanted::AsTheyAre,
        }
    }

    /// Makes the floating addresses stand or not; whether any had to be changed.
    pub(super) async fn place_addresses(&mut self, wanted: Wanted) -> bool {
        let floating: Vec<Vip> = floating(&self.parts.config).into_iter().collect();
        let result = self.parts.addresses.reconcile(&floating, wanted).await;
        let changes = match &result {
            Ok(changes) | Err(address::Error::Incomplete { changes, .. }) => changes.as_slice(),
            Err(address::Error::Read(_)) => &[],
        };
        changes.iter().for_each(|change| info!("{change}"));
        let changed = !changes.is_empty();
        self.trouble.note(ADDRESSES, result.err());
        changed
    }

    /// Tries the addresses again where that failed, and corrects what others did to them: a network manager that
    /// removes what it has not set itself, or a person.
    pub(super) async fn heal_addresses(&mut self) {
        let here = match self.applied {
            Role::Active => true,
            Role::Standby => false,
            Role::Starting | Role::Leaving => return,
        };
        let differs = {
            let standing = &self.parts.topology.borrow().addresses;
            floating(&self.parts.config).iter().any(|vip| standing.contains(vip) != here)
        };
        let wanted = self.wanted_addresses();
        if (differs || self.trouble.stands(ADDRESSES)) && self.place_addresses(wanted).await {
            self.announce();
        }
    }

    /// Tells the network, if this router is active, that the addresses are here.
    pub(super) fn announce(&mut self) {
        if self.applied != Role::Active {
            return;
        }
        let topology = self.parts.topology.borrow();
        let addresses = floating(&self.parts.config)
            .into_iter()
            .filter_map(|vip| {
                let link = topology.links.get(&vip.interface)?;
                Some((vip.clone(), link.index, link.mac))
            })
            .collect();
        self.parts.announcer.active(self.parts.config.announce, addresses);
    }
}
