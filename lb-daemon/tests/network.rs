//! The daemon's view of the network, its addresses and its announcements, on real interfaces: veth pairs in network
//! namespaces that live as long as a test. Needs root and `ip` (iproute2); says so and skips without root.
#![expect(clippy::unwrap_used, reason = "a panic is the report of a test, in its helpers too")]

#[path = "network/addresses.rs"]
mod addresses;
#[path = "network/announcements.rs"]
mod announcements;
#[path = "network/conflicts.rs"]
mod conflicts;
#[path = "network/lab.rs"]
mod lab;
#[path = "network/next_hops.rs"]
mod next_hops;
#[path = "network/virtual_macs.rs"]
mod virtual_macs;
