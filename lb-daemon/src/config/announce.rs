//! How floating addresses are announced.

use std::time::Duration;

/// Gratuitous ARP: in which form, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce {
    /// Forms that are sent.
    pub form: AnnounceForm,
    /// Rounds of a burst, at least 1. A round announces every address once.
    pub burst: u16,
    /// Time between two rounds of a burst, at least 10 ms.
    pub spacing: Duration,
    /// Bursts that follow the first one.
    pub repeats: u16,
    /// Time between two bursts.
    pub delay: Duration,
    /// Time between two refreshes once the bursts are over; `None`: none.
    pub refresh: Option<Duration>,
    /// Rounds of a refresh, at least 1.
    pub refresh_burst: u16,
    /// Time between two questions to everyone whether somebody else has the addresses; `None`: nobody is asked.
    pub probe: Option<Duration>,
}

/// Forms of a gratuitous ARP. Some hosts heed one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceForm {
    /// The one after the other.
    Both,
    /// A request for the own address.
    Request,
    /// A reply that nobody has asked for.
    Reply,
}

impl Default for Announce {
    /// Four bursts within eight seconds: the first for hosts that listen, the others for frames that were lost, and for switch
    /// ports that had yet to begin to forward. Then once a minute, for caches that were filled by a router that should not
    /// have answered.
    fn default() -> Self {
        Self {
            form: AnnounceForm::Both,
            burst: 3,
            spacing: Duration::from_millis(200),
            repeats: 3,
            delay: Duration::from_secs(2),
            refresh: Some(Duration::from_secs(60)),
            refresh_burst: 1,
            probe: Some(Duration::from_secs(60)),
        }
    }
}
