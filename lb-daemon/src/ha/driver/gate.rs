//! What this router may say about its role: that it is active only once its data plane opens connections. A peer that
//! leaves closes its own as soon as it hears of this one, and what arrives while both are closed is refused.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::ha::Role;

/// Holds heartbeats of the active role back until the data plane has followed.
#[derive(Debug)]
pub(super) struct Gate {
    /// Roles that the data plane has, by group.
    applied: watch::Receiver<Vec<Role>>,
    /// When patience ends with each group, while its data plane has not followed.
    until: Vec<Option<Instant>>,
}

impl Gate {
    /// A gate that follows the roles of the data plane.
    pub(super) fn new(applied: watch::Receiver<Vec<Role>>) -> Self {
        let groups = applied.borrow().len();
        Self { applied, until: vec![None; groups] }
    }

    /// Until when a router in `role` says nothing of a group, unless the data plane follows before; `None`: it may speak.
    ///
    /// It is silent for `patience` at most, so that a router with a slow data plane is not taken for dead.
    pub(super) fn silent_until(
        &mut self,
        group: usize,
        role: Role,
        now: Instant,
        patience: Duration,
    ) -> Option<Instant> {
        let follows = self.applied.borrow_and_update().get(group).is_none_or(|applied| applied.forwards());
        let until = self.until.get_mut(group)?;
        if role != Role::Active || follows {
            *until = None;
            return None;
        }
        let until = *until.get_or_insert(now + patience);
        (now < until).then_some(until)
    }

    /// Waits for a change of the data plane's roles since the last question; for ever when nobody tells of any.
    pub(super) async fn changed(&mut self) {
        if self.applied.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    #[test]
    fn active_is_said_once_the_data_plane_is_open() {
        let (applied, receiver) = watch::channel(vec![Role::Standby]);
        let (mut gate, now) = (Gate::new(receiver), Instant::now());
        assert_eq!(gate.silent_until(0, Role::Active, now, PATIENCE), Some(now + PATIENCE));
        let later = now + PATIENCE / 2;
        assert_eq!(gate.silent_until(0, Role::Active, later, PATIENCE), Some(now + PATIENCE));
        for open in [Role::Active, Role::Leaving] {
            applied.send_replace(vec![open]);
            assert_eq!(gate.silent_until(0, Role::Active, later, PATIENCE), None);
        }
    }

    #[test]
    fn other_roles_are_said_at_once() {
        let (_applied, receiver) = watch::channel(vec![Role::Starting]);
        let mut gate = Gate::new(receiver);
        for role in [Role::Starting, Role::Standby, Role::Leaving] {
            assert_eq!(gate.silent_until(0, role, Instant::now(), PATIENCE), None, "{role}");
        }
    }

    #[test]
    fn patience_ends_once_for_each_time_in_the_role() {
        let (_applied, receiver) = watch::channel(vec![Role::Standby]);
        let (mut gate, now) = (Gate::new(receiver), Instant::now());
        assert!(gate.silent_until(0, Role::Active, now, PATIENCE).is_some());
        for late in [now + PATIENCE, now + PATIENCE * 9] {
            assert_eq!(gate.silent_until(0, Role::Active, late, PATIENCE), None);
        }
        assert_eq!(gate.silent_until(0, Role::Standby, now + PATIENCE * 9, PATIENCE), None);
        assert!(gate.silent_until(0, Role::Active, now + PATIENCE * 10, PATIENCE).is_some());
    }

    #[test]
    fn a_group_that_waits_does_not_hold_up_the_others() {
        let (_applied, receiver) = watch::channel(vec![Role::Standby, Role::Active]);
        let (mut gate, now) = (Gate::new(receiver), Instant::now());
        assert!(gate.silent_until(0, Role::Active, now, PATIENCE).is_some());
        assert_eq!(gate.silent_until(1, Role::Active, now, PATIENCE), None);
    }
}
