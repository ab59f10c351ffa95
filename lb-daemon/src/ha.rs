//! The pair: heartbeats and roles. [`engine`] decides without I/O or clock, [`heartbeat`] is the wire format,
//! [`guard`] tells the peer's own heartbeats from recorded ones, [`driver`] moves datagrams and time.
//!
//! `docs/ha-protocol.md` is the specification of what stands here.

pub mod driver;
pub mod engine;
pub mod guard;
pub mod heartbeat;
pub mod role;

#[cfg(test)]
mod simulation;

pub use role::Role;
