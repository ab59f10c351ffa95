//! Every fault once, under hundreds of connections. How long services are silent is printed and not judged: `cargo xtask
//! outage` does that, on a machine that has nothing else to do.

use std::time::Duration;

use lb_tests::{
    lab::background::Size,
    outage::{Timers, measure},
};

use crate::support::lab;

const SIZE: Size = Size { connections: 250, period: Duration::from_secs(2), downloads: 10 };

#[test]
fn no_fault_costs_an_established_connection_or_a_byte_of_a_download() {
    let Some(mut lab) = lab() else { return };
    // The end of every connection and every byte of every download is checked in there.
    let table = measure(&mut lab, Timers::FAST, SIZE, |_| {}).unwrap();
    println!("{table}");
    assert!(
        table.answers > u64::from(2 * SIZE.connections),
        "each has asked more than once: {}",
        table.answers
    );
    assert!(
        table.rows.iter().all(|row| row.requests.servers.len() == 6),
        "every server answers in every row"
    );
}
