//! `lbctl failover`.

use super::outcome::{CliError, Format};
use crate::api::{client::Client, types::Failover};

/// Arguments of `lbctl failover`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only for this group; else for every one that this router is active for
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
}

/// Gives the active role to the peer.
///
/// # Errors
/// When the daemon refuses or does not answer.
pub async fn run(client: &Client, args: Args, format: Format) -> Result<String, CliError> {
    let failover = Failover { group: args.group };
    format.render(&client.failover(&failover).await?, |done| format!("{}\n", done.message))
}
