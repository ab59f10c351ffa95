//! Connections that are forwarded without an entry, because both their buckets were full.

/// Entries of the overflow map: neighbouring buckets share one.
pub const OVERFLOWS: usize = 4096;
