//! The time, and waiting for a moment that there may not be.

use std::time::Instant;

/// The time, as the runtime sees it: tests let it stand and move on.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Resolves at `deadline`; never, without one.
pub(crate) async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
