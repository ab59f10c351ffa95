//! Tells heartbeats that the peer sends now from recorded ones that somebody sends again.
//!
//! Each life of a router has a random number, its incarnation. A heartbeat echoes the last one that its sender heard:
//! incarnation and sequence. Three rules follow, and none needs a clock or a memory that outlives the process:
//!
//! 1. An incarnation is trusted only when it answers ours: its echo names our incarnation, which nobody could know
//!    before we chose it, and a sequence above every one that was echoed to us before, which an earlier life of the
//!    peer cannot have heard.
//! 2. Of a trusted incarnation, only a sequence above all before is news.
//! 3. A copy of recent news over another path says that the path works, and nothing else.
//!
//! What is authentic but untrusted is still echoed: that is how the sender, if it lives, can answer.

use super::heartbeat::{Echo, Heartbeat, Ignored};

/// How far a copy over a slower path may lag behind the newest heartbeat, in heartbeats.
const LAG: u64 = 16;

/// What to do with an authentic heartbeat that is no replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The first of a life of the peer: everything known of the life before is void.
    First,
    /// News.
    News,
    /// Known already; shows that this path works.
    Copy,
    /// Known already, and new on this path, but too old to show that the path works now: a queue that is being
    /// emptied.
    Late,
}

/// The peer's heartbeats so far.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Our own incarnation.
    own: u64,
    /// Number of paths.
    paths: usize,
    /// The trusted incarnation.
    peer: Option<Known>,
    /// An incarnation that has not answered us.
    candidate: Option<Echo>,
    /// The highest of our sequences that was echoed to us.
    answered: u64,
    /// The heartbeat heard last, trusted or not.
    heard: Option<Echo>,
}

/// A trusted incarnation.
#[derive(Clone, Debug)]
struct Known {
    /// Newest heartbeat.
    newest: Echo,
    /// Newest sequence by path; 0 for none.
    by_path: Vec<u64>,
}

impl Guard {
    /// A guard of the router in incarnation `own`, which has `paths` paths to the peer.
    #[must_use]
    pub const fn new(own: u64, paths: usize) -> Self {
        Self { own, paths, peer: None, candidate: None, answered: 0, heard: None }
    }

    /// What our next heartbeat should echo.
    #[must_use]
    pub const fn echo(&self) -> Option<Echo> {
        self.heard
    }

    /// The highest of our sequences that the peer is known to have heard; 0 for none.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.answered
    }

    /// Judges an authentic heartbeat that came over `path`.
    ///
    /// # Errors
    ///
    /// [`Ignored::Stranger`] for a path that does not exist, [`Ignored::Replayed`], [`Ignored::Unproven`].
    pub fn admit(&mut self, path: usize, heartbeat: &Heartbeat) -> Result<Admission, Ignored> {
        if path >= self.paths {
            return Err(Ignored::Stranger);
        }
        if heartbeat.incarnation == self.own {
            return Err(Ignored::Replayed);
        }
        let name = Echo { incarnation: heartbeat.incarnation, sequence: heartbeat.sequence };
        let admission = match self.peer.as_mut().filter(|known| known.newest.incarnation == name.incarnation)
        {
            Some(known) => known.admit(path, name.sequence)?,
            None => self.introduce(path, name, heartbeat.echo)?,
        };
        if matches!(admission, Admission::First | Admission::News) {
            self.heard = Some(name);
            self.answered = self.answered.max(self.echoed(heartbeat.echo).unwrap_or(0));
        }
        Ok(admission)
    }

    /// Judges a heartbeat of an incarnation that is not trusted yet.
    fn introduce(&mut self, path: usize, name: Echo, echo: Option<Echo>) -> Result<Admission, Ignored> {
        match self.echoed(echo) {
            Some(sequence) if sequence > self.answered => {
                self.peer = Some(Known::new(self.paths, path, name));
                self.candidate = None;
                Ok(Admission::First)
            }
            // An answer to this life, but an old one: an earlier life of the peer gave it.
            Some(_) if self.peer.is_some() => {
                self.consider(name)?;
                Err(Ignored::Replayed)
            }
            Some(_) | None => {
                self.consider(name)?;
                Err(Ignored::Unproven)
            }
        }
    }

    /// Remembers an untrusted heartbeat, so that our next one echoes it.
    fn consider(&mut self, name: Echo) -> Result<(), Ignored> {
        let older = self
            .candidate
            .is_some_and(|known| known.incarnation == name.incarnation && known.sequence > name.sequence);
        if older {
            return Err(Ignored::Replayed);
        }
        self.candidate = Some(name);
        self.heard = Some(name);
        Ok(())
    }

    /// The sequence of ours that `echo` names, if it names our present life.
    fn echoed(&self, echo: Option<Echo>) -> Option<u64> {
        echo.filter(|echo| echo.incarnation == self.own).map(|echo| echo.sequence)
    }
}

impl Known {
    fn new(paths: usize, path: usize, newest: Echo) -> Self {
        let by_path = (0..paths).map(|i| if i == path { newest.sequence } else { 0 }).collect();
        Self { newest, by_path }
    }

    fn admit(&mut self, path: usize, sequence: u64) -> Result<Admission, Ignored> {
        let on_path = self.by_path.get_mut(path).ok_or(Ignored::Stranger)?;
        if sequence <= *on_path {
            return Err(Ignored::Replayed);
        }
        *on_path = sequence;
        if sequence > self.newest.sequence {
            self.newest.sequence = sequence;
            return Ok(Admission::News);
        }
        let recent = self.newest.sequence - sequence < LAG;
        Ok(if recent { Admission::Copy } else { Admission::Late })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ha::Role;

    const OWN: u64 = 1000;
    const PEER: u64 = 2000;
    const RETURNED: u64 = 3000;

    #[test]
    fn a_peer_is_trusted_once_it_answers_this_life() {
        let mut guard = Guard::new(OWN, 1);
        assert_eq!(guard.admit(0, &says(PEER, 1, None)), Err(Ignored::Unproven));
        assert_eq!(guard.echo(), Some(named(PEER, 1)), "so that the peer can answer");
        assert_eq!(guard.admit(0, &says(PEER, 2, Some(named(OWN - 1, 9)))), Err(Ignored::Unproven));
        assert_eq!(guard.admit(0, &says(PEER, 3, Some(named(OWN, 1)))), Ok(Admission::First));
        assert_eq!(guard.admit(0, &says(PEER, 4, None)), Ok(Admission::News));
        assert_eq!((guard.echo(), guard.answered()), (Some(named(PEER, 4)), 1));
    }

    #[test]
    fn a_sequence_counts_once() {
        let mut guard = trusting(1);
        assert_eq!(guard.admit(0, &says(PEER, 10, None)), Err(Ignored::Replayed));
        assert_eq!(guard.admit(0, &says(PEER, 9, None)), Err(Ignored::Replayed));
        assert_eq!(guard.admit(0, &says(PEER, 12, None)), Ok(Admission::News));
        assert_eq!(guard.admit(0, &says(PEER, 11, None)), Err(Ignored::Replayed), "overtaken");
    }

    #[test]
    fn a_copy_over_another_path_shows_that_the_path_works() {
        let mut guard = trusting(2);
        assert_eq!(guard.admit(1, &says(PEER, 10, None)), Ok(Admission::Copy));
        assert_eq!(guard.admit(1, &says(PEER, 10, None)), Err(Ignored::Replayed));
        assert_eq!(
            guard.admit(1, &says(PEER, 11, None)),
            Ok(Admission::News),
            "this path may be the faster one"
        );
        assert_eq!(guard.admit(0, &says(PEER, 11, None)), Ok(Admission::Copy));
    }

    #[test]
    fn an_old_copy_shows_nothing() {
        let mut guard = trusting(2);
        assert_eq!(guard.admit(0, &says(PEER, 10 + LAG, None)), Ok(Admission::News));
        assert_eq!(guard.admit(1, &says(PEER, 10, None)), Ok(Admission::Late));
        assert_eq!(guard.admit(1, &says(PEER, 11, None)), Ok(Admission::Copy));
    }

    #[test]
    fn a_peer_that_returns_must_answer_later_than_its_earlier_life() {
        let mut guard = trusting(1);
        assert_eq!(guard.admit(0, &says(PEER, 11, Some(named(OWN, 50)))), Ok(Admission::News));
        assert_eq!(guard.admit(0, &says(RETURNED, 1, None)), Err(Ignored::Unproven));
        assert_eq!(guard.admit(0, &says(RETURNED, 2, Some(named(OWN, 50)))), Err(Ignored::Replayed));
        assert_eq!(guard.admit(0, &says(RETURNED, 3, Some(named(OWN, 51)))), Ok(Admission::First));
        // All that the earlier life can ever have said is void now, whether this router heard it or not.
        for sequence in 1..100 {
            let old = says(PEER, sequence, Some(named(OWN, sequence.min(50))));
            assert!(guard.admit(0, &old).is_err(), "{sequence}");
        }
        assert_eq!(guard.admit(0, &says(RETURNED, 4, None)), Ok(Admission::News));
    }

    #[test]
    fn an_untrusted_sequence_that_goes_back_is_a_replay() {
        let mut guard = Guard::new(OWN, 2);
        assert_eq!(guard.admit(0, &says(PEER, 5, None)), Err(Ignored::Unproven));
        assert_eq!(guard.admit(1, &says(PEER, 5, None)), Err(Ignored::Unproven), "over the other path");
        assert_eq!(guard.admit(0, &says(PEER, 4, None)), Err(Ignored::Replayed));
        assert_eq!(guard.echo(), Some(named(PEER, 5)));
    }

    #[test]
    fn a_mirror_is_no_peer() {
        let mut guard = Guard::new(OWN, 1);
        assert_eq!(guard.admit(0, &says(OWN, 1, Some(named(OWN, 1)))), Err(Ignored::Replayed));
        assert_eq!(guard.echo(), None);
    }

    #[test]
    fn a_path_that_does_not_exist_is_no_path() {
        assert_eq!(trusting(2).admit(2, &says(PEER, 11, None)), Err(Ignored::Stranger));
    }

    /// A guard that has heard heartbeat 10 of the peer on path 0.
    fn trusting(paths: usize) -> Guard {
        let mut guard = Guard::new(OWN, paths);
        assert_eq!(guard.admit(0, &says(PEER, 10, Some(named(OWN, 1)))), Ok(Admission::First));
        guard
    }

    fn named(incarnation: u64, sequence: u64) -> Echo {
        Echo { incarnation, sequence }
    }

    fn says(incarnation: u64, sequence: u64, echo: Option<Echo>) -> Heartbeat {
        Heartbeat { sequence, echo, name: "beta".to_owned(), ..Heartbeat::plain(Role::Active, incarnation) }
    }
}
