//! Tests through the laboratory: real packets, real servers, real daemons. They share few cores with each other's
//! timers, so they run one at a time: `cargo test -p lb-tests --test lab -- --test-threads=1`.

mod direct;
mod health;
mod itself;
mod nat_tcp;
mod reload;
mod restart;
mod support;
mod takeover;
mod udp;
