//! Connections are copied to the peer: the active router tells the standby of every flow, so that a takeover after the
//! loss of a whole router keeps them.
//!
//! [`record`] is a flow in a form that means the same on both routers, [`wire`] the messages, [`secure`] the encrypted stream
//! that carries them. [`sender`], [`receiver`] and [`turns`] are the engines, without I/O or clock; [`driver`] moves bytes and time.
//!
//! `docs/sync.md` is the specification of what stands here.

pub mod driver;
pub mod receiver;
pub mod record;
pub mod secure;
pub mod segments;
pub mod sender;
pub mod turns;
pub mod wire;

#[cfg(test)]
mod tests;
