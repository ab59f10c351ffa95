//! Services and their real servers, in the order of the configuration: one table, so that columns stand in line over
//! all services, with a title line before the servers of each.

use std::{collections::BTreeSet, ops::RangeInclusive};

use comfy_table::{CellAlignment, Table, presets};

use crate::{
    api::types::{RealStatus, ServiceStatus},
    cli::text::{clean, scaled},
};

const HEADER: [&str; 10] =
    ["  Server", "Address", "State", "Weight", "Active", "Inact", "Conn/s", "In/s", "Out/s", "Last check"];

/// Columns that hold numbers.
const NUMBERS: RangeInclusive<usize> = 3..=8;

/// Columns with one blank after them; the others have two. A number seldom fills its column.
const NARROW: RangeInclusive<usize> = 3..=7;

/// The table; a line alone where there are no services.
pub(super) fn render(services: &[ServiceStatus]) -> String {
    if services.is_empty() {
        return "No services\n".to_owned();
    }
    let table = table(services);
    let mut lines = table.lines();
    let mut out = line(lines.next().unwrap_or_default());
    for service in services {
        out += &line(title(service));
        for text in lines.by_ref().take(service.reals.len()) {
            out += &line(text);
        }
    }
    out
}

fn line(text: String) -> String {
    format!("{}\n", text.trim_end())
}

fn table(services: &[ServiceStatus]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(HEADER);
    for service in services {
        let mixed = methods(service).len() > 1;
        table.add_rows(service.reals.iter().map(|real| row(real, mixed)));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if NARROW.contains(&index) { 1 } else { 2 }));
        if NUMBERS.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn title(service: &ServiceStatus) -> String {
    let ServiceStatus { name, protocol, address, port, scheduler, .. } = service;
    let methods = match methods(service).into_iter().collect::<Vec<_>>()[..] {
        [] => "no real servers",
        [one] => one,
        [_, ..] => "mixed",
    };
    clean(&format!("{name}: {protocol} {address}:{port} {scheduler} {methods}"))
}

fn methods(service: &ServiceStatus) -> BTreeSet<&str> {
    service.reals.iter().map(|real| real.method.as_str()).collect()
}

/// One line of the table: no cell may hold a line break. The forwarding method is shown where it differs within the
/// service.
fn row(real: &RealStatus, with_method: bool) -> [String; 10] {
    let address = match with_method {
        true => format!("{}:{} {}", real.address, real.port, real.method),
        false => format!("{}:{}", real.address, real.port),
    };
    let weight = match (real.weight, real.configured_weight) {
        (now, configured) if now == configured => now.to_string(),
        (now, configured) => format!("{now} ({configured})"),
    };
    // Without a next hop no packet gets there, whatever the check says.
    let detail = if real.reachable { &real.detail } else { "NO NEXT HOP" };
    [
        clean(&format!("  {}", real.name)),
        clean(&address),
        clean(&state(&real.state)),
        weight,
        real.active_connections.to_string(),
        real.inactive_connections.to_string(),
        scaled(real.rates.connections),
        // Rates fade out slowly, and nobody looks for half a byte.
        scaled(real.rates.in_bytes.round()) + "B",
        scaled(real.rates.out_bytes.round()) + "B",
        clean(detail),
    ]
}

/// A failed server is to be seen at once; the other states are somebody's wish.
fn state(state: &str) -> String {
    match state {
        "down" => state.to_uppercase(),
        other => other.to_owned(),
    }
}
