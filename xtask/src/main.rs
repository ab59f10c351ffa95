//! The project's own commands: `cargo xtask <command>`.
//!
//! Two rules: whoever types one of these sees output within seconds, and every command may be run twice.

mod bench;
mod build_ebpf;
#[path = "../../lb-ebpf/builder.rs"]
mod builder;
mod ci;
mod demo;
mod fuzz;
mod laboratory;
mod lint;
mod setup;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};

/// Commands for working on the load balancer.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Install what is missing on Debian 12; elsewhere say what to install
    Setup,
    /// Build the XDP program, load it through the verifier, show sizes and maps
    BuildEbpf(build_ebpf::Args),
    /// Run every test; kernel and laboratory tests need root
    Test(test::Args),
    /// Show the main job on real packets, in network namespaces; needs root
    Demo(demo::Args),
    /// Measure what a packet costs, as a multiple of what the kernel's own operations cost; needs root
    Bench(bench::Args),
    /// Measure how long services are silent when a router fails; needs root
    Outage(laboratory::Args),
    /// Make trouble for a pair of routers for half an hour, and look at what must hold; needs root
    Soak(laboratory::Args),
    /// Fuzz what a peer sends, guided by coverage; no root needed
    Fuzz(fuzz::Args),
    /// Compare the formatting with rustfmt's, and run clippy for host and BPF
    Lint,
    /// Check the tree: sizes, docs, links, leftovers
    Tidy,
    /// All of continuous integration, in order, up to the first failure
    Ci,
}

fn main() -> ExitCode {
    shell::end_with_the_reader();
    let outcome = match parse() {
        Command::Setup => setup::run(),
        Command::BuildEbpf(args) => build_ebpf::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Outage(args) => laboratory::run("outage", &args),
        Command::Soak(args) => laboratory::run("soak", &args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Lint => lint::run(),
        Command::Tidy => tidy::run(),
        Command::Ci => ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The command that was asked for. Whoever asks for one that does not exist sees those that do.
fn parse() -> Command {
    Command::try_parse().unwrap_or_else(|error| {
        if error.kind() == ErrorKind::InvalidSubcommand {
            let text = error.to_string();
            eprintln!("{}\n\n{}", text.lines().next().unwrap_or_default(), Command::command().render_help());
            std::process::exit(error.exit_code());
        }
        error.exit()
    })
}
