//! What is known of the network around the router: links, next hops, own addresses. [`crate::netlink`] keeps it fresh.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use crate::config::Vip;

/// A picture of the network at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Links by name.
    pub links: BTreeMap<String, Link>,
    /// Resolved next hops of the targets that were asked for: real servers and the peer's addresses. A target without
    /// a route or without a neighbour is absent.
    pub next_hops: BTreeMap<Ipv4Addr, NextHop>,
    /// Every IPv4 address of this network namespace.
    pub locals: BTreeSet<Ipv4Addr>,
    /// The same with their prefix lengths and interfaces.
    pub addresses: BTreeSet<Vip>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Interface index.
    pub index: u32,
    /// MAC address; all zero where the link has none.
    pub mac: [u8; 6],
    /// Whether it is up with a carrier.
    pub up: bool,
}

/// How a packet to a target leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Interface index.
    pub ifindex: u32,
    /// MAC address of the neighbour: the target, or the gateway before it.
    pub mac: [u8; 6],
    /// Own MAC address on that interface.
    pub source_mac: [u8; 6],
}
