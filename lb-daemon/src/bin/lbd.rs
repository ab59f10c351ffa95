//! `lbd`: the daemon of an LVS router.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use lb_daemon::daemon;
use tracing_subscriber::EnvFilter;

/// The daemon of an LVS router: health checks, heartbeat, takeover, and the XDP program that forwards.
///
/// Exit codes: 0 stopped as asked, 1 something that it needs is missing, 2 usage or configuration error.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/lbd/lbd.toml", global = true)]
    config: PathBuf,
    /// What to log: a level or a filter such as `info,lb_daemon::ha=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info", global = true)]
    log: EnvFilter,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Remove what a stopped daemon has left: addresses, the attached program, its maps.
    Teardown,
}

fn main() -> ExitCode {
    let Arguments { config, log, command } = Arguments::parse();
    let under_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let logger =
        tracing_subscriber::fmt().with_env_filter(log).with_target(false).with_writer(std::io::stderr);
    if under_journal {
        logger.without_time().with_ansi(false).init();
    } else {
        logger.with_ansi(false).init();
    }
    end_on_panic();
    // More workers than cores: a heartbeat never waits behind a look at the flow table.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            match command {
                None => daemon::run(&config).await,
                Some(Command::Teardown) => daemon::teardown(&config).await,
            }
        })
    });
    result.unwrap_or_else(|error| {
        eprintln!("lbd: {error:#}");
        ExitCode::FAILURE
    })
}

/// A task that panics would otherwise be missed by nobody: a heartbeat that has ended, say, beside a data plane that is
/// active for ever. The whole daemon ends instead. Its data plane goes on, the peer takes over, and it is started anew.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}
