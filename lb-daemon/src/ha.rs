//! The pair: heartbeats and roles. [`engine`] decides without I/O or clock, [`heartbeat`] is the wire format,
//! [`driver`] moves datagrams and time.

pub mod driver;
pub mod engine;
pub mod heartbeat;
