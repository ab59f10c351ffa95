//! Where numbers stand in the values of a map, as the map's own description says: fields are found by their names.
//!
//! A name stands for a meaning: a number that comes to mean something else, or to be packed differently, gets another name.

use super::btf::{Btf, Struct};

/// A number.
pub(super) struct Part {
    /// The name of a field that is this number alone.
    name: &'static str,
    /// Bits that it takes at least.
    bits: u32,
    /// Where else it may stand.
    word: Option<Word>,
}

/// A field in which several numbers are packed, and the first bit of the one that is meant.
struct Word {
    name: &'static str,
    bits: u32,
    shift: u32,
}

impl Part {
    /// A number of at least so many bits that has a field of its own.
    pub(super) const fn alone(name: &'static str, bits: u32) -> Self {
        Self { name, bits, word: None }
    }

    /// One that may stand in a field of exactly `bits` bits with others, from bit `shift` on.
    pub(super) const fn or_in(self, name: &'static str, bits: u32, shift: u32) -> Self {
        Self { word: Some(Word { name, bits, shift }), ..self }
    }
}

/// Bits of a structure that are a number, the first one counted from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    at: usize,
    count: u32,
}

impl Bits {
    /// The number, in a structure that has all of it.
    pub(super) fn read(self, structure: &[u8]) -> u64 {
        let mut window = [0; 16];
        let from = structure.get(self.at / 8..).unwrap_or_default();
        for (octet, found) in window.iter_mut().zip(from) {
            *octet = *found;
        }
        let above = (u128::from_le_bytes(window) >> (self.at % 8)) as u64;
        if self.count < u64::BITS { above & ((1 << self.count) - 1) } else { above }
    }
}

/// Octets in a row, an address, in a structure: where they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Octets<const N: usize>(usize);

impl<const N: usize> Octets<N> {
    /// The octets, in a structure that has all of them.
    pub(super) fn read(self, structure: &[u8]) -> [u8; N] {
        let found = structure.get(self.0..).and_then(|rest| rest.first_chunk());
        found.copied().unwrap_or([0; N])
    }
}

/// The fields of a structure, by their names.
pub(super) struct Fields<'a> {
    btf: &'a Btf<'a>,
    structure: &'a Struct,
    /// What the structures are, for people.
    of: &'static str,
}

impl<'a> Fields<'a> {
    /// Those of `structure`; `of` is what people call such structures.
    pub(super) const fn new(btf: &'a Btf<'a>, structure: &'a Struct, of: &'static str) -> Self {
        Self { btf, structure, of }
    }

    /// Where a number stands.
    ///
    /// # Errors
    /// When there is none, or it is no number of its width; in words for the operator.
    pub(super) fn required(&self, part: &Part) -> Result<Bits, String> {
        self.find(part)?.ok_or_else(|| match &part.word {
            Some(word) => format!(
                "its {} have no field `{}`, and no `{}` that it could be in",
                self.of, part.name, word.name
            ),
            None => self.missing(part.name),
        })
    }

    /// The same where there may be none.
    ///
    /// # Errors
    /// When it is no number of its width.
    pub(super) fn find(&self, part: &Part) -> Result<Option<Bits>, String> {
        if let Some(field) = self.field(part.name)? {
            return match field.count >= part.bits {
                true => Ok(Some(field)),
                false => Err(self.wrong_width(part.name, field.count, part.bits)),
            };
        }
        let Some(word) = &part.word else { return Ok(None) };
        let Some(field) = self.field(word.name)? else { return Ok(None) };
        if field.count != word.bits {
            return Err(self.wrong_width(word.name, field.count, word.bits));
        }
        Ok(Some(Bits { at: field.at + word.shift as usize, count: part.bits }))
    }

    /// Where so many octets stand.
    ///
    /// # Errors
    /// When there are none, or others.
    pub(super) fn octets<const N: usize>(&self, name: &str) -> Result<Octets<N>, String> {
        self.find_octets(name)?.ok_or_else(|| self.missing(name))
    }

    /// The same where there may be none.
    ///
    /// # Errors
    /// When there are others.
    pub(super) fn find_octets<const N: usize>(&self, name: &str) -> Result<Option<Octets<N>>, String> {
        let Some(member) = self.btf.member(self.structure, name) else { return Ok(None) };
        let array = self.btf.array(member.kind);
        let fits = array.is_some_and(|array| {
            array.count as usize == N && self.btf.number(array.element) == Some(u8::BITS)
        });
        let at = whole_bytes(member.at).filter(|at| fits && at + N <= self.structure.size as usize);
        let wrong = || format!("the field `{name}` of its {} is no array of {N} octets", self.of);
        at.map(|at| Some(Octets(at))).ok_or_else(wrong)
    }

    /// A field that is a number.
    fn field(&self, name: &str) -> Result<Option<Bits>, String> {
        let Some(member) = self.btf.member(self.structure, name) else { return Ok(None) };
        let of_type = self.btf.number(member.kind).filter(|bits| (1..=u64::BITS).contains(bits));
        let wrong = || format!("the field `{name}` of its {} is no unsigned number", self.of);
        let of_type = of_type.ok_or_else(wrong)?;
        let count = member.bits.unwrap_or(of_type);
        let field = Bits { at: member.at as usize, count: count.min(of_type) };
        if field.at + field.count as usize > self.structure.size as usize * 8 {
            return Err(format!("the field `{name}` of its {} stands outside of them", self.of));
        }
        Ok(Some(field))
    }

    fn missing(&self, name: &str) -> String {
        format!("its {} have no field `{name}`", self.of)
    }

    fn wrong_width(&self, name: &str, bits: u32, wanted: u32) -> String {
        format!("the field `{name}` of its {} has {bits} bits instead of {wanted}", self.of)
    }
}

/// A place in bits as one in bytes; `None` within a byte.
pub(super) fn whole_bytes(bits: u32) -> Option<usize> {
    bits.is_multiple_of(8).then_some(bits as usize / 8)
}
