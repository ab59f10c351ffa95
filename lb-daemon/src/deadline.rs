//! Waiting for a moment that there may not be.

use std::time::Instant;

/// Resolves at `deadline`; never, without one.
pub(crate) async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
