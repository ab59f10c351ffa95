//! Buckets that break one rule of the protocol, to show that the check finds it.

use std::cell::{Cell, RefCell};

use lb_common::flow_table::{Bucket, Key, Meta, Phase, Stamp};

use crate::{machine::Request, processor::Probe, tasks::START};

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None.
    None,
    /// Nobody looks for rivals once his entry is pending.
    NoLook,
    /// Rivals are looked for before the entry is visible to them.
    LookFirst,
    /// An entry becomes pending by a mere store, which may become visible later than what is read next.
    NoBarrier,
    /// A pending rival in a higher place is not turned back.
    NoTurnBack,
    /// An entry is claimed whatever it has become.
    BlindClaim,
    /// An entry is removed whatever it has become.
    BlindRemoval,
    /// An entry is noted as used whatever it has become.
    BlindTouch,
    /// A maker that gives way leaves its entry as it is.
    NoGivingBack,
    /// A new connection is no later than the one whose entry it gets: all are of the unit in which everything begins.
    TimeStands,
    /// A key is not read again after what belongs to it.
    KeyOnce,
}

/// What a broken bucket remembers during one run.
#[derive(Default)]
pub(crate) struct Notes {
    is_pending: Cell<bool>,
    last: RefCell<Option<(usize, Key)>>,
}

/// A bucket of which one rule is broken.
#[derive(Clone, Copy)]
pub(crate) struct Faulty<'a> {
    probe: Probe<'a>,
    fault: Fault,
    notes: &'a Notes,
}

impl<'a> Faulty<'a> {
    pub(crate) fn new(probe: Probe<'a>, fault: Fault, notes: &'a Notes) -> Self {
        Self { probe, fault, notes }
    }

    /// Replaces the rest of an entry without a comparison.
    fn replace(self, way: usize, new: Meta) -> bool {
        self.probe.ask(Request::Exchange(self.probe.place(way), None, new.word())) != 0
    }
}

/// The same at the time when everything begins.
fn at_the_start(meta: Meta) -> Meta {
    Meta::from_word(meta.word() & !u64::from(Stamp::MASK) | u64::from(START))
}

impl Bucket for Faulty<'_> {
    fn key(self, way: usize) -> Key {
        if self.fault == Fault::NoLook && self.notes.is_pending.get() {
            return Key::default();
        }
        let place = self.probe.place(way);
        if self.fault == Fault::KeyOnce
            && let Some((_, key)) = self.notes.last.borrow_mut().take_if(|(last, _)| *last == place)
        {
            return key;
        }
        let key = self.probe.key(way);
        *self.notes.last.borrow_mut() = Some((place, key));
        key
    }

    fn meta(self, way: usize) -> Meta {
        self.probe.meta(way)
    }

    fn store_key(self, way: usize, key: Key) {
        self.probe.store_key(way, key);
    }

    fn exchange(self, way: usize, old: Meta, new: Meta) -> bool {
        use Phase::{Claimed, Free, Live, Pending};
        let step = (old.phase(), new.phase());
        self.notes.is_pending.set(step == (Claimed, Pending));
        match (self.fault, step) {
            (Fault::LookFirst, (Claimed, Pending)) | (Fault::NoTurnBack, (Pending, Claimed)) => true,
            (Fault::LookFirst, (Pending, Live | Free)) => {
                self.probe.exchange(way, old.in_phase(Claimed), old) && self.probe.exchange(way, old, new)
            }
            (Fault::NoBarrier, (Claimed, Pending)) => {
                self.probe.ask(Request::StoreMeta(self.probe.place(way), new.word()));
                true
            }
            (Fault::NoGivingBack, (Pending | Claimed, Free)) => true,
            (Fault::TimeStands, (Free | Live, Claimed)) => self.probe.exchange(way, old, at_the_start(new)),
            (Fault::TimeStands, (Claimed | Pending, _)) => {
                self.probe.exchange(way, at_the_start(old), at_the_start(new))
            }
            (Fault::BlindClaim, (Free | Live, Claimed))
            | (Fault::BlindRemoval, (Live, Free))
            | (Fault::BlindTouch, (Live, Live)) => self.replace(way, new),
            _ => self.probe.exchange(way, old, new),
        }
    }
}
