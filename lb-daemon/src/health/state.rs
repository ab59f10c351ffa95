//! When results of checks make a real server healthy or not: hysteresis, without I/O or clock.
//!
//! ```text
//!              success                    failure
//!   unknown ────────────▶ healthy    unknown ────────────▶ unhealthy
//!
//!              `fall` failures in a row
//!   healthy ─────────────────────────────▶ unhealthy
//!           ◀─────────────────────────────
//!              `rise` successes in a row
//! ```

/// The health of one real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hysteresis {
    rise: u32,
    fall: u32,
    /// `None` until the first result.
    healthy: Option<bool>,
    /// Results in a row that contradict `healthy`.
    against: u32,
}

impl Hysteresis {
    /// Unknown health. `rise` successes in a row bring a server back, `fall` failures take it out; 0 means 1.
    pub fn new(rise: u32, fall: u32) -> Self {
        Self { rise, fall, healthy: None, against: 0 }
    }

    /// The health so far; `None` until the first result.
    pub fn healthy(&self) -> Option<bool> {
        self.healthy
    }

    /// Whether an unhealthy server has begun to succeed, and not often enough yet.
    pub fn is_rising(&self) -> bool {
        self.healthy == Some(false) && self.against > 0
    }

    /// Goes on with another check: the health stands, and what the old check said against it is forgotten.
    pub fn restart(&mut self, rise: u32, fall: u32) {
        *self = Self { rise, fall, healthy: self.healthy, against: 0 };
    }

    /// Takes a result. Returns the health if this is the first one, or if it flips.
    pub fn observe(&mut self, ok: bool) -> Option<bool> {
        let needed = match (self.healthy, ok) {
            (None, _) => 1,
            (Some(true), true) | (Some(false), false) => {
                self.against = 0;
                return None;
            }
            (Some(true), false) => self.fall,
            (Some(false), true) => self.rise,
        };
        self.against = self.against.saturating_add(1);
        if self.against < needed {
            return None;
        }
        self.against = 0;
        self.healthy = Some(ok);
        self.healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Length of the sequences of results that are all tried.
    const LENGTH: u32 = 12;

    #[test]
    fn every_sequence_follows_its_definition() {
        for (rise, fall) in (1..=4).flat_map(|rise| (1..=4).map(move |fall| (rise, fall))) {
            for sequence in sequences() {
                let mut state = Hysteresis::new(rise, fall);
                for end in 1..=sequence.len() {
                    let before = state.healthy();
                    let reported = state.observe(sequence[end - 1]);
                    let expected = by_definition(&sequence[..end], rise as usize, fall as usize);
                    assert_eq!(state.healthy(), expected, "{rise} {fall} {:?}", &sequence[..end]);
                    assert_eq!(reported, expected.filter(|_| before != expected));
                }
            }
        }
    }

    #[test]
    fn another_check_keeps_the_health_and_starts_counting_anew() {
        let mut state = Hysteresis::new(1, 2);
        assert_eq!(state.observe(true), Some(true));
        assert_eq!(state.observe(false), None);
        state.restart(1, 2);
        assert_eq!(state.healthy(), Some(true));
        assert_eq!(state.observe(false), None);
        assert_eq!(state.observe(false), Some(false));
        state.restart(2, 1);
        assert_eq!(state.observe(true), None);
        assert_eq!(state.observe(true), Some(true));
    }

    #[test]
    fn a_server_rises_from_its_first_success_to_the_last_that_it_needs() {
        let mut state = Hysteresis::new(3, 1);
        let mut rising = |results: &[bool]| {
            for ok in results {
                state.observe(*ok);
            }
            state.is_rising()
        };
        assert!(!rising(&[]) && !rising(&[false]));
        assert!(rising(&[true]) && rising(&[true]) && !rising(&[true]), "healthy with the third");
        assert!(!rising(&[false]) && rising(&[true]) && !rising(&[false]), "a failure begins anew");
    }

    #[test]
    fn another_check_before_the_first_result_leaves_it_unknown() {
        let mut state = Hysteresis::new(3, 3);
        state.restart(2, 2);
        assert_eq!(state.healthy(), None);
        assert_eq!(state.observe(false), Some(false));
    }

    #[test]
    fn zero_means_one() {
        let mut state = Hysteresis::new(0, 0);
        let flips: Vec<_> = [true, false, true].into_iter().map(|ok| state.observe(ok)).collect();
        assert_eq!(flips, [Some(true), Some(false), Some(true)]);
    }

    /// Every sequence of [`LENGTH`] results.
    fn sequences() -> impl Iterator<Item = Vec<bool>> {
        (0..1_u32 << LENGTH).map(|bits| (0..LENGTH).map(|bit| bits >> bit & 1 == 1).collect())
    }

    /// The health after `results`, from the sentence instead of the state: the last run that was long enough decides,
    /// or else the first result.
    fn by_definition(results: &[bool], rise: usize, fall: usize) -> Option<bool> {
        let long_enough = |end: usize| {
            let value = results[end];
            let run = results[..=end].iter().rev().take_while(|result| **result == value).count();
            run >= if value { rise } else { fall }
        };
        let decided = (0..results.len()).rev().find(|end| long_enough(*end)).map(|end| results[end]);
        decided.or(results.first().copied())
    }
}
