//! The API: HTTP with JSON on a Unix socket. `lbctl` speaks it and nothing else.
//!
//! [`types`] is what travels, [`server`] the daemon's side, [`client`] the other one.

pub mod client;
pub mod server;
pub mod types;
