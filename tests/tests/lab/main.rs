//! Tests through the laboratory: real packets, real servers, real daemons. They share two cores with each other's
//! timers, so they run one at a time: `cargo test -p lb-tests --test lab -- --test-threads=1`.

mod itself;
mod support;
