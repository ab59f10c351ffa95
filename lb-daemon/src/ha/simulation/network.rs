//! The network between the two routers.

use std::time::{Duration, Instant};

use super::{Random, Setup};
use crate::ha::heartbeat::Heartbeat;

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) at: Instant,
    pub(super) to: usize,
    pub(super) path: usize,
    pub(super) heartbeat: Heartbeat,
}

/// One direction of one path.
#[derive(Clone, Debug)]
struct Wire {
    up: bool,
    /// Datagrams lost in a row.
    run: u32,
}

/// All paths, both directions.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// By sender, then by path.
    wires: [Vec<Wire>; 2],
    flights: Vec<Flight>,
    delay: Duration,
    drops: u32,
}

impl Network {
    pub(super) fn new(setup: &Setup) -> Self {
        let wires = vec![Wire { up: true, run: 0 }; setup.paths];
        Self { wires: [wires.clone(), wires], flights: Vec::new(), delay: setup.delay, drops: setup.drops }
    }

    /// Cuts or repairs what `from` sends on `path`.
    pub(super) fn set(&mut self, from: usize, path: usize, up: bool) {
        self.wires[from][path].up = up;
    }

    /// Cuts or repairs everything.
    pub(super) fn set_all(&mut self, up: bool) {
        self.wires.iter_mut().flatten().for_each(|wire| wire.up = up);
    }

    /// Cuts or repairs everything that `from` sends.
    pub(super) fn set_from(&mut self, from: usize, up: bool) {
        self.wires[from].iter_mut().for_each(|wire| wire.up = up);
    }

    /// Whether each router can hear the other.
    pub(super) fn connected(&self) -> bool {
        [0, 1].into_iter().all(|from| self.is_heard(from))
    }

    /// Whether the other router can hear `from`.
    pub(super) fn is_heard(&self, from: usize) -> bool {
        self.wires[from].iter().any(|wire| wire.up)
    }

    /// Sends a datagram, which may be lost, late, or doubled; whether it arrives. At most `drops` in a row are lost
    /// on a wire.
    pub(super) fn send(
        &mut self,
        random: &mut Random,
        now: Instant,
        from: usize,
        path: usize,
        heartbeat: &Heartbeat,
    ) -> bool {
        let wire = &mut self.wires[from][path];
        if !wire.up {
            return false;
        }
        if wire.run < self.drops && random.chance(60) {
            wire.run += 1;
            return false;
        }
        wire.run = 0;
        for _ in 0..if random.chance(5) { 2 } else { 1 } {
            let late = self.delay * random.below(101) as u32 / 100;
            self.inject(now + late, 1 - from, path, heartbeat.clone());
        }
        true
    }

    /// Puts a datagram on its way to `to`, whoever sent it.
    pub(super) fn inject(&mut self, at: Instant, to: usize, path: usize, heartbeat: Heartbeat) {
        self.flights.push(Flight { at, to, path, heartbeat });
    }

    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.flights.iter().map(|flight| flight.at).min()
    }

    /// The earliest datagram that has arrived at `now`.
    pub(super) fn arrived(&mut self, now: Instant) -> Option<Flight> {
        let (index, first) = self.flights.iter().enumerate().min_by_key(|(_, flight)| flight.at)?;
        (first.at <= now).then(|| self.flights.remove(index))
    }
}
