//! Batches that the peer has not acknowledged: they are sent again after the stream broke, and when they are many the
//! sender waits.

use std::{collections::VecDeque, time::Instant};

use crate::sync::{record::Record, wire::Batch};

/// Batches on their way at most: 1.5 MiB in the receiver's buffers, and as much in this router's memory.
const BATCHES: usize = 32;

/// The peer acknowledges, or has, what it never got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer acknowledges batch {0}, which it never got")]
pub struct Unexpected(u64);

#[derive(Debug, Default)]
pub(super) struct Window {
    /// Those not acknowledged, with the time at which the ages in them were taken.
    batches: VecDeque<(Batch, Instant)>,
    acknowledged: u64,
    /// How many of them have been sent on this stream.
    sent: usize,
}

impl Window {
    /// Whether another batch may be made.
    pub(super) fn has_room(&self) -> bool {
        self.batches.len() < BATCHES
    }

    /// Adds a batch, to be sent.
    pub(super) fn push(&mut self, records: Vec<Record>, is_last: bool, progress: u8, now: Instant) {
        let batch = Batch { sequence: self.made() + 1, held_ms: 0, is_last, progress, records };
        self.batches.push_back((batch, now));
    }

    /// The sequence of the batch made last; 0 before the first.
    pub(super) fn made(&self) -> u64 {
        self.acknowledged + self.batches.len() as u64
    }

    /// The sequence of the batch acknowledged last.
    pub(super) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Records not acknowledged.
    pub(super) fn records(&self) -> usize {
        self.batches.iter().map(|(batch, _)| batch.records.len()).sum()
    }

    /// Notes that the peer has all up to `position`.
    ///
    /// # Errors
    /// When that has not been sent.
    pub(super) fn acknowledge(&mut self, position: u64) -> Result<(), Unexpected> {
        let done = position.checked_sub(self.acknowledged).and_then(|done| usize::try_from(done).ok());
        let done = done.filter(|done| *done <= self.sent).ok_or(Unexpected(position))?;
        self.batches.drain(..done);
        self.sent -= done;
        self.acknowledged = position;
        Ok(())
    }

    /// Everything after `position` is to be sent again, on a new stream; false where this cannot be.
    pub(super) fn resume(&mut self, position: u64) -> bool {
        let possible = self.acknowledge(position).is_ok();
        self.sent = if possible { 0 } else { self.sent };
        possible
    }

    /// The next one to be sent.
    pub(super) fn next(&mut self, now: Instant) -> Option<Batch> {
        let (batch, made) = self.batches.get(self.sent)?;
        self.sent += 1;
        let held = now.saturating_duration_since(*made).as_millis();
        Some(Batch { held_ms: u32::try_from(held).unwrap_or(u32::MAX), ..batch.clone() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn batches_go_out_once_and_again_after_the_stream_broke() {
        let (mut window, now) = (filled(3), Instant::now());
        assert_eq!(sequences(&mut window, now), [1, 2, 3]);
        assert_eq!(window.acknowledge(1), Ok(()));
        assert!(window.resume(2));
        window.push(Vec::new(), false, 100, now);
        assert_eq!(sequences(&mut window, now), [3, 4]);
        assert_eq!((window.acknowledged(), window.made()), (2, 4));
    }

    #[test]
    fn what_the_peer_cannot_have_is_refused() {
        let (mut window, now) = (filled(3), Instant::now());
        assert_eq!(window.acknowledge(1), Err(Unexpected(1)), "nothing has been sent");
        assert_eq!(sequences(&mut window, now), [1, 2, 3]);
        assert_eq!(window.acknowledge(4), Err(Unexpected(4)));
        assert_eq!(window.acknowledge(3), Ok(()));
        assert_eq!(window.acknowledge(2), Err(Unexpected(2)));
        assert!(!window.resume(2), "it is thrown away");
    }

    #[test]
    fn a_batch_says_how_long_it_has_waited() {
        let (mut window, now) = (filled(1), Instant::now());
        assert_eq!(window.next(now + Duration::from_millis(70)).unwrap().held_ms, 70);
    }

    #[test]
    fn a_full_window_has_no_room() {
        let mut window = filled(BATCHES);
        assert!(!window.has_room());
        window.next(Instant::now()).unwrap();
        window.acknowledge(1).unwrap();
        assert!(window.has_room());
    }

    fn filled(batches: usize) -> Window {
        let mut window = Window::default();
        (0..batches).for_each(|_| window.push(Vec::new(), false, 0, Instant::now()));
        window
    }

    fn sequences(window: &mut Window, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| window.next(now)).map(|batch| batch.sequence).collect()
    }
}
