//! What the operator's commands are told.

use std::time::SystemTime;

use super::{Director, status::MIXED};
use crate::{
    ha::Role,
    notify::{Conflict, Event, Kind, Peer},
};

impl Director {
    /// Tells that the role has changed, once it is applied.
    pub(super) fn tell_role(&self, group: usize, before: Role, reason: &str) {
        let role = self.applied.get(group).copied();
        let name = self.group_name(group).map(str::to_owned);
        self.tell_event(&self.event(Kind::Role, name, role, Some(before), reason.to_owned()));
    }

    /// Tells of a fault of this router that has come or gone since the last time.
    pub(super) fn tell_fault(&mut self) {
        let condition = self.tracks.condition(&self.parts.config.tracks);
        if condition.has_fault() == self.has_fault {
            return;
        }
        self.has_fault = condition.has_fault();
        if self.has_fault {
            let reason = format!("this router has a fault: {}", condition.faults.join(", "));
            self.tell(Kind::Fault, reason);
        } else {
            self.tell(Kind::Recovered, "this router has no fault any more".to_owned());
        }
    }

    /// Tells that somebody else claims an address, or does so no more.
    pub(super) fn tell_conflict(&self, event: Kind, conflict: Conflict, reason: String) {
        let group = self.parts.config.group_of(conflict.address);
        let (name, role) = (self.group_name(group).map(str::to_owned), self.applied.get(group).copied());
        let event = self.event(event, name, role, None, reason);
        self.tell_event(&Event { conflict: Some(conflict), ..event });
    }

    /// Tells of what is not of one group alone.
    pub(super) fn tell(&self, event: Kind, reason: String) {
        let first = self.applied.first().copied();
        let same = first.filter(|first| self.applied.iter().all(|role| role == first));
        self.tell_event(&self.event(event, None, same, None, reason));
    }

    fn tell_event(&self, event: &Event) {
        self.parts.notifier.tell(event, &self.parts.config.notify);
    }

    fn event(
        &self,
        event: Kind,
        group: Option<String>,
        role: Option<Role>,
        before: Option<Role>,
        reason: String,
    ) -> Event {
        let config = &self.parts.config;
        let peer = config.peer.as_ref().map(|_| self.parts.pair.status());
        Event {
            event,
            router: config.router.name.clone(),
            group,
            role: role.map_or(MIXED, Role::name).to_owned(),
            previous_role: before.map(|role| role.name().to_owned()),
            reason,
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            peer: peer.map(|peer| Peer { name: peer.name, role: peer.role, alive: peer.alive }),
            conflict: None,
        }
    }
}
