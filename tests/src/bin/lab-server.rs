//! A real server of the laboratory.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Parser;
use lb_tests::lab::serve::serve;

/// Serves HTTP and UDP echo until SIGTERM.
#[derive(Parser)]
struct Arguments {
    /// Name that it answers with
    #[arg(long)]
    name: String,
    /// Addresses of the HTTP server
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Vec<SocketAddr>,
    /// Addresses of the UDP echo server
    #[arg(long, value_name = "ADDRESS:PORT")]
    udp: Vec<SocketAddr>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Arguments { name, http, udp } = Arguments::parse();
    serve(&name, &http, &udp).await
}
