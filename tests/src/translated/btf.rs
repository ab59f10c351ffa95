//! Names of functions in BTF (Documentation/bpf/btf.rst of Linux).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

// `BTF_KIND_*` of include/uapi/linux/btf.h.
const INT: u32 = 1;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const ENUM64: u32 = 19;

/// `struct btf_type`: name, kind and count, size or type.
const TYPE_BYTES: usize = 12;

/// The functions in the BTF, by the number of their type.
///
/// # Errors
/// When it is cut off, or holds a kind that was invented later.
pub(super) fn function_names(btf: &[u8]) -> Result<BTreeMap<u32, String>> {
    let header = |at| word(btf, at).map(|word| word as usize);
    let (length, types, types_length, strings) = (header(4)?, header(8)?, header(12)?, header(16)?);
    let mut at = length + types;
    let end = at + types_length;
    let mut names = BTreeMap::new();
    for id in 1.. {
        if at >= end {
            break;
        }
        let info = word(btf, at + 4)?;
        let (kind, count) = (info >> 24 & 0x1f, info as usize & 0xffff);
        if kind == FUNC {
            names.insert(id, string(btf, length + strings + word(btf, at)? as usize)?);
        }
        at += TYPE_BYTES + tail(kind, count)?;
    }
    Ok(names)
}

/// Bytes that follow the common part of a type.
fn tail(kind: u32, count: usize) -> Result<usize> {
    Ok(match kind {
        INT | VAR | DECL_TAG => 4,
        ARRAY => 12,
        STRUCT | UNION | DATASEC | ENUM64 => 12 * count,
        ENUM | FUNC_PROTO => 8 * count,
        // Pointers, forward declarations, names, qualifiers, functions, floats, tags of types.
        2 | 7..=12 | 16 | 18 => 0,
        _ => bail!("BTF: unknown kind {kind}"),
    })
}

fn word(btf: &[u8], at: usize) -> Result<u32> {
    let bytes = btf.get(at..).and_then(<[u8]>::first_chunk).context("BTF is cut off")?;
    Ok(u32::from_ne_bytes(*bytes))
}

fn string(btf: &[u8], at: usize) -> Result<String> {
    let bytes = btf.get(at..).and_then(|rest| rest.split(|byte| *byte == 0).next());
    Ok(String::from_utf8_lossy(bytes.context("BTF is cut off")?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_the_numbers_of_their_types() {
        let types = [
            [0, INT << 24, 4].as_slice(),
            &[32],
            &[0, FUNC_PROTO << 24 | 1, 1],
            &[0, 1],
            &[1, FUNC << 24, 2],
            &[0, STRUCT << 24 | 2, 8],
            &[0; 6],
            &[4, FUNC << 24, 2],
        ]
        .concat();
        let found = function_names(&btf(&types)).unwrap();
        assert_eq!(found, [(3, "lb".to_owned()), (5, "route".to_owned())].into());
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(function_names(&btf(&[0, 31 << 24, 0])).is_err());
        assert!(function_names(&btf(&[1, FUNC << 24, 2])[..30]).is_err());
        assert!(function_names(&[]).is_err());
    }

    fn btf(types: &[u32]) -> Vec<u8> {
        let strings = b"\0lb\0route\0";
        let length = types.len() as u32 * 4;
        let header = [0x1_eb9f, 24, 0, length, length, strings.len() as u32];
        let words = header.iter().chain(types).flat_map(|word| word.to_ne_bytes());
        words.chain(*strings).collect()
    }
}
