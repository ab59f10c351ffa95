//! `lbctl server`: weight, drain, enable, disable.

use clap::ValueEnum;

use super::outcome::{CliError, Format};
use crate::api::{
    client::Client,
    types::{ServerAction, ServerChange},
};

/// Arguments of `lbctl server`. The words are positional, so that a server may have any name.
#[derive(Debug, clap::Args)]
#[command(override_usage = "lbctl server <SERVER> <weight N|drain|enable|disable> [--service NAME]")]
pub struct Args {
    /// Real server: its name, ADDRESS or ADDRESS:PORT
    server: String,
    /// What to do with it
    action: Word,
    /// New weight, 0 to 65535; 0 takes no new connections
    #[arg(value_name = "N", required_if_eq("action", "weight"), value_parser = clap::value_parser!(u32).range(0..=65535))]
    weight: Option<u32>,
    /// Only in the service of this name; else in every service that has the server
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    /// Use the weight N instead of the configured one
    Weight,
    /// Keep its connections, give it no new ones
    Drain,
    /// As configured again: checked, and in use when healthy
    Enable,
    /// As drain, and no longer checked
    Disable,
}

/// Changes a real server until the daemon ends or the change is taken back.
///
/// # Errors
/// When the arguments contradict each other, and when the daemon refuses or does not answer.
pub async fn run(client: &Client, args: Args, format: Format) -> Result<String, CliError> {
    let change = change(args)?;
    format.render(&client.change_server(&change).await?, |done| format!("{}\n", done.message))
}

fn change(args: Args) -> Result<ServerChange, CliError> {
    let Args { server, action, weight, service } = args;
    let action = match (action, weight) {
        (Word::Weight, Some(weight)) => ServerAction::Weight(weight),
        (Word::Weight, None) => return Err(CliError::Usage("weight needs a number, 0 to 65535".to_owned())),
        (Word::Drain, None) => ServerAction::Drain,
        (Word::Enable, None) => ServerAction::Enable,
        (Word::Disable, None) => ServerAction::Disable,
        (Word::Drain | Word::Enable | Word::Disable, Some(extra)) => {
            return Err(CliError::Usage(format!(
                "unexpected argument '{extra}': only weight takes a number"
            )));
        }
    };
    Ok(ServerChange { server, service, action })
}
