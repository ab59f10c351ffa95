//! Two routers under a virtual clock, with a stream between them that may be lost at any point.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use lb_common::flow_table::{Client, STAMP_SHIFT, Stamp};

use super::fixture::{Table, other_service, server, udp_server};
use crate::sync::{
    receiver::Receiver,
    record::Server,
    segments::Segments,
    sender::{Next, Sender},
    wire::Batch,
};

/// Time after which a stream that does not move is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Pair {
    pub(super) active: Table,
    pub(super) standby: Table,
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    now: Instant,
    start: Instant,
    half_open: bool,
    sessions: u64,
    connected: bool,
    /// How long something has been on its way.
    waited: Duration,
    /// What is on its way.
    batches: VecDeque<Batch>,
    acks: VecDeque<u64>,
}

impl Pair {
    pub(super) fn new(buckets: usize) -> Self {
        Self::of_sizes(buckets, buckets + 1, false)
    }

    pub(super) fn with_half_open(buckets: usize) -> Self {
        Self::of_sizes(buckets, buckets + 1, true)
    }

    /// Two tables of so many buckets. Their real servers stand in other slots, with other generations.
    pub(super) fn of_sizes(active: usize, standby: usize, half_open: bool) -> Self {
        let (mut active, mut standby) = (Table::new(active), Table::new(standby));
        let kinds = [server, udp_server, other_service];
        for (number, kind) in (0..4).flat_map(|number| (0..).zip(kinds).map(move |kind| (number, kind))) {
            let (kind, server) = (kind.0, kind.1(number));
            active.own(number * 3 + kind, server, 1);
            standby.own(40 - number * 3 - kind, server, 0x0001_0009 + u32::from(number));
        }
        let now = Instant::now();
        let sender = Sender::new(1, 1, half_open, &active, now);
        Self {
            sender,
            receiver: Receiver::new(2),
            active,
            standby,
            now,
            start: now,
            half_open,
            sessions: 1,
            connected: false,
            waited: Duration::ZERO,
            batches: VecDeque::new(),
            acks: VecDeque::new(),
        }
    }

    /// The standby connects, anew if it was connected.
    pub(super) fn connect(&mut self) {
        self.lose_stream();
        self.sessions += 1;
        let welcome = self.sender.welcome(&self.receiver.hello(), self.sessions, self.now);
        self.receiver.welcome(&welcome, &self.standby).expect("the sender goes on where the receiver is");
        self.connected = true;
    }

    /// What is on its way is lost.
    pub(super) fn lose_stream(&mut self) {
        self.sender.lose();
        self.connected = false;
        self.batches.clear();
        self.acks.clear();
    }

    /// The active router's daemon starts again: its table stays. The standby connects.
    pub(super) fn restart_sender(&mut self) {
        self.lose_stream();
        self.sessions += 1;
        self.sender = Sender::new(1, self.sessions, self.half_open, &self.active, self.now);
        self.connect();
    }

    /// The standby's daemon starts again: its table stays. It connects.
    pub(super) fn restart_receiver(&mut self) {
        self.receiver = Receiver::new(2);
        self.connect();
    }

    /// Time passes without the engines.
    pub(super) fn sleep(&mut self, time: Duration) {
        self.now += time;
        let millis = self.now.duration_since(self.start).as_millis() as u64;
        let stamp = Stamp::new(1000 + ((millis * 250 / 1000) >> STAMP_SHIFT) as u32);
        self.active.clock.now = stamp;
        self.standby.clock.now = stamp;
    }

    /// Time passes, and the sender works; nothing arrives.
    pub(super) fn work(&mut self, time: Duration) {
        self.sleep(time);
        self.waited = if self.batches.is_empty() { Duration::ZERO } else { self.waited + time };
        if self.waited > PATIENCE {
            self.lose_stream();
        }
        let segments = Segments::default();
        while self.sender.step(&self.active, &self.active.clock, &segments, self.now) == Next::Now {}
        if self.connected {
            self.batches.extend(std::iter::from_fn(|| self.sender.poll_transmit(self.now)));
        }
    }

    /// Time passes, the sender works, and everything arrives both ways.
    pub(super) fn pass(&mut self, time: Duration) {
        self.work(time);
        self.deliver(usize::MAX);
        self.acknowledge(usize::MAX);
    }

    /// The flows that are told of on their way, each with the age that it has at its arrival now.
    pub(super) fn told(&self) -> Vec<(Client, Server, u32)> {
        let records =
            self.batches.iter().flat_map(|batch| batch.records.iter().map(|one| (one, batch.held_ms)));
        records
            .filter_map(|(one, held)| Some((one.client, one.server, one.condition?.age_ms + held)))
            .collect()
    }

    /// So many batches arrive.
    pub(super) fn deliver(&mut self, batches: usize) {
        for _ in 0..batches {
            let Some(batch) = self.batches.pop_front() else { return };
            self.receiver
                .apply(&batch, &self.standby, &self.standby.clock, &Segments::default())
                .expect("in order");
            while self.receiver.clean(&self.standby, &Segments::default()) {}
            self.acks.push_back(batch.sequence);
        }
    }

    /// So many acknowledgements arrive.
    pub(super) fn acknowledge(&mut self, acks: usize) {
        for _ in 0..acks {
            let Some(ack) = self.acks.pop_front() else { return };
            self.sender.acknowledge(ack).expect("it was sent");
        }
    }

    /// Time passes until a sweep is through, and nothing is left to tell.
    pub(super) fn settle(&mut self) {
        for _ in 0..700 {
            self.pass(Duration::from_millis(50));
        }
    }

    /// Records that were told since this was asked last.
    pub(super) const fn sent(&mut self) -> u64 {
        self.sender.take_sent()
    }

    pub(super) fn in_sync(&self) -> bool {
        self.sender.progress().is_in_sync(self.now)
    }

    pub(super) fn refused(&self, cause: &str) -> u64 {
        let refused = &self.receiver.counts().refused;
        refused.iter().find(|(refusal, _)| refusal.name() == cause).map_or(0, |(_, count)| *count)
    }
}
