//! `lbd`, the daemon of an LVS router, and `lbctl`, its command line.
//!
//! Data flows one way: [`config`], [`health`], [`track`], [`ha`] and [`topology`] are inputs; [`plan`] turns all that is known
//! into the [`tables`] that the BPF maps should hold; [`reconcile`] writes the difference through [`datapath`].
//! [`director`] is the one task that owns that loop; [`api`] shows it and takes commands.

pub mod address;
pub mod announce;
pub mod api;
pub mod cli;
pub mod config;
pub mod conflict;
pub mod connections;
pub mod daemon;
pub mod datapath;
mod deadline;
pub mod director;
mod endpoint;
pub mod exec;
pub mod ha;
pub mod health;
pub mod last_hops;
pub mod mac;
#[cfg(test)]
mod namespace;
pub mod netlink;
pub mod notify;
pub mod ping;
pub mod plan;
pub mod reconcile;
pub mod schedule;
mod state_file;
pub mod sync;
pub mod tables;
pub mod topology;
pub mod track;
pub mod virtual_mac;
