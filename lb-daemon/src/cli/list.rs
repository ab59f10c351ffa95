//! `lbctl list`: services and real servers in the layout of `ipvsadm -Ln`, byte for byte, for the scripts that read it.

mod numbers;

use std::net::Ipv4Addr;

use super::outcome::{CliError, Format};
use crate::api::{
    client::Client,
    types::{RealStatus, ServiceStatus, Status},
};

/// What ipvsadm prints first: the version of IPVS, and the size that its connection table has unless configured
/// otherwise (`CONFIG_IP_VS_TAB_BITS` = 12).
const BANNER: &str = "IP Virtual Server version 1.2.1 (size=4096)";

/// Arguments of `lbctl list`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// Numeric addresses and ports, as always: accepted for those who are used to it
    #[arg(short = 'n', long)]
    numeric: bool,
    /// Totals instead of weights and connections
    #[arg(long)]
    stats: bool,
    /// Rates per second instead of weights and connections
    #[arg(long)]
    rate: bool,
    /// All digits of large numbers
    #[arg(long)]
    exact: bool,
}

/// The columns to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Forwarding method, weight, connections.
    Connections,
    /// Totals.
    Stats,
    /// Rates per second.
    Rate,
}

/// Lists services and real servers.
///
/// # Errors
/// When the daemon refuses or does not answer.
pub async fn run(client: &Client, args: Args, format: Format) -> Result<String, CliError> {
    // ipvsadm, given both, prints the totals.
    let columns = match args {
        Args { stats: true, .. } => Columns::Stats,
        Args { rate: true, .. } => Columns::Rate,
        Args { .. } => Columns::Connections,
    };
    format.render(&client.status().await?, |status| render(status, columns, args.exact))
}

/// The table, sorted as ipvsadm sorts: by protocol number, address and port. `exact` shows all digits of totals and
/// rates.
pub fn render(status: &Status, columns: Columns, exact: bool) -> String {
    let mut services: Vec<_> = status.services.iter().collect();
    services.sort_by_key(|service| (protocol_number(&service.protocol), service.address, service.port));
    let mut out = format!("{BANNER}\n{}\n", title(columns));
    for service in services {
        let mut reals: Vec<_> = service.reals.iter().collect();
        reals.sort_by_key(|real| (real.address, real.port));
        out += &service_line(service, columns, exact);
        for real in reals {
            out += &real_line(real, columns, exact);
        }
    }
    out
}

fn title(columns: Columns) -> &'static str {
    match columns {
        Columns::Connections => {
            "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn"
        }
        Columns::Stats => {
            "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n  -> RemoteAddress:Port"
        }
        Columns::Rate => {
            "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n  -> RemoteAddress:Port"
        }
    }
}

fn service_line(service: &ServiceStatus, columns: Columns, exact: bool) -> String {
    let ServiceStatus { address, port, scheduler, reals, .. } = service;
    let name = format!("{:<4} {}", service.protocol.to_uppercase(), endpoint(*address, *port));
    match columns {
        Columns::Connections => format!("{name} {scheduler}\n"),
        Columns::Stats => format!("{name:<33}{}\n", numbers::totals(reals, exact)),
        Columns::Rate => format!("{name:<33}{}\n", numbers::rates(reals, exact)),
    }
}

fn real_line(real: &RealStatus, columns: Columns, exact: bool) -> String {
    let name = endpoint(real.address, real.port);
    match columns {
        Columns::Connections => format!(
            "  -> {name:<28} {:<7} {:<6} {:<10} {:<10}\n",
            forward(&real.method),
            effective_weight(real),
            real.active_connections,
            real.inactive_connections,
        ),
        Columns::Stats => format!("  -> {name:<28}{}\n", numbers::totals([real], exact)),
        Columns::Rate => format!("  -> {name:<28}{}\n", numbers::rates([real], exact)),
    }
}

fn endpoint(address: Ipv4Addr, port: u16) -> String {
    format!("{address}:{port}")
}

fn protocol_number(name: &str) -> u8 {
    match name {
        "tcp" => lb_common::IPPROTO_TCP,
        "udp" => lb_common::IPPROTO_UDP,
        _ => u8::MAX,
    }
}

fn forward(method: &str) -> &str {
    match method {
        "nat" => lb_common::Method::Nat.ipvsadm_name(),
        "direct" => lb_common::Method::Direct.ipvsadm_name(),
        other => other,
    }
}

/// In IPVS a server that keeps its connections and takes no new ones is one of weight 0, whatever the cause.
fn effective_weight(real: &RealStatus) -> u32 {
    match real.state.as_str() {
        "down" | "drained" | "disabled" => 0,
        _ => real.weight,
    }
}
