//! `lbctl conns`: connections in the layout of `ipvsadm -Lnc`, for the scripts that read it.

use std::fmt::Write;

use super::outcome::{CliError, Format};
use crate::api::{client::Client, types::Connection};

/// Lists connections.
///
/// # Errors
/// When the daemon refuses or does not answer.
pub async fn run(client: &Client, format: Format) -> Result<String, CliError> {
    format.render(&client.connections().await?, |connections| render(connections))
}

/// The table.
pub fn render(connections: &[Connection]) -> String {
    let mut out = String::from(
        "IPVS connection entries\npro expire state       source             virtual            destination\n",
    );
    for connection in connections {
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{:<3} {:02}:{:02}  {:<11} {:<18} {:<18} {}",
            connection.protocol.name(),
            connection.expires_secs / 60,
            connection.expires_secs % 60,
            connection.state.name(),
            connection.source,
            connection.virtual_address,
            connection.destination,
        );
    }
    out
}
