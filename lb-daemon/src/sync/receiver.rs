//! The engine of the standby router: what it makes of the batches of the active one. It has no I/O and no clock.
//!
//! An entry belongs to the router that used its connection last. What the peer tells replaces what is older here, whoever
//! made it, and nothing that was used here since; what the peer takes back goes only where it is still the peer's. An
//! entry says whether it is ([`Meta::is_peers`](lb_common::flow_table::Meta::is_peers)); the first packet that the program writes
//! down there makes it this router's.

mod apply;
mod listed;
mod servers;

use std::collections::BTreeMap;

use self::{apply::Apply, listed::Listed, servers::Servers};
use super::{
    segments::Segments,
    wire::{Batch, Place},
};
use crate::{
    datapath::{Clock, FlowTable},
    ha::heartbeat::Position,
};

pub use apply::Refusal;

/// Buckets that are cleaned in one go at the end of a full transfer.
const SLICE: usize = 4096;

/// The receiver of a router that follows.
#[derive(Debug)]
pub struct Receiver {
    incarnation: u64,
    session: u64,
    position: u64,
    /// Records of the present session so far.
    records: u64,
    transfer: Transfer,
    percent: u8,
    servers: Servers,
    counts: Counts,
}

/// What has become of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that came.
    pub received: u64,
    /// Those that stand in the table since, or no more.
    pub applied: u64,
    /// The others, by cause.
    pub refused: BTreeMap<Refusal, u64>,
    /// Entries that were removed at the end of a full transfer, since the peer did not list them.
    pub unlisted: u64,
}

/// The full transfer of the present session.
#[derive(Debug)]
enum Transfer {
    /// The peer tells of everything.
    UnderWay(Listed),
    /// What it did not list is removed, from this bucket on.
    Cleaning(Listed, usize),
    /// Over.
    Done,
}

/// Why the stream cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Batches are missing, or came twice.
    #[error("batch {got} came instead of {expected}")]
    Gap {
        /// The one that came.
        got: u64,
        /// The one that was to come.
        expected: u64,
    },
    /// The sender goes on where this router is not.
    #[error("the peer goes on after batch {0}, which is not the last one here")]
    Position(u64),
    /// The sender is this router itself.
    #[error("this router met itself")]
    Itself,
}

impl Receiver {
    /// A receiver that has heard nothing, of the router with this incarnation.
    pub fn new(incarnation: u64) -> Self {
        Self {
            incarnation,
            session: 0,
            position: 0,
            records: 0,
            transfer: Transfer::Done,
            percent: 0,
            servers: Servers::default(),
            counts: Counts::default(),
        }
    }

    /// What it says when it has connected.
    pub const fn hello(&self) -> Place {
        Place { incarnation: self.incarnation, session: self.session, position: self.position }
    }

    /// Takes in the answer.
    ///
    /// # Errors
    /// When the sender goes on elsewhere.
    pub fn welcome(&mut self, welcome: &Place, table: &dyn FlowTable) -> Result<(), Violation> {
        if welcome.incarnation == self.incarnation {
            return Err(Violation::Itself);
        }
        if welcome.session != self.session {
            self.session = welcome.session;
            self.position = 0;
            self.records = 0;
            self.percent = 0;
            self.transfer = Transfer::UnderWay(Listed::new(table.buckets().len()));
        }
        if welcome.position == self.position { Ok(()) } else { Err(Violation::Position(welcome.position)) }
    }

    /// Applies a batch.
    ///
    /// # Errors
    /// When it is not the next one; nothing has been applied then.
    pub fn apply(
        &mut self,
        batch: &Batch,
        table: &dyn FlowTable,
        clock: &Clock,
        segments: &Segments,
    ) -> Result<(), Violation> {
        let expected = self.position + 1;
        if batch.sequence != expected {
            return Err(Violation::Gap { got: batch.sequence, expected });
        }
        let mut apply = Apply::new(table, clock, segments, &mut self.servers);
        for record in &batch.records {
            self.counts.received += 1;
            match apply.record(record, batch.held_ms) {
                Ok(place) => {
                    self.counts.applied += 1;
                    if let (Some(place), Some(listed)) = (place, self.transfer.listed()) {
                        listed.add(place);
                    }
                }
                Err(refusal) => *self.counts.refused.entry(refusal).or_default() += 1,
            }
        }
        self.position = batch.sequence;
        self.records += batch.records.len() as u64;
        self.percent = batch.progress;
        if batch.is_last {
            self.transfer.end();
        }
        Ok(())
    }

    /// Removes a part of what the full transfer has not listed; whether there is more. To be called until there is not, before the
    /// next batch.
    pub fn clean(&mut self, table: &dyn FlowTable, segments: &Segments) -> bool {
        let Transfer::Cleaning(listed, next) = &mut self.transfer else { return false };
        let end = next.saturating_add(SLICE).min(table.buckets().len());
        self.counts.unlisted += listed.clean(table, segments, *next..end);
        *next = end;
        if end < table.buckets().len() {
            return true;
        }
        self.transfer = Transfer::Done;
        false
    }

    /// Looks whether real servers that were unknown here are known now; to be called about once a second. Where one is, its
    /// flows are missing, and the next [`hello`](Self::hello) asks for everything. True then: the stream must begin anew.
    pub fn must_begin_anew(&mut self, table: &dyn FlowTable) -> bool {
        let missing = self.servers.learnt(table);
        if missing {
            self.session = 0;
        }
        missing
    }

    /// Whether this router has had everything that the peer had, and follows its changes, as long as the stream lives.
    pub const fn is_complete(&self) -> bool {
        self.session != 0 && matches!(self.transfer, Transfer::Done)
    }

    /// What it has of the copy: none before the full transfer is over.
    pub const fn applied(&self) -> Position {
        if self.is_complete() {
            Position { session: self.session, records: self.records }
        } else {
            Position::NONE
        }
    }

    /// How much of the full transfer is done, in percent.
    pub const fn percent(&self) -> u8 {
        self.percent
    }

    /// What has become of the records since the counts were taken last.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// What has become of the records, without taking it.
    #[cfg(test)]
    pub(super) const fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Transfer {
    /// The list of the transfer that is under way.
    const fn listed(&mut self) -> Option<&mut Listed> {
        match self {
            Self::UnderWay(listed) => Some(listed),
            Self::Cleaning(..) | Self::Done => None,
        }
    }

    fn end(&mut self) {
        let all = std::mem::replace(self, Self::Done);
        *self = match all {
            Self::UnderWay(listed) | Self::Cleaning(listed, _) => Self::Cleaning(listed, 0),
            Self::Done => Self::Done,
        };
    }
}
