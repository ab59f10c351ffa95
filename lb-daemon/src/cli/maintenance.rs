//! `lbctl maintenance`: holds this router in a role.

use clap::ValueEnum;

use super::outcome::{CliError, Format};
use crate::api::{
    client::Client,
    types::{Forced, MaintenanceChange},
};

/// Arguments of `lbctl maintenance`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to hold this router in
    role: Word,
    /// What for, as status shows it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Only for this group; else for all of them
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    /// Not active, whatever becomes of the peer
    Standby,
    /// Active, whatever the priorities are
    Active,
    /// Release it
    Off,
}

/// Holds the router, or releases it.
///
/// # Errors
/// When the daemon refuses or does not answer.
pub async fn run(client: &Client, args: Args, format: Format) -> Result<String, CliError> {
    let role = match args.role {
        Word::Standby => Some(Forced::Standby),
        Word::Active => Some(Forced::Active),
        Word::Off => None,
    };
    let change = MaintenanceChange { role, reason: args.reason, group: args.group };
    format.render(&client.maintain(&change).await?, |done| format!("{}\n", done.message))
}
