//! `lbctl failover`.

use super::outcome::{CliError, Format};
use crate::api::client::Client;

/// Gives the active role to the peer.
///
/// # Errors
/// When the daemon refuses or does not answer.
pub async fn run(client: &Client, format: Format) -> Result<String, CliError> {
    format.render(&client.failover().await?, |done| format!("{}\n", done.message))
}
