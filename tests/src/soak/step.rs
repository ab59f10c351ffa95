//! The troubles, in an order that a seed repeats.

use std::{fmt, time::Duration};

use crate::lab::{R1, R2, fault::Fault};

/// One trouble, with all that is random about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something befalls the active router.
    Active(Fault, Duration),
    /// The same befalls the standby router.
    Standby(Fault, Duration),
    /// A cable of a router is pulled and plugged in again, some times in a row.
    Flaps {
        /// The router.
        router: usize,
        /// Its port.
        port: usize,
        /// How often.
        times: usize,
        /// How long each state lasts.
        each: Duration,
    },
    /// Three in ten heartbeats of both routers are lost.
    Loss(Duration),
    /// Both routers are told other weights.
    Reload([u32; 3]),
    /// A real server is cut off and its web server dies; it comes back.
    Server(usize, Duration),
}

/// Steps without end.
#[derive(Clone, Debug)]
pub(super) struct Steps(u64);

impl Step {
    /// Whether no established connection may be lost. Those with a real server that dies may.
    pub(super) const fn keeps_connections(&self) -> bool {
        !matches!(self, Self::Server(..))
    }

    /// Whether no new connection may fail either: at every moment a router forwards, and no server has gone.
    pub(super) const fn keeps_requests(&self) -> bool {
        match self {
            Self::Active(fault, _) => matches!(fault, Fault::Handover | Fault::Kill | Fault::Freeze),
            Self::Standby(..) | Self::Reload(_) => true,
            Self::Flaps { router, .. } => *router == R2,
            Self::Loss(_) | Self::Server(..) => false,
        }
    }

    /// Whether a router may be lost with the ends of some connections, of which the other one has not been told.
    pub(super) const fn loses_ends(&self) -> bool {
        matches!(self, Self::Active(Fault::PowerOff | Fault::LinkDown, _) | Self::Flaps { router: R1, .. })
    }

    /// A word for it, the same for all of its kind.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Active(fault, _) => format!("active: {}", fault.name()),
            Self::Standby(fault, _) => format!("standby: {}", fault.name()),
            Self::Flaps { .. } => "link flaps".to_owned(),
            Self::Loss(_) => "heartbeats lost".to_owned(),
            Self::Reload(_) => "reload".to_owned(),
            Self::Server(..) => "real server dies".to_owned(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Active(_, time) | Self::Standby(_, time) | Self::Loss(time) => {
                write!(f, "{kind}, for {} ms", time.as_millis())
            }
            Self::Flaps { router, port, times, each } => {
                write!(f, "{kind}, r{} port {port}, {times} × {} ms", router + 1, each.as_millis())
            }
            Self::Reload(weights) => write!(f, "{kind}, weights {weights:?}"),
            Self::Server(index, time) => write!(f, "{kind}, number {index}, for {} ms", time.as_millis()),
        }
    }
}

impl Steps {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014: "Fast splittable pseudorandom number generators").
    const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..limit`.
    const fn below(&mut self, limit: u64) -> usize {
        (self.number() % limit) as usize
    }

    fn time(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.number() % most)
    }
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        Some(match self.below(16) {
            0..7 => Step::Active(Fault::ALL[self.below(5)], self.time(3000)),
            // A handover is the active router's.
            7..9 => Step::Standby(Fault::ALL[1 + self.below(4)], self.time(3000)),
            9..11 => Step::Flaps {
                router: if self.below(3) == 0 { R2 } else { R1 },
                port: self.below(2),
                times: 1 + self.below(5),
                each: Duration::from_millis(20) + self.time(400),
            },
            11 => Step::Loss(Duration::from_secs(2) + self.time(3000)),
            // Nobody gets no new connections at all: there would be a service without a server.
            12..15 => Step::Reload([0, 1, 2].map(|_| 1 + self.below(5) as u32)),
            _ => Step::Server(self.below(6), self.time(2000)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_repeats_every_step_and_another_does_not() {
        let steps = |seed| Steps::new(seed).take(50).collect::<Vec<_>>();
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
    }

    #[test]
    fn every_kind_comes_in_a_while() {
        let kinds: BTreeSet<String> = Steps::new(1).take(150).map(|step| step.kind()).collect();
        assert_eq!(kinds.len(), 5 + 4 + 4, "{kinds:?}");
    }
}
