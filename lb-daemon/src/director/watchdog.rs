//! Notices a director that is stuck. Its heartbeat would go on and say that all is well, while nobody follows roles,
//! health or the network: half a router. Without the daemon the data plane forwards just the same, the peer takes over,
//! and the service manager starts another daemon.
//!
//! A process that stands still as a whole cannot notice that. So the service manager is told at every look that all is well, if it
//! wants to hear it (`WatchdogSec` of systemd), and ends a process from which it hears nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use tracing::error;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Looks without a sign of life that make a director stuck. Counted in looks, not in time: a process that was frozen
/// as a whole has not been looked at. The director comes around once a second; what it waits for longest is netlink,
/// which is given five seconds.
const PATIENCE: u32 = 15;

/// Time that the line in the log may take. It may be the log itself that everything hangs on.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Barks unless it is fed. Nobody looks any more once it is dropped or stopped.
#[derive(Debug, Default)]
pub struct Watchdog {
    /// Looks since it was fed.
    hunger: Option<Arc<AtomicU32>>,
}

impl Watchdog {
    /// A watchdog that ends the process when it was not fed for fifteen seconds.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        let hunger = Arc::new(AtomicU32::new(0));
        let looked_at = Arc::downgrade(&hunger);
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            loop {
                thread::sleep(PERIOD);
                match looked_at.upgrade() {
                    Some(hunger) if is_stuck(&hunger) => end(),
                    Some(_) => tell_service_manager(),
                    None => return,
                }
            }
        })?;
        Ok(Self { hunger: Some(hunger) })
    }

    /// A sign of life.
    pub fn feed(&self) {
        if let Some(hunger) = &self.hunger {
            hunger.store(0, Ordering::Relaxed);
        }
    }

    /// From now on nobody looks.
    pub fn stop(&mut self) {
        self.hunger = None;
    }
}

/// One look.
fn is_stuck(hunger: &AtomicU32) -> bool {
    hunger.fetch_add(1, Ordering::Relaxed) >= PATIENCE
}

/// Says that all is well, where somebody listens for it.
fn tell_service_manager() {
    if sd_notify::watchdog_enabled().is_some() {
        // What could not be sent now is sent in a second.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
    }
}

fn end() {
    let words =
        thread::Builder::new().spawn(|| error!("the director is stuck: lbd ends, to be started anew"));
    if words.is_ok() {
        thread::sleep(LAST_WORDS);
    }
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_looks_without_a_sign_of_life_count() {
        let hunger = Arc::new(AtomicU32::new(0));
        let watchdog = Watchdog { hunger: Some(Arc::clone(&hunger)) };
        let look = |times: u32| (0..times).any(|_| is_stuck(&hunger));
        assert!(!look(PATIENCE));
        watchdog.feed();
        assert!(!look(PATIENCE));
        assert!(look(1));
    }

    #[test]
    fn nobody_looks_at_a_stopped_one() {
        let mut watchdog = Watchdog::start().unwrap();
        let looked_at = Arc::downgrade(watchdog.hunger.as_ref().unwrap());
        watchdog.stop();
        watchdog.feed();
        assert_eq!(looked_at.strong_count(), 0);
    }
}
