//! What went wrong in the director and still stands.

use std::{collections::BTreeMap, fmt};

use tracing::{error, info};

/// Failures by subject: the last one of each.
#[derive(Debug, Default)]
pub(super) struct Trouble(BTreeMap<&'static str, String>);

impl Trouble {
    /// Notes how an attempt went. The log hears of what is new alone, since attempts are repeated.
    pub(super) fn note(&mut self, subject: &'static str, failure: Option<impl fmt::Display>) {
        match failure.map(|failure| failure.to_string()) {
            Some(failure) if self.0.get(subject) != Some(&failure) => {
                error!("{subject}: {failure}");
                self.0.insert(subject, failure);
            }
            Some(_) => {}
            None => {
                if self.0.remove(subject).is_some() {
                    info!("{subject}: in order again");
                }
            }
        }
    }

    /// Whether the last attempt at a subject failed.
    pub(super) fn stands(&self, subject: &str) -> bool {
        self.0.contains_key(subject)
    }

    /// One line each.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(subject, failure)| format!("{subject}: {failure}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_its_last_failure_until_it_succeeds() {
        let mut trouble = Trouble::default();
        for failure in [Some("first"), Some("second")] {
            trouble.note("addresses", failure);
        }
        trouble.note("counters", None::<String>);
        assert_eq!(trouble.lines().collect::<Vec<_>>(), ["addresses: second"]);
        assert!(trouble.stands("addresses") && !trouble.stands("counters"));
        trouble.note("addresses", None::<String>);
        assert_eq!(trouble.lines().count(), 0);
    }
}
