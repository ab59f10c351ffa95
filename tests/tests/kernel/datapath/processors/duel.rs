//! Two processors that do something at the same moment, again and again.

use std::{
    hint,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use super::pin;

/// Repetitions of each duel.
pub(super) const ROUNDS: u32 = 3000;
/// Turns of waiting by which one may begin later than the other, so that all their moments meet once.
const LAGS: u32 = 24;
/// Turns of waiting after which a thread lets others run: the other one may need its processor.
const PATIENCE: u32 = 20_000;

/// Where both wait for each other.
#[derive(Default)]
struct Gate {
    arrived: AtomicU64,
    is_over: AtomicBool,
}

/// Ends the duel for the other one, too, when one of them panics.
struct Ending<'a>(&'a Gate);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

impl Gate {
    /// Waits for the other one; whether it came.
    fn pass(&self) -> bool {
        let number = self.arrived.fetch_add(1, Ordering::AcqRel) + 1;
        let both = number.next_multiple_of(2);
        for turn in 1_u32.. {
            if self.arrived.load(Ordering::Acquire) >= both {
                return true;
            }
            if self.is_over.load(Ordering::Acquire) {
                return false;
            }
            hint::spin_loop();
            if turn % PATIENCE == 0 {
                thread::yield_now();
            }
        }
        false
    }
}

/// Lets `one` and `other` run at the same moment on two processors, after `prepare` and before `check`, which gets what both
/// returned.
pub(super) fn duel<T: Send>(
    processors: [usize; 2],
    mut prepare: impl FnMut(),
    one: impl Fn() -> T,
    other: impl Fn() -> T + Sync,
    mut check: impl FnMut(T, T),
) {
    let gate = Gate::default();
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let (gate, other) = (&gate, &other);
        scope.spawn(move || {
            let _ending = Ending(gate);
            pin(processors[1]);
            for round in 0..ROUNDS {
                if !gate.pass() {
                    return;
                }
                lag(round, 1);
                if sender.send(other()).is_err() {
                    return;
                }
            }
        });
        let _ending = Ending(gate);
        pin(processors[0]);
        for round in 0..ROUNDS {
            prepare();
            if !gate.pass() {
                break;
            }
            lag(round, 0);
            let first = one();
            let Ok(second) = receiver.recv() else { break };
            check(first, second);
        }
    });
}

/// Waits in every second round, longer and longer.
fn lag(round: u32, parity: u32) {
    if round % 2 == parity {
        (0..round / 2 % LAGS).for_each(|_| hint::spin_loop());
    }
}
