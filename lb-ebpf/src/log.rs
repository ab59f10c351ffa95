//! Lines for developers, by aya-log. The loader sets the global `AYA_LOG_LEVEL`; at 0 the verifier removes every call.
//!
//! Each line has a function of its own that is not inlined: it has its own stack, and nothing of it weighs on the way
//! of a packet. A BPF function takes five numbers at most, so addresses and ports travel in pairs.

use aya_log_ebpf::{
    debug, info,
    macro_support::{Level, level_enabled},
    warn,
};
use lb_common::{FlowKey, Reason, Verdict};

use crate::outcome::Outcome;

/// A new connection and the index of its real server: level debug.
#[inline(always)]
pub(crate) fn connection(key: &FlowKey, real: u32) {
    if level_enabled(Level::Debug) {
        connection_line(addresses(key), ports(key), key.protocol, real);
    }
}

/// A packet whose way has ended: a line where it is dropped.
#[inline(always)]
pub(crate) fn outcome(key: &FlowKey, outcome: Outcome) {
    if let Err(reason) = outcome
        && reason.verdict() == Verdict::Drop
    {
        dropped(key, reason);
    }
}

/// A packet that is dropped: level info, and warn where the daemon or the size of a table is to blame.
#[inline(always)]
fn dropped(key: &FlowKey, reason: Reason) {
    if matches!(reason, Reason::BadTable | Reason::FlowTableFull) {
        if level_enabled(Level::Warn) {
            trouble_line(addresses(key), ports(key), key.protocol, reason as u32);
        }
    } else if level_enabled(Level::Info) {
        dropped_line(addresses(key), ports(key), key.protocol, reason as u32);
    }
}

#[inline(never)]
fn connection_line(addresses: u64, ports: u32, protocol: u8, real: u32) {
    let (source, destination, from, to) = apart(addresses, ports);
    debug!(
        (),
        "protocol {}: {:i}:{} connects to {:i}:{}, real server {}",
        protocol,
        source,
        from,
        destination,
        to,
        real
    );
}

#[inline(never)]
fn dropped_line(addresses: u64, ports: u32, protocol: u8, reason: u32) {
    let (source, destination, from, to) = apart(addresses, ports);
    info!(
        (),
        "protocol {}: {:i}:{} to {:i}:{} dropped, reason {}", protocol, source, from, destination, to, reason
    );
}

#[inline(never)]
fn trouble_line(addresses: u64, ports: u32, protocol: u8, reason: u32) {
    let (source, destination, from, to) = apart(addresses, ports);
    warn!(
        (),
        "protocol {}: {:i}:{} to {:i}:{} dropped, reason {}", protocol, source, from, destination, to, reason
    );
}

#[inline(always)]
fn addresses(key: &FlowKey) -> u64 {
    (u32::from_be_bytes(key.source) as u64) << 32 | u32::from_be_bytes(key.destination) as u64
}

#[inline(always)]
fn ports(key: &FlowKey) -> u32 {
    (key.source_port as u32) << 16 | key.destination_port as u32
}

#[inline(always)]
fn apart(addresses: u64, ports: u32) -> (u32, u32, u16, u16) {
    ((addresses >> 32) as u32, addresses as u32, (ports >> 16) as u16, ports as u16)
}
