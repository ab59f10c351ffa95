//! The API: HTTP with JSON on a Unix socket. `lbctl` speaks it and nothing else.

pub mod client;
pub mod server;
pub mod types;
