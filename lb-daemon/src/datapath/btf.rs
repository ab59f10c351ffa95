//! BTF, the description of its types that a map brings along: as much of it as says where the numbers in a structure stand.
//! The format is that of `Documentation/bpf/btf.rst` in the kernel's tree. aya-obj reads it too, but shows nobody what it has read.

// `BTF_KIND_*` of include/uapi/linux/btf.h.
const INT: u32 = 1;
const POINTER: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FORWARD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNCTION: u32 = 12;
const FUNCTION_PROTOTYPE: u32 = 13;
const VARIABLE: u32 = 14;
const DATA_SECTION: u32 = 15;
const FLOAT: u32 = 16;
const DECLARATION_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// `BTF_MAGIC`, and version 1 behind it.
const MAGIC_AND_VERSION: u32 = 0x01_eb9f;
/// `BTF_INT_SIGNED`.
const SIGNED: u32 = 1;
/// Names for one type that are followed (`MAX_RESOLVE_DEPTH` in kernel/bpf/btf.c): a circle of them ends there.
const MAX_DEPTH: usize = 32;

/// Types by their number, and the text that their names stand in.
#[derive(Debug)]
pub(super) struct Btf<'a> {
    /// Number 0 is `void`.
    types: Vec<Type>,
    names: &'a [u8],
}

/// A type, in the words of whoever looks for numbers.
#[derive(Debug)]
enum Type {
    /// An unsigned integer or an enumeration of so many bits.
    Number(u32),
    Array(Array),
    Struct(Struct),
    /// Another name for a type, or the same with a qualifier.
    Alias(u32),
    Other,
}

/// An array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Array {
    /// Type of its elements.
    pub(super) element: u32,
    /// How many there are.
    pub(super) count: u32,
}

/// A structure.
#[derive(Debug)]
pub(super) struct Struct {
    /// Its bytes.
    pub(super) size: u32,
    members: Vec<Member>,
}

/// A field of a structure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    name: u32,
    /// Type of the whole field.
    pub(super) kind: u32,
    /// Where it begins, in bits from the beginning of the structure.
    pub(super) at: u32,
    /// Its bits, where those of its type are not all its own.
    pub(super) bits: Option<u32>,
}

impl<'a> Btf<'a> {
    /// The types in `data`; `None` where it is malformed, or of another byte order. Takes no more memory than a few times `data`.
    pub(super) fn parse(data: &'a [u8]) -> Option<Self> {
        let [magic, header, types_at, types_len, names_at, names_len] = words(&mut &*data)?;
        if magic & 0xff_ffff != MAGIC_AND_VERSION {
            return None;
        }
        let body = data.get(header as usize..)?;
        let part = |at: u32, len: u32| body.get(at as usize..)?.get(..len as usize);
        let (mut rest, names) = (part(types_at, types_len)?, part(names_at, names_len)?);
        let mut types = vec![Type::Other];
        while !rest.is_empty() {
            types.push(next_type(&mut rest)?);
        }
        Some(Self { types, names })
    }

    /// The structure with number `id`, whatever name it goes by.
    pub(super) fn structure(&self, id: u32) -> Option<&Struct> {
        match self.resolve(id)? {
            Type::Struct(structure) => Some(structure),
            Type::Number(_) | Type::Array(_) | Type::Alias(_) | Type::Other => None,
        }
    }

    /// The array with number `id`.
    pub(super) fn array(&self, id: u32) -> Option<Array> {
        match self.unwrapped(id)? {
            Type::Array(array) => Some(*array),
            Type::Number(_) | Type::Struct(_) | Type::Alias(_) | Type::Other => None,
        }
    }

    /// Bits of the unsigned number with number `id`, which may be an enumeration.
    pub(super) fn number(&self, id: u32) -> Option<u32> {
        match self.unwrapped(id)? {
            Type::Number(bits) => Some(*bits),
            Type::Array(_) | Type::Struct(_) | Type::Alias(_) | Type::Other => None,
        }
    }

    /// The field `name` of a structure.
    pub(super) fn member<'s>(&self, structure: &'s Struct, name: &str) -> Option<&'s Member> {
        structure.members.iter().find(|member| self.is_called(member.name, name))
    }

    fn is_called(&self, at: u32, name: &str) -> bool {
        let rest = self.names.get(at as usize..).and_then(|text| text.strip_prefix(name.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }

    /// The type itself, behind all its names.
    fn resolve(&self, mut id: u32) -> Option<&Type> {
        for _ in 0..MAX_DEPTH {
            match self.types.get(id as usize)? {
                Type::Alias(other) => id = *other,
                found => return Some(found),
            }
        }
        None
    }

    /// The same, and what is alone in a structure is taken out of it: Rust wraps a number so to give it a meaning.
    fn unwrapped(&self, mut id: u32) -> Option<&Type> {
        for _ in 0..MAX_DEPTH {
            let found = self.resolve(id)?;
            match found {
                Type::Struct(wrapper) => match wrapper.members.as_slice() {
                    [Member { kind, at: 0, bits: None, .. }] => id = *kind,
                    _ => return Some(found),
                },
                Type::Number(_) | Type::Array(_) | Type::Alias(_) | Type::Other => return Some(found),
            }
        }
        None
    }
}

/// Takes the next type; `None` where it is cut off, or of a kind that this version does not know.
fn next_type(from: &mut &[u8]) -> Option<Type> {
    let [_, info, size] = words(from)?;
    let (kind, flag, count) = (info >> 24 & 0x1f, info >> 31 != 0, info as usize & 0xffff);
    Some(match kind {
        INT => {
            let [encoding] = words(from)?;
            let (signed, shift, bits) =
                (encoding >> 24 & SIGNED != 0, encoding >> 16 & 0xff, encoding & 0xff);
            if signed || shift != 0 { Type::Other } else { Type::Number(bits) }
        }
        ARRAY => {
            let [element, _, count] = words(from)?;
            Type::Array(Array { element, count })
        }
        STRUCT => {
            let members = (0..count).map(|_| next_member(from, flag)).collect::<Option<_>>()?;
            Type::Struct(Struct { size, members })
        }
        ENUM => after(from, count, 2, Type::Number(size.checked_mul(8)?))?,
        ENUM64 => after(from, count, 3, Type::Number(size.checked_mul(8)?))?,
        TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => Type::Alias(size),
        POINTER | FORWARD | FUNCTION | FLOAT => Type::Other,
        VARIABLE | DECLARATION_TAG => after(from, 1, 1, Type::Other)?,
        FUNCTION_PROTOTYPE => after(from, count, 2, Type::Other)?,
        UNION | DATA_SECTION => after(from, count, 3, Type::Other)?,
        _ => return None,
    })
}

/// Takes the next field of a structure that has fields of single bits, or none.
fn next_member(from: &mut &[u8], with_bits: bool) -> Option<Member> {
    let [name, kind, place] = words(from)?;
    let (at, bits) = if with_bits { (place & 0xff_ffff, place >> 24) } else { (place, 0) };
    Some(Member { name, kind, at, bits: (bits != 0).then_some(bits) })
}

/// A type behind which `count` pieces of `size` words each say what is of no interest.
fn after(from: &mut &[u8], count: usize, size: usize, found: Type) -> Option<Type> {
    *from = from.get(count * size * 4..)?;
    Some(found)
}

/// Takes the next `N` little-endian words.
fn words<const N: usize>(from: &mut &[u8]) -> Option<[u32; N]> {
    let (taken, rest) = from.split_at_checked(N * 4)?;
    *from = rest;
    let mut words = [0; N];
    for (word, octets) in words.iter_mut().zip(taken.as_chunks().0) {
        *word = u32::from_le_bytes(*octets);
    }
    Some(words)
}

#[cfg(test)]
pub(super) mod builder;

#[cfg(test)]
mod tests;
