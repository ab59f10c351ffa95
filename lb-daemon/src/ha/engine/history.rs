//! The last changes of role.

use std::{collections::VecDeque, time::Instant};

use crate::ha::Role;

/// How many are kept.
const KEPT: usize = 16;

/// A change of role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub at: Instant,
    /// Role before.
    pub from: Role,
    /// Role after.
    pub to: Role,
    /// Why, one sentence.
    pub reason: String,
}

/// The last changes, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct History(VecDeque<Transition>);

impl History {
    pub(super) fn push(&mut self, transition: Transition) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(transition);
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Transition> {
        self.0.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sixteen_are_kept_newest_first() {
        let mut history = History::default();
        for n in 0..20 {
            history.push(Transition {
                at: Instant::now(),
                from: Role::Standby,
                to: Role::Active,
                reason: n.to_string(),
            });
        }
        let reasons: Vec<_> = history.newest_first().map(|t| t.reason.as_str()).collect();
        assert_eq!(reasons.len(), 16);
        assert_eq!(reasons.first(), Some(&"19"));
        assert_eq!(reasons.last(), Some(&"4"));
    }
}
