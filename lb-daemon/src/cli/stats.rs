//! `lbctl stats`: what became of packets, by reason.

use std::fmt::Write;

use super::{
    outcome::{CliError, Format},
    text::clean,
};
use crate::api::{client::Client, types::Stats};

/// Arguments of `lbctl stats`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// Show reasons that no packet has met, too
    #[arg(long)]
    all: bool,
}

/// Shows counters.
///
/// # Errors
/// When the daemon refuses or does not answer.
pub async fn run(client: &Client, args: Args, format: Format) -> Result<String, CliError> {
    format.render(&client.stats().await?, |stats| render(stats, args.all))
}

/// The table, without reasons that no packet has met unless `all`.
pub fn render(stats: &Stats, all: bool) -> String {
    let mut out = format!("{:<18} {:<7} {:>14} {:>18}\n", "Reason", "Verdict", "Packets", "Bytes");
    for count in stats.reasons.iter().filter(|count| all || count.packets > 0) {
        let (reason, verdict) = (clean(&count.reason), clean(&count.verdict));
        // Writing to a string does not fail.
        let _ = writeln!(out, "{reason:<18} {verdict:<7} {:>14} {:>18}", count.packets, count.bytes);
    }
    let _ = writeln!(out, "\nFlow table entries: {}", stats.flow_entries);
    out
}
