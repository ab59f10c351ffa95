//! `lbctl reload`.

use super::outcome::{CliError, Format};
use crate::api::client::Client;

/// Lets the daemon read its configuration file again.
///
/// # Errors
/// When the daemon refuses, the file is wrong for example, or does not answer.
pub async fn run(client: &Client, format: Format) -> Result<String, CliError> {
    format.render(&client.reload().await?, |done| format!("{}\n", done.message))
}
