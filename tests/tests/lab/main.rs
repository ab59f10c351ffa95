//! Tests through the laboratory: real packets, real servers, real daemons. They share few cores with each other's
//! timers, so they run one at a time: `cargo test -p lb-tests --test lab -- --test-threads=1`.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod conflicts;
mod direct;
mod exit_codes;
mod fence;
mod fitness;
mod groups;
mod health;
mod hostile_api;
mod hostile_heartbeats;
mod hostile_packets;
mod ipv6_paths;
mod itself;
mod maintenance;
mod many_connections;
mod nat_tcp;
mod outage;
mod power_off;
mod refusals;
mod reload;
mod restart;
mod support;
mod syn_flood;
mod takeover;
mod udp;
mod virtual_mac;
