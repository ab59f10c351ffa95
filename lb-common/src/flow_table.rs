//! The flow table: every connection that the router remembers, in buckets of an array.
//!
//! An entry is sixteen bytes: a [`Key`] that says whose connection it is, and a [`Meta`] that says everything that
//! changes. An entry may stand in either of two [`Bucket`]s of eight, chosen by a keyed hash of the **client's** address,
//! port and protocol. Both directions of a connection know the client, so that one entry serves both, and whatever
//! could conflict with a connection stands in the same two buckets.
//!
//! XDP programs on several processors and the daemon change the table at once, without a lock. The rules are in
//! [`insert`]; they are written once, over the trait [`Bucket`], for the program, for the daemon, which maps the array,
//! and for the tests: `tests/flow_table_model` walks every order of accesses in small worlds of two or three processors,
//! `tests/flow_table_stress.rs` runs them on threads.
//!
//! A table of wider entries for IPv6 would be a sibling with another `Key`: `Meta` and the rules know no addresses.

mod access;
mod changes;
mod entry;
mod find;
mod insert;
mod place;
mod stamp;

#[cfg(not(target_arch = "bpf"))]
mod memory;

pub use access::{Bucket, RawBucket, RawEntry, WAYS};
#[cfg(not(target_arch = "bpf"))]
pub use changes::SharedMarks;
pub use changes::{ChangeMarks, MARKS, mark_count};
pub use entry::{Client, Key, Meta, Phase};
pub use find::{Found, find, has_client};
pub use insert::{Refusal, Standing, insert, worst};
#[cfg(not(target_arch = "bpf"))]
pub use memory::Shared;
pub use place::{HashKey, Places, bucket_capacity, bucket_count};
pub use stamp::{Rank, STAMP_SHIFT, Stamp, Timeouts, rank, units_of};
