//! BTF as the kernel has it, and as it would not.

use proptest::prelude::*;

use super::{builder::Builder, *};

#[test]
fn the_fields_of_a_structure_are_found_by_their_names() {
    let mut types = Builder::new();
    let [short, long] = [2, 8].map(|bytes| types.number(bytes));
    let octet = types.number(1);
    let address = types.array(octet, 4);
    let id = types.structure(16, &[("port", short, 0), ("address", address, 16), ("porter", long, 64)]);
    let bytes = types.build();
    let btf = Btf::parse(&bytes).unwrap();
    let structure = btf.structure(id).unwrap();
    assert_eq!(structure.size, 16);
    let place = |name| btf.member(structure, name).map(|member| (member.at, btf.number(member.kind)));
    assert_eq!(place("port"), Some((0, Some(16))));
    assert_eq!(place("porter"), Some((64, Some(64))));
    assert_eq!(place("address"), Some((16, None)));
    assert_eq!((place("por"), place("")), (None, None));
    assert_eq!(btf.array(address), Some(Array { element: octet, count: 4 }));
}

#[test]
fn numbers_go_by_other_names_and_in_wrappers() {
    let mut types = Builder::new();
    let number = types.number(4);
    let alias = types.aliases(number);
    let wrapper = types.structure(4, &[("__0", alias, 0)]);
    let wrapped_twice = types.structure(4, &[("__0", wrapper, 0)]);
    let pair = types.structure(8, &[("__0", number, 0), ("__1", number, 32)]);
    let enumeration = types.enumeration(1);
    let others = [types.signed(4), types.union(4, &[("a", number, 0)]), types.variable(number), pair, 0, 99];
    let bytes = types.build();
    let btf = Btf::parse(&bytes).unwrap();
    for id in [number, alias, wrapper, wrapped_twice] {
        assert_eq!(btf.number(id), Some(32), "{id}");
    }
    assert_eq!(btf.number(enumeration), Some(8));
    for id in others {
        assert_eq!((btf.number(id), btf.array(id)), (None, None), "{id}");
    }
    assert!(btf.structure(wrapper).is_some() && btf.structure(alias).is_none());
}

#[test]
fn fields_of_single_bits_have_their_own_width() {
    let mut types = Builder::new();
    let word = types.number(4);
    let id = types.bits(4, &[(("low", word, 0), 24), (("high", word, 24), 8)]);
    let bytes = types.build();
    let btf = Btf::parse(&bytes).unwrap();
    let structure = btf.structure(id).unwrap();
    let place = |name| btf.member(structure, name).map(|member| (member.at, member.bits));
    assert_eq!((place("low"), place("high")), (Some((0, Some(24))), Some((24, Some(8)))));
}

#[test]
fn circles_end() {
    let mut types = Builder::new();
    let constant = types.next();
    // Three types: `const` of `volatile` of `typedef`'s name, which is the `typedef` itself.
    let typedef = types.aliases(constant + 2);
    let wrapper = types.structure(4, &[("__0", types.next(), 0)]);
    let array = types.array(types.next(), 2);
    let bytes = types.build();
    let btf = Btf::parse(&bytes).unwrap();
    for id in [typedef, constant, wrapper] {
        assert_eq!((btf.number(id), btf.array(id)), (None, None), "{id}");
    }
    assert_eq!(btf.array(array), Some(Array { element: array, count: 2 }));
}

#[test]
fn what_is_cut_off_or_of_another_kind_is_malformed() {
    let mut types = Builder::new();
    let number = types.number(4);
    types.structure(4, &[("number", number, 0)]);
    let whole = types.build();
    assert!(Btf::parse(&whole).is_some());
    for len in 0..whole.len() {
        assert!(Btf::parse(&whole[..len]).is_none(), "{len}");
    }
    for (at, octet) in [(0, 0xeb), (2, 2), (4, 0xff), (11, 0xff), (31, 31)] {
        let mut bytes = whole.clone();
        bytes[at] = octet;
        assert!(Btf::parse(&bytes).is_none(), "{at}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_types_or_none(bytes: Vec<u8>, types in prop::collection::vec(any::<u32>(), 0..64)) {
        let _ = Btf::parse(&bytes);
        let types: Vec<u8> = types.into_iter().flat_map(u32::to_le_bytes).collect();
        let len = types.len() as u32;
        let header = [MAGIC_AND_VERSION, 24, 0, len, 0, len].map(u32::to_le_bytes).concat();
        let bytes = [header, types].concat();
        if let Some(btf) = Btf::parse(&bytes) {
            for id in 0..=btf.types.len() as u32 {
                let _ = (btf.number(id), btf.array(id));
                let _ = btf.structure(id).map(|structure| btf.member(structure, "name").is_some());
            }
        }
    }
}
