//! Layouts of other versions, for tests.

use lb_common::flow_table::{Key, Meta};

use super::super::btf::builder::Builder;

/// What a field of an entry is.
#[derive(Clone, Copy, Debug)]
pub(in crate::datapath) enum Kind {
    /// An unsigned number of so many bytes.
    Number(u32),
    /// A signed one.
    Signed(u32),
    /// An enumeration.
    Enumeration(u32),
    /// An array of so many octets.
    Octets(u32),
    /// A number in a structure of its own.
    Wrapped(u32),
}

/// A field: its name, what it is, and its first byte.
pub(in crate::datapath) type Field = (&'static str, Kind, u32);

/// Number of the type of a table's keys.
pub(in crate::datapath) const KEY: u32 = 1;
/// Bytes of an entry of the [sample](FIELDS).
pub(in crate::datapath) const ENTRY: usize = 24;
/// Bytes before the first entry of a bucket.
pub(in crate::datapath) const FIRST: usize = 8;
/// Entries of a bucket.
pub(in crate::datapath) const WAYS: usize = 10;
/// Bytes of a bucket.
pub(in crate::datapath) const BUCKET: usize = FIRST + WAYS * ENTRY;

/// An entry that is larger than this version's, has the same fields in another order, two of them wider, and one more.
pub(in crate::datapath) const FIELDS: [Field; 7] = [
    ("seen_and_state", Kind::Number(4), 0),
    ("color", Kind::Number(4), 4),
    ("client_address", Kind::Octets(4), 8),
    ("last_hop", Kind::Number(2), 12),
    ("client_port", Kind::Number(2), 14),
    ("real", Kind::Number(4), 16),
    ("generation", Kind::Wrapped(4), 20),
];

/// BTF of a flow table whose entries have these fields, and the number of its buckets' type. That of its keys is [`KEY`].
pub(in crate::datapath) fn describe(fields: &[Field]) -> (Vec<u8>, u32) {
    let mut types = Builder::new();
    let word = types.number(4);
    let entry = structure(&mut types, ENTRY, fields);
    let ways = types.array(entry, WAYS as u32);
    let note = types.array(word, 2);
    let bucket = types.structure(BUCKET as u32, &[("note", note, 0), ("ways", ways, FIRST as u32 * 8)]);
    (types.build(), bucket)
}

/// BTF of an array of structures that have these fields in so many bytes, and the number of their type. That of its keys is [`KEY`].
pub(in crate::datapath) fn describe_values(bytes: usize, fields: &[Field]) -> (Vec<u8>, u32) {
    let mut types = Builder::new();
    types.number(4);
    let value = structure(&mut types, bytes, fields);
    (types.build(), value)
}

fn structure(types: &mut Builder, bytes: usize, fields: &[Field]) -> u32 {
    let octet = types.number(1);
    let mut kind = |kind| match kind {
        Kind::Number(bytes) => types.number(bytes),
        Kind::Signed(bytes) => types.signed(bytes),
        Kind::Enumeration(bytes) => types.enumeration(bytes),
        Kind::Octets(count) => types.array(octet, count),
        Kind::Wrapped(bytes) => {
            let number = types.number(bytes);
            types.structure(bytes, &[("__0", number, 0)])
        }
    };
    let fields: Vec<(&str, u32, u32)> =
        fields.iter().map(|(name, of, at)| (*name, kind(*of), at * 8)).collect();
    types.structure(bytes as u32, &fields)
}

/// An entry of the [sample](FIELDS).
pub(in crate::datapath) fn entry(key: Key, meta: Meta) -> [u8; ENTRY] {
    let mut entry = [0xee; ENTRY];
    let mut put = |at: usize, bytes: &[u8]| entry[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(meta.word() as u32).to_le_bytes());
    put(8, &key.client().address());
    put(12, &((meta.word() >> 48) as u16).to_le_bytes());
    put(14, &key.client().port().to_le_bytes());
    put(16, &u32::from(key.real()).to_le_bytes());
    put(20, &(0x0007_0000 | u32::from(meta.generation())).to_le_bytes());
    entry
}
