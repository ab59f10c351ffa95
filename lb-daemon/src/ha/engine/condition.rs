//! How fit this router is to be active, as those who watch its links, gateways and scripts say.

/// What speaks against this router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Names of what fails and is a fault: this router is active only where the peer is dead, or has a fault too.
    pub faults: Vec<String>,
    /// Names of what fails and lowers the priority.
    pub weaknesses: Vec<String>,
    /// What they lower it by.
    pub penalty: u16,
}

impl Condition {
    /// Whether anything is a fault.
    #[must_use]
    pub fn has_fault(&self) -> bool {
        !self.faults.is_empty()
    }

    /// What is left of `priority`: never less than 1, the lowest there is.
    pub(super) fn lower(&self, priority: u8) -> u8 {
        u8::try_from(u16::from(priority).saturating_sub(self.penalty)).unwrap_or(u8::MAX).max(1)
    }

    /// What speaks against a router of this `priority`, as the rest of a sentence; `None`: nothing.
    pub(super) fn words(&self, priority: u8) -> Option<String> {
        let fault = self.has_fault().then(|| format!("this router has a fault: {}", self.faults.join(", ")));
        let weakness = (self.lower(priority) < priority).then(|| {
            let names = self.weaknesses.join(", ");
            format!("own priority {} instead of {priority}: {names}", self.lower(priority))
        });
        let words: Vec<_> = [fault, weakness].into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_lowered_to_one_at_most() {
        for (penalty, left) in [(0, 100), (99, 1), (100, 1), (u16::MAX, 1)] {
            assert_eq!(Condition { penalty, ..Condition::default() }.lower(100), left);
        }
    }

    #[test]
    fn everything_that_speaks_against_it_is_named() {
        assert_eq!(Condition::default().words(100), None);
        let condition = Condition {
            faults: vec!["uplink".to_owned(), "disk".to_owned()],
            weaknesses: vec!["gateway".to_owned()],
            penalty: 30,
        };
        let words = "this router has a fault: uplink, disk; own priority 70 instead of 100: gateway";
        assert_eq!(condition.words(100).as_deref(), Some(words));
    }
}
