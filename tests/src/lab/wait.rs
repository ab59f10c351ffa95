//! Waiting for something to become true, and being interrupted meanwhile.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Time between two looks.
const POLL: Duration = Duration::from_millis(10);

/// Set by the first `SIGINT` or `SIGTERM`, once [`catch_signals`] has been called.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Waits until `condition` holds. An error of the condition counts as "not yet" and is named when time runs out.
///
/// # Errors
/// When it does not hold within `timeout`, or a signal asked the process to end.
pub fn until(what: &str, timeout: Duration, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + timeout;
    loop {
        let last = condition();
        if matches!(last, Ok(true)) {
            return Ok(());
        }
        check_interrupted()?;
        if Instant::now() >= deadline {
            match last {
                Ok(_) => bail!("waited {timeout:?} in vain for {what}"),
                Err(error) => bail!("waited {timeout:?} in vain for {what}: {error:#}"),
            }
        }
        thread::sleep(POLL);
    }
}

/// Lets time pass.
///
/// # Errors
/// When a signal asked the process to end.
pub fn pause(time: Duration) -> Result<()> {
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        check_interrupted()?;
        thread::sleep(POLL.min(deadline.saturating_duration_since(Instant::now())));
    }
    Ok(())
}

/// Whether a signal asked the process to end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Turns `SIGINT` and `SIGTERM` into an error of whatever waits, so that the lab is torn down on the way out.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn catch_signals() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        INTERRUPTED.store(true, Ordering::Relaxed);
    })?;
    Ok(())
}

fn check_interrupted() -> Result<()> {
    if interrupted() {
        bail!("interrupted");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_not_waited_for() {
        let mut looks = 0;
        until("the third look", Duration::from_secs(60), || {
            looks += 1;
            Ok(looks == 3)
        })
        .unwrap();
        assert_eq!(looks, 3);
    }

    #[test]
    fn the_last_error_is_named() {
        let error = until("rain", Duration::ZERO, || bail!("drought")).unwrap_err();
        assert_eq!(error.to_string(), "waited 0ns in vain for rain: drought");
    }
}
