//! Tables that describe themselves well, and badly.

use lb_common::flow_table::RawEntry;
use proptest::prelude::*;

use super::{
    super::btf::builder::Builder,
    sample::{BUCKET, ENTRY, FIELDS, FIRST, Field, Kind, WAYS, describe, entry},
    *,
};

proptest! {
    #[test]
    fn an_entry_of_another_layout_says_the_same(
        client: ([u8; 4], u16), real: u16, state in prop::sample::select(&ConnState::ALL),
        flags: (bool, bool, bool), seen in 0..=Stamp::MASK, generation: u16, hop in 0_u16..0x8000,
    ) {
        let (udp, confirmed, peers) = flags;
        let key = Key::new(Client::new(client.0, client.1), real);
        let protocol = if udp { IPPROTO_UDP } else { IPPROTO_TCP };
        let meta = Meta::new(protocol, state, Stamp::new(seen), generation.into(), hop).in_phase(Phase::Live);
        let meta = if confirmed { meta.used(state, Stamp::new(seen)) } else { meta };
        let meta = if peers { meta.of_peer() } else { meta };
        prop_assert_eq!(layout(&FIELDS).connection(&entry(key, meta)), Some((key, meta)));
        let raw = RawEntry::new(key, meta);
        prop_assert_eq!(present().connection(&octets(&raw)), Some((key, meta)));
    }

    #[test]
    fn a_description_that_is_broken_anywhere_breaks_nothing(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), size in 0..2 * BUCKET as u32,
    ) {
        let (mut bytes, bucket) = describe(&FIELDS);
        for (at, octet) in changes {
            *at.get_mut(&mut bytes) = octet;
        }
        for id in [bucket, bucket - 1] {
            if let Some(Ok(layout)) = Btf::parse(&bytes).map(|btf| Layout::of(&btf, id, size)) {
                let memory = vec![0xff; size as usize];
                let connections = layout.entries(&memory).filter_map(|entry| layout.connection(entry)).count();
                prop_assert!(connections <= layout.ways());
                prop_assert!(layout.entries(&memory).count() == layout.ways());
            }
        }
    }
}

#[test]
fn only_what_is_live_is_a_connection() {
    let (key, meta) = connection();
    for phase in [Phase::Free, Phase::Claimed, Phase::Pending] {
        assert_eq!(layout(&FIELDS).connection(&entry(key, meta.in_phase(phase))), None);
    }
    let mut of_no_slot = entry(key, meta);
    of_no_slot[18] = 1;
    assert_eq!(layout(&FIELDS).connection(&of_no_slot), None, "a real server beyond any that there are");
    let unknown_state = Meta::from_word(meta.word() | 0xf << Stamp::BITS);
    assert_eq!(layout(&FIELDS).connection(&entry(key, unknown_state)), None);
}

#[test]
fn entries_are_where_the_bucket_says() {
    let layout = layout(&FIELDS);
    let memory: Vec<u8> = (0..BUCKET as u32).map(|at| at as u8).collect();
    let starts: Vec<u8> = layout.entries(&memory).map(|entry| entry[0]).collect();
    let wanted: Vec<u8> = (0..WAYS).map(|way| (FIRST + way * ENTRY) as u8).collect();
    assert_eq!((starts, layout.ways()), (wanted, WAYS));
}

#[test]
fn numbers_may_have_fields_of_their_own() {
    let mut types = Builder::new();
    let [long, octet] = [8, 1].map(|bytes| types.number(bytes));
    let address = types.array(octet, 4);
    let state = types.enumeration(1);
    let fields = [
        (("seen", long, 0), 40),
        (("phase", long, 40), 2),
        (("udp", long, 42), 1),
        (("client_port", long, 43), 16),
        (("state", state, 64), 0),
        (("peers", octet, 72), 1),
        (("client_address", address, 80), 0),
        (("generation", long, 128), 16),
        (("real", long, 144), 16),
        (("last_hop_index", long, 160), 20),
    ];
    let entry = types.bits(24, &fields);
    let ways = types.array(entry, 1);
    let bucket = types.structure(24, &[("ways", ways, 0)]);
    let bytes = types.build();
    let layout = Layout::of(&Btf::parse(&bytes).unwrap(), bucket, 24).unwrap();
    let seen = 0xab_1234_5678_u64;
    let first = seen | 3 << 40 | 1 << 42 | 0xbeef << 43;
    let second = u64::from_le_bytes([ConnState::Udp as u8, 1, 203, 0, 113, 9, 0xff, 0xff]);
    let memory = [first, second, 7 | 12 << 16 | 0x7ffe << 32].map(u64::to_le_bytes).concat();
    let key = Key::new(Client::new([203, 0, 113, 9], 0xbeef), 12);
    let seen = Stamp::new(0x34_5678);
    let meta = Meta::new(IPPROTO_UDP, ConnState::Udp, seen, 7, 0x7ffe).in_phase(Phase::Live);
    // Confirmed is what says nothing of it.
    assert_eq!(layout.connection(&memory), Some((key, meta.used(ConnState::Udp, seen).of_peer())));
}

#[test]
fn what_may_be_missing_has_a_default() {
    let (key, meta) = connection();
    let layout = layout(&without("last_hop"));
    let unknown_hop = Meta::new(IPPROTO_TCP, meta.state(), meta.seen(), meta.generation().into(), 0);
    let read = layout.connection(&entry(key, meta.with_hop(9).of_peer()));
    assert_eq!(read, Some((key, unknown_hop.in_phase(Phase::Live))), "no last hop, and this router's");
    let forgotten =
        self::layout(&FIELDS).without_last_hops().connection(&entry(key, meta.with_hop(9).of_peer()));
    assert_eq!(forgotten, Some((key, unknown_hop.in_phase(Phase::Live).of_peer())));
}

#[test]
fn what_must_be_there_is_named() {
    for name in ["real", "client_port", "client_address", "generation"] {
        assert_eq!(refusal(&without(name)), format!("its entries have no field `{name}`"));
    }
    let packed = "its entries have no field `seen`, and no `seen_and_state` that it could be in";
    assert_eq!(refusal(&without("seen_and_state")), packed);
}

#[test]
fn a_field_of_another_kind_is_named() {
    for (name, kind, reason) in [
        ("real", Kind::Number(1), "the field `real` of its entries has 8 bits instead of 16"),
        ("real", Kind::Signed(4), "the field `real` of its entries is no unsigned number"),
        ("real", Kind::Octets(4), "the field `real` of its entries is no unsigned number"),
        ("real", Kind::Number(16), "the field `real` of its entries is no unsigned number"),
        ("generation", Kind::Number(8), "the field `generation` of its entries stands outside of them"),
        (
            "seen_and_state",
            Kind::Number(8),
            "the field `seen_and_state` of its entries has 64 bits instead of 32",
        ),
        ("last_hop", Kind::Number(1), "the field `last_hop` of its entries has 8 bits instead of 16"),
        (
            "client_address",
            Kind::Octets(16),
            "the field `client_address` of its entries is no array of 4 octets",
        ),
        (
            "client_address",
            Kind::Number(4),
            "the field `client_address` of its entries is no array of 4 octets",
        ),
    ] {
        let fields = FIELDS.map(|field| if field.0 == name { (name, kind, field.2) } else { field });
        assert_eq!(refusal(&fields), reason, "{kind:?}");
    }
    let enumeration = FIELDS.map(|field| match field.0 {
        "client_port" => ("client_port", Kind::Enumeration(2), field.2),
        _ => field,
    });
    assert_eq!(layout(&enumeration), layout(&FIELDS));
}

#[test]
fn a_bucket_that_is_none_is_refused() {
    let (bytes, bucket) = describe(&FIELDS);
    let btf = Btf::parse(&bytes).unwrap();
    let of = |id, size| Layout::of(&btf, id, size).unwrap_err();
    assert_eq!(of(bucket, BUCKET as u32 - 1), "`ways` does not fit into a bucket");
    assert_eq!(of(1, 4), "its buckets are no structures");
    let mut types = Builder::new();
    let word = types.number(4);
    let words = types.array(word, u32::MAX);
    let huge = types.structure(u32::MAX, &[("x", word, 0), ("y", word, u32::MAX)]);
    let many = types.array(huge, u32::MAX);
    let nothing = types.structure(0, &[]);
    let of_nothing = types.array(nothing, u32::MAX);
    let buckets = [many, words, word, of_nothing].map(|ways| types.structure(8, &[("ways", ways, 0)]));
    let bytes = types.build();
    let btf = Btf::parse(&bytes).unwrap();
    let reasons = buckets.map(|bucket| Layout::of(&btf, bucket, 8).unwrap_err());
    let no_room = "`ways` does not fit into a bucket";
    assert_eq!(reasons, [no_room, "`ways` has no structures", "its buckets have no array `ways`", no_room]);
}

fn connection() -> (Key, Meta) {
    let meta = Meta::new(IPPROTO_TCP, ConnState::Established, Stamp::new(77), 5, 0).in_phase(Phase::Live);
    (Key::new(Client::new([198, 51, 100, 1], 40_000), 3), meta)
}

fn without(name: &str) -> Vec<Field> {
    FIELDS.into_iter().filter(|field| field.0 != name).collect()
}

fn layout(fields: &[Field]) -> Layout {
    described(fields).unwrap()
}

fn refusal(fields: &[Field]) -> String {
    described(fields).unwrap_err()
}

fn described(fields: &[Field]) -> Result<Layout, String> {
    let (bytes, bucket) = describe(fields);
    Layout::of(&Btf::parse(&bytes).unwrap(), bucket, BUCKET as u32)
}

/// This version's own layout.
fn present() -> Layout {
    let fields = [
        ("real", Kind::Number(2), 0),
        ("client_port", Kind::Number(2), 2),
        ("client_address", Kind::Octets(4), 4),
        ("seen_and_state", Kind::Number(4), 8),
        ("generation", Kind::Number(2), 12),
        ("last_hop", Kind::Number(2), 14),
    ];
    layout(&fields)
}

fn octets(raw: &RawEntry) -> Vec<u8> {
    [raw.key().word(), raw.meta().word()].map(u64::to_le_bytes).concat()
}
