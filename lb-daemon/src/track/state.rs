//! From what was found to what speaks against this router. Pure.

use std::collections::BTreeMap;

use super::Report;
use crate::{config::Track, ha::engine::Condition};

/// What is known of every track. One that has not been looked at yet is taken for well: a restart alone moves no role.
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    found: BTreeMap<String, bool>,
}

impl Tracks {
    /// Forgets everything that is not among `tracks`.
    pub fn retain(&mut self, tracks: &[Track]) {
        self.found.retain(|name, _| tracks.iter().any(|track| track.name == *name));
    }

    /// Takes in a report. Returns false for one about a track that is not among `tracks`: it was on its way when that was
    /// removed.
    pub fn take(&mut self, tracks: &[Track], report: &Report) -> bool {
        let known = tracks.iter().any(|track| track.name == report.track);
        if known {
            self.found.insert(report.track.clone(), report.ok);
        }
        known
    }

    /// What was found of the track of this name; `None` when it has not been looked at yet.
    #[must_use]
    pub fn found(&self, name: &str) -> Option<bool> {
        self.found.get(name).copied()
    }

    /// What speaks against this router as a whole.
    #[must_use]
    pub fn condition(&self, tracks: &[Track]) -> Condition {
        self.condition_of(tracks, |_| true)
    }

    /// What speaks against this router being active for a group.
    #[must_use]
    pub fn condition_for(&self, tracks: &[Track], group: &str) -> Condition {
        self.condition_of(tracks, |track| {
            track.groups.is_empty() || track.groups.iter().any(|name| name == group)
        })
    }

    fn condition_of(&self, tracks: &[Track], counts: impl Fn(&Track) -> bool) -> Condition {
        let failing =
            || tracks.iter().filter(|track| counts(track) && self.found(&track.name) == Some(false));
        let names = |holds: fn(&Track) -> bool| {
            failing().filter(|track| holds(track)).map(|track| track.name.clone()).collect()
        };
        Condition {
            faults: names(|track| track.fault),
            weaknesses: names(|track| track.weight > 0),
            penalty: failing().map(|track| u16::from(track.weight)).fold(0, u16::saturating_add),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::TrackProbe;

    #[test]
    fn what_fails_is_a_fault_or_a_weight_or_both() {
        let tracks = [track("link", 0, true), track("gateway", 60, false), track("disk", 200, true)];
        let mut state = Tracks::default();
        assert_eq!(state.condition(&tracks), Condition::default(), "nothing is known yet");
        for name in ["link", "gateway", "disk"] {
            assert!(state.take(&tracks, &report(name, false)));
        }
        let all = Condition {
            faults: vec!["link".to_owned(), "disk".to_owned()],
            weaknesses: vec!["gateway".to_owned(), "disk".to_owned()],
            penalty: 260,
        };
        assert_eq!(state.condition(&tracks), all);
        state.take(&tracks, &report("disk", true));
        assert_eq!(state.condition(&tracks).penalty, 60);
        assert_eq!(state.condition(&tracks).faults, ["link"]);
    }

    #[test]
    fn a_track_counts_for_its_groups_or_for_all() {
        let west = Track { groups: vec!["west".to_owned()], ..track("gateway", 60, false) };
        let tracks = [track("link", 0, true), west];
        let mut state = Tracks::default();
        for name in ["link", "gateway"] {
            assert!(state.take(&tracks, &report(name, false)));
        }
        let penalty = |group| state.condition_for(&tracks, group).penalty;
        assert_eq!((penalty("west"), penalty("east")), (60, 0));
        assert!(state.condition_for(&tracks, "east").has_fault());
        assert_eq!(state.condition(&tracks).penalty, 60);
    }

    #[test]
    fn what_is_no_longer_watched_is_forgotten() {
        let tracks = [track("link", 0, true)];
        let mut state = Tracks::default();
        assert!(!state.take(&tracks, &report("gone", false)));
        state.take(&tracks, &report("link", false));
        state.retain(&[]);
        assert_eq!(state.condition(&tracks), Condition::default());
        assert_eq!(state.found("link"), None);
    }

    fn track(name: &str, weight: u8, fault: bool) -> Track {
        Track {
            name: name.to_owned(),
            probe: TrackProbe::Link { interface: "eth0".to_owned() },
            interval: Duration::from_secs(1),
            rise: 1,
            fall: 1,
            weight,
            fault,
            groups: Vec::new(),
        }
    }

    fn report(track: &str, ok: bool) -> Report {
        Report { track: track.to_owned(), ok, detail: String::new() }
    }
}
