//! Makes data plane, addresses and announcements those of a role.

use std::time::Duration;

use tracing::info;

use super::Director;
use crate::{
    address::{self, Wanted},
    announce::Floating,
    config::Vip,
    ha::{Role, driver::RoleState},
};

/// Time that a planned stop gives to commands that were told of it, of the eight seconds that it has.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Subject of trouble with floating addresses.
const ADDRESSES: &str = "addresses";

impl Director {
    /// Applies the roles that have changed.
    pub(super) async fn take_roles(&mut self, states: &[RoleState]) {
        for (group, state) in states.iter().enumerate() {
            if self.taken.get(group) != Some(state) {
                self.take_role(group, state).await;
            }
        }
        self.taken = states.to_vec();
    }

    /// Applies the role of a group. The data plane opens before everything else, and closes after it.
    ///
    /// Several changes may have come since the last one, so that each role is applied from any other, itself included.
    pub(super) async fn take_role(&mut self, group: usize, state: &RoleState) {
        let Some(applied) = self.applied.get_mut(group) else { return };
        let before = std::mem::replace(applied, state.role);
        if before != state.role {
            let name = self.group_name(group).map(|name| format!("group {name}: ")).unwrap_or_default();
            info!("{name}role {} → {}: {}", before.name(), state.role.name(), state.reason);
        }
        self.tell_segments();
        match state.role {
            // What a predecessor left stays until the pair has decided.
            Role::Starting => {}
            Role::Active => {
                self.lingering.remove(&group);
                self.replan();
                self.parts.pair.applied(group, state.role);
                self.place_addresses().await;
                self.announce();
            }
            // The peer announces now. This router forwards on, even where it had not come to begin.
            Role::Leaving => {
                self.announce();
                if !before.forwards() {
                    self.replan();
                }
            }
            // Closed last: that both are open for a moment does no harm, but what finds nobody open is refused. Told first,
            // so that this router does not call itself active again meanwhile.
            Role::Standby => {
                self.parts.pair.applied(group, state.role);
                self.announce();
                self.let_go_of_virtual_mac(group, before.forwards());
                self.place_addresses().await;
                self.replan();
            }
        }
        self.parts.pair.applied(group, state.role);
        self.watch_for_conflicts();
        if before != state.role {
            self.tell_role(group, before, &state.reason);
        }
    }

    /// The name of a group, where it has one.
    pub(super) fn group_name(&self, group: usize) -> Option<&str> {
        self.parts.config.groups.get(group).map(|group| group.name.as_str())
    }

    /// A planned stop: gives the role to the peer, and then the addresses. Where nobody takes it, everything stays as it
    /// is: the data plane goes on without a daemon, and a restart costs nothing.
    pub async fn shutdown(mut self) {
        // A role that has been decided but not applied yet.
        let states = self.parts.pair.roles.borrow_and_update().clone();
        self.take_roles(&states).await;
        self.parts.announcer.standby();
        // Whoever asks from now on is told that lbd is stopping.
        self.parts.commands.close();
        while self.parts.commands.try_recv().is_ok() {}
        self.parts.watchdog.stop();
        info!("stopping");
        let relieved = self.parts.pair.shutdown().await;
        let states = self.parts.pair.roles.borrow().clone();
        for (group, (state, relieved)) in states.iter().zip(&relieved).enumerate() {
            if *relieved {
                self.take_role(group, state).await;
            }
        }
        if relieved.contains(&false) {
            info!(
                "nobody takes over: data plane and addresses stay, and keep forwarding \
                 (`lbd teardown` removes them)"
            );
        } else {
            // This router may be switched off next, with the connections that it alone knows.
            self.parts.sync.finish().await;
        }
        // What it was told last is what matters most.
        if tokio::time::timeout(LAST_WORDS, self.parts.notifier.finish()).await.is_err() {
            info!("commands of [notify] are still running after {LAST_WORDS:?}, and are killed");
        }
    }

    /// Every floating address, and where the role of its group wants it.
    fn wanted_addresses(&self) -> Vec<(Vip, Wanted)> {
        let of_group = |(group, wanted): (usize, Wanted)| {
            self.parts.config.floating_of(group).into_iter().map(move |vip| (vip, wanted))
        };
        self.wanted().flat_map(of_group).collect()
    }

    /// Where each group wants what moves with it.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (usize, Wanted)> {
        let wanted = |role: &Role| match role {
            Role::Active => Wanted::Here,
            Role::Standby => Wanted::Away,
            // What a predecessor left stays until the pair has decided, and what leaves until it has left.
            Role::Starting | Role::Leaving => Wanted::AsTheyAre,
        };
        self.applied.iter().map(wanted).enumerate()
    }

    /// Makes the floating addresses stand or not, as the roles want, and before them their virtual MAC addresses; whether any
    /// had to be changed.
    pub(super) async fn place_addresses(&mut self) -> bool {
        self.place_virtual_macs().await;
        let result = self.parts.addresses.reconcile(&self.wanted_addresses()).await;
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
        let differs = {
            let standing = &self.parts.topology.borrow().addresses;
            let is_wrong = |(vip, wanted): &(Vip, Wanted)| match wanted {
                Wanted::Here => !standing.contains(vip),
                Wanted::Away => standing.contains(vip),
                Wanted::AsTheyAre => false,
            };
            self.wanted_addresses().iter().any(is_wrong)
        };
        if (differs || self.trouble.stands(ADDRESSES)) && self.place_addresses().await {
            self.announce();
        }
    }

    /// Tells the network of the addresses that are here, and of no others.
    pub(super) fn announce(&mut self) {
        if !self.applied.contains(&Role::Active) {
            self.parts.announcer.standby();
            return;
        }
        let topology = self.parts.topology.borrow();
        let addresses = self
            .wanted_addresses()
            .into_iter()
            .filter(|(_, wanted)| *wanted == Wanted::Here)
            .filter_map(|(vip, _)| {
                let link = topology.links.get(&vip.interface)?;
                let address = vip.address.addr();
                let lease = self.parts.config.lease_of(address);
                let virtual_mac = self.parts.config.virtual_mac_of(self.parts.config.group_of(address));
                let mac = virtual_mac.map_or(link.mac, |mac| mac.0);
                Some(Floating { vip, ifindex: link.index, mac, lease })
            })
            .collect();
        self.parts.announcer.active(self.parts.config.announce, addresses);
    }
}
