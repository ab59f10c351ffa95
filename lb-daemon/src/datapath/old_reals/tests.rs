//! Real servers in another order of their fields.

use super::{
    super::{
        carry::tests::real,
        layout::sample::{Field, Kind, describe_values},
    },
    *,
};

/// Bytes of a slot of another layout.
pub(in crate::datapath) const SLOT: usize = 40;

/// Its fields: those that a slot must have in another order, with one that is not known here, and one wider.
pub(in crate::datapath) const REAL_FIELDS: [Field; 9] = [
    ("generation", Kind::Number(8), 0),
    ("color", Kind::Octets(2), 8),
    ("protocol", Kind::Number(1), 11),
    ("virtual_address", Kind::Octets(4), 12),
    ("address", Kind::Octets(4), 16),
    ("virtual_port", Kind::Number(2), 20),
    ("port", Kind::Number(2), 22),
    ("state", Kind::Enumeration(1), 24),
    ("method", Kind::Number(1), 25),
];

#[test]
fn the_way_to_a_real_server_may_be_missing() {
    let layout = layout(&REAL_FIELDS).unwrap();
    let known = Real { mac: [7; 6], source_mac: [8; 6], ifindex: 9, weight: 10, service: 11, ..real(2) };
    assert_eq!(layout.real(&slot(&known)), Some(real(2)));
}

#[test]
fn every_part_that_is_there_is_read() {
    let more = [("mac", Kind::Octets(6), 28), ("ifindex", Kind::Number(4), 36)];
    let layout = layout(&[REAL_FIELDS.as_slice(), &more].concat()).unwrap();
    let known = Real { mac: [1, 2, 3, 4, 5, 6], ifindex: 0x0a0b_0c0d, ..real(2) };
    let mut memory = slot(&known);
    memory[28..34].copy_from_slice(&known.mac);
    memory[36..40].copy_from_slice(&known.ifindex.to_le_bytes());
    assert_eq!(layout.real(&memory), Some(known));
}

#[test]
fn a_slot_that_this_version_could_not_have_is_left_out() {
    let layout = layout(&REAL_FIELDS).unwrap();
    assert_eq!(layout.real(&[0; SLOT]), None, "never used");
    for (at, octet) in [(4, 1), (24, 9), (25, 9)] {
        let mut memory = slot(&real(1));
        memory[at] = octet;
        assert_eq!(layout.real(&memory), None, "{at}");
    }
}

#[test]
fn what_must_be_there_is_named() {
    let narrow = [REAL_FIELDS.as_slice(), &[("service", Kind::Number(1), 26)]].concat();
    assert_eq!(refusal(&narrow), "the field `service` of its real servers has 8 bits instead of 32");
    for (name, ..) in REAL_FIELDS.iter().filter(|field| field.0 != "color") {
        let fields: Vec<Field> = REAL_FIELDS.into_iter().filter(|field| field.0 != *name).collect();
        assert_eq!(refusal(&fields), format!("its real servers have no field `{name}`"));
    }
}

fn layout(fields: &[Field]) -> Result<Layout, String> {
    let (bytes, kind) = describe_values(SLOT, fields);
    Layout::of(&Btf::parse(&bytes).unwrap(), kind)
}

fn refusal(fields: &[Field]) -> String {
    layout(fields).err().expect("no layout")
}

/// A slot with these [fields](REAL_FIELDS).
pub(in crate::datapath) fn slot(real: &Real) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    let mut put = |at: usize, bytes: &[u8]| slot[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &u64::from(real.generation).to_le_bytes());
    put(8, &[0xee; 3]);
    put(11, &[real.protocol]);
    put(12, &real.virtual_address);
    put(16, &real.address);
    put(20, &real.virtual_port.to_le_bytes());
    put(22, &real.port.to_le_bytes());
    put(24, &[real.state, real.method]);
    slot
}
