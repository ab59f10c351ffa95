//! Where the schedules stand that go in turn (`rr`, `wrr`), so that after a takeover the next connection gets the next server. What
//! is told may be a second old: it is about even shares, and nothing goes wrong without it.

use std::{collections::BTreeMap, time::Duration};

use lb_common::ServiceKey;

use super::wire::MAX_TURNS;

/// Time from one look at the positions to the next.
pub const PACE: Duration = Duration::from_secs(1);

/// What the peer has been told.
#[derive(Debug, Default)]
pub struct Turns(BTreeMap<ServiceKey, u64>);

impl Turns {
    /// What the peer has not heard, given where the schedules stand now: in parts, each for one message.
    pub fn news(&mut self, present: BTreeMap<ServiceKey, u64>) -> Vec<Vec<(ServiceKey, u64)>> {
        let is_new = |(key, position): &(&ServiceKey, &u64)| self.0.get(key) != Some(position);
        let news: Vec<_> = present.iter().filter(is_new).map(|(key, position)| (*key, *position)).collect();
        self.0 = present;
        news.chunks(MAX_TURNS).map(<[_]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_moved_is_told_once() {
        let mut turns = Turns::default();
        let key = |port| ServiceKey::new(6, [192, 0, 2, 1], port);
        let at = |first, second| BTreeMap::from([(key(1), first), (key(2), second)]);
        assert_eq!(turns.news(at(0, 5)), [[(key(1), 0), (key(2), 5)]]);
        assert_eq!(turns.news(at(0, 6)), [[(key(2), 6)]]);
        assert!(turns.news(at(0, 6)).is_empty());
        // A service that went and came again is another one.
        assert!(turns.news(BTreeMap::new()).is_empty());
        assert_eq!(turns.news(at(0, 6)).concat().len(), 2);
    }

    #[test]
    fn many_are_told_in_parts() {
        let many =
            (0..=MAX_TURNS).map(|port| (ServiceKey::new(17, [192, 0, 2, 1], port as u16), 1)).collect();
        let sizes: Vec<_> = Turns::default().news(many).iter().map(Vec::len).collect();
        assert_eq!(sizes, [MAX_TURNS, 1]);
    }
}
