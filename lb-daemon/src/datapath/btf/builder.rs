//! Makes BTF, for tests: types as the kernel would take them, and others.

use super::{ARRAY, CONST, ENUM, INT, MAGIC_AND_VERSION, STRUCT, TYPEDEF, UNION, VARIABLE, VOLATILE};

/// A field of a structure: name, number of its type, and its first bit.
pub(in crate::datapath) type Field<'a> = (&'a str, u32, u32);

/// Types are numbered from 1, in the order in which they are added.
pub(in crate::datapath) struct Builder {
    types: Vec<u32>,
    count: u32,
    names: Vec<u8>,
}

impl Builder {
    pub(in crate::datapath) fn new() -> Self {
        Self { types: Vec::new(), count: 0, names: vec![0] }
    }

    /// An unsigned number of so many bytes.
    pub(in crate::datapath) fn number(&mut self, bytes: u32) -> u32 {
        let name = self.name("number");
        self.add(&[name, INT << 24, bytes, bytes * 8])
    }

    pub(in crate::datapath) fn signed(&mut self, bytes: u32) -> u32 {
        let name = self.name("signed");
        self.add(&[name, INT << 24, bytes, (super::SIGNED << 24) | (bytes * 8)])
    }

    /// An enumeration with one value.
    pub(in crate::datapath) fn enumeration(&mut self, bytes: u32) -> u32 {
        let [name, value] = ["enumeration", "value"].map(|name| self.name(name));
        self.add(&[name, ENUM << 24 | 1, bytes, value, 0])
    }

    /// An array whose index is of the first type.
    pub(in crate::datapath) fn array(&mut self, element: u32, count: u32) -> u32 {
        self.add(&[0, ARRAY << 24, 0, element, 1, count])
    }

    pub(in crate::datapath) fn structure(&mut self, bytes: u32, fields: &[Field<'_>]) -> u32 {
        self.fields(STRUCT << 24, bytes, fields)
    }

    pub(in crate::datapath) fn union(&mut self, bytes: u32, fields: &[Field<'_>]) -> u32 {
        self.fields(UNION << 24, bytes, fields)
    }

    /// A structure whose fields have so many bits each.
    pub(in crate::datapath) fn bits(&mut self, bytes: u32, fields: &[(Field<'_>, u32)]) -> u32 {
        let with_bits = |&((name, kind, at), bits)| (name, kind, bits << 24 | at);
        let fields: Vec<Field<'_>> = fields.iter().map(with_bits).collect();
        self.fields(1 << 31 | STRUCT << 24, bytes, &fields)
    }

    /// The same type by other names: one after the other.
    pub(in crate::datapath) fn aliases(&mut self, kind: u32) -> u32 {
        let name = self.name("alias");
        let constant = self.add(&[0, CONST << 24, kind]);
        let volatile = self.add(&[0, VOLATILE << 24, constant]);
        self.add(&[name, TYPEDEF << 24, volatile])
    }

    /// A variable, which is no type of a value.
    pub(in crate::datapath) fn variable(&mut self, kind: u32) -> u32 {
        let name = self.name("variable");
        self.add(&[name, VARIABLE << 24, kind, 0])
    }

    /// The number that the next type gets.
    pub(in crate::datapath) fn next(&self) -> u32 {
        self.count + 1
    }

    pub(in crate::datapath) fn build(&self) -> Vec<u8> {
        let types_len = self.types.len() as u32 * 4;
        let header = [MAGIC_AND_VERSION, 24, 0, types_len, types_len, self.names.len() as u32];
        let words = header.iter().chain(&self.types);
        words.flat_map(|word| word.to_le_bytes()).chain(self.names.iter().copied()).collect()
    }

    fn fields(&mut self, info: u32, bytes: u32, fields: &[Field<'_>]) -> u32 {
        let mut words = vec![0, info | fields.len() as u32, bytes];
        for (name, kind, place) in fields {
            words.extend([self.name(name), *kind, *place]);
        }
        self.add(&words)
    }

    fn add(&mut self, words: &[u32]) -> u32 {
        self.types.extend(words);
        self.count += 1;
        self.count
    }

    fn name(&mut self, name: &str) -> u32 {
        let at = self.names.len() as u32;
        self.names.extend(name.bytes().chain([0]));
        at
    }
}
