//! `lbctl`: its arguments, and what becomes of a command's outcome. Each command is a file of its own: it asks the
//! daemon through [`Client`] and turns the answer into text, by a pure function.

pub mod check;
pub mod conns;
pub mod failover;
pub mod list;
pub mod maintenance;
pub mod outcome;
pub mod reload;
pub mod server;
pub mod stats;
pub mod status;
pub mod text;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use self::outcome::{CliError, Format};
use crate::{
    api::client::Client,
    config::{self, Host},
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  lbd refused
  2  usage or configuration error
  3  lbd does not answer
  4  no permission to use the socket";

/// Shows and steers lbd, the load balancer daemon of this router.
#[derive(Debug, Parser)]
#[command(name = "lbctl", version, after_help = EXIT_CODES)]
struct Cli {
    /// Unix socket of lbd
    #[arg(long, global = true, value_name = "PATH", default_value = "/run/lbd/lbd.sock")]
    socket: PathBuf,
    /// Print JSON, as the API gives it
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the router at a glance: role, peer, addresses, services and real servers
    Status,
    /// List services and real servers in the layout of ipvsadm -Ln
    List(list::Args),
    /// Show what became of packets, by reason
    Stats(stats::Args),
    /// List connections in the layout of ipvsadm -Lnc
    Conns,
    /// Give the active role to the peer
    Failover(failover::Args),
    /// Hold this router standby or active until it is released
    Maintenance(maintenance::Args),
    /// Change a real server at run time
    Server(server::Args),
    /// Let lbd read its configuration file again
    Reload,
    /// Validate a configuration file, without lbd
    Check(check::Args),
}

/// The whole program: arguments in, text out, exit code.
pub fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Err(error) => outcome::usage(&error),
        Ok(Cli { socket, json, command }) => {
            let format = if json { Format::Json } else { Format::Text };
            match execute(command, &Client::new(socket), format) {
                Ok(text) => outcome::print(&text),
                Err(error) => outcome::fail(&error, format),
            }
        }
    };
    exit.into()
}

fn execute(command: Command, client: &Client, format: Format) -> Result<String, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Status => status::run(client, format).await,
            Command::List(args) => list::run(client, args, format).await,
            Command::Stats(args) => stats::run(client, args, format).await,
            Command::Conns => conns::run(client, format).await,
            Command::Failover(args) => failover::run(client, args, format).await,
            Command::Maintenance(args) => maintenance::run(client, args, format).await,
            Command::Server(args) => server::run(client, args, format).await,
            Command::Reload => reload::run(client, format).await,
            Command::Check(args) => check::run(&args, |path| config::load(path, &Host::default()), format),
        }
    })
}
