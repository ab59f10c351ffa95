//! Heartbeats as bytes. All integers are big-endian.
//!
//! ```text
//!  0      4        5     6      7         8      9         10           18        26           34          42
//!  +------+--------+-----+------+---------+------+---------+------------+---------+------------+-----------+
//!  | LBHB | version| role| flags| priority| cause| name len| incarnation| sequence| config hash| echo of   …
//!  +------+--------+-----+------+---------+------+---------+------------+---------+------------+-----------+
//!  42              50               50 + name len                    51 + name len + 4 k        end - 32
//!  … incarnation,  | sequence       | name (UTF-8)     | k| k key fingerprints | later additions | HMAC-SHA-256
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{
    Echo, Heartbeat, Ignored, MAX_NAME, Position, addition,
    keyring::{Fingerprint, Keyring, TAG},
};
use crate::{
    config::Keys,
    ha::{Role, engine::Forced},
};

/// First bytes of every heartbeat: "LBHB".
const MAGIC: u32 = u32::from_be_bytes(*b"LBHB");
/// Version of the layout. What is added behind the fingerprints does not change it: others skip what they do not know.
const VERSION: u8 = 1;
/// Bytes before the name.
const FIXED: usize = 50;
/// Offset of the name's length.
const NAME_LEN_AT: usize = 9;
/// Longest heartbeat of this layout with all additions to come, in bytes.
pub const MAX_LEN: usize = 256;

/// [`Heartbeat::wants_role`].
const WANTS_ROLE: u8 = 1;
/// [`Heartbeat::resumes`].
const RESUMES: u8 = 1 << 1;
/// [`Heartbeat::fault`].
const FAULT: u8 = 1 << 2;
/// [`Heartbeat::weak`].
const WEAK: u8 = 1 << 3;
/// [`Heartbeat::forced`]: standby.
const FORCED_STANDBY: u8 = 1 << 4;
/// [`Heartbeat::forced`]: active. Both would be nonsense, and count as standby.
const FORCED_ACTIVE: u8 = 1 << 5;

/// Encodes and decodes with the keys of a pair.
#[derive(Clone, Debug)]
pub struct Codec {
    keys: Keyring,
}

/// What a heartbeat says of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerKeys {
    /// What its sender signs with.
    pub signs: Fingerprint,
    /// What its sender accepts.
    pub accepts: Vec<Fingerprint>,
}

impl Codec {
    /// A codec that signs with the first of `keys`, and accepts all of them.
    #[must_use]
    pub fn new(keys: &Keys) -> Self {
        Self { keys: Keyring::new(keys) }
    }

    /// The key that this codec signs with.
    #[must_use]
    pub const fn signs(&self) -> Fingerprint {
        self.keys.signs()
    }

    /// The datagram that carries `heartbeat`.
    #[must_use]
    pub fn encode(&self, heartbeat: &Heartbeat) -> Bytes {
        let name = cut(&heartbeat.name);
        let echo = heartbeat.echo.unwrap_or(Echo { incarnation: 0, sequence: 0 });
        let mut out = BytesMut::with_capacity(MAX_LEN);
        out.put_u32(MAGIC);
        out.put_u8(VERSION);
        out.put_u8(heartbeat.role as u8);
        out.put_u8(flags(heartbeat));
        out.put_u8(heartbeat.priority);
        out.put_u8(heartbeat.cause);
        out.put_u8(u8::try_from(name.len()).unwrap_or(0));
        out.put_u64(heartbeat.incarnation);
        out.put_u64(heartbeat.sequence);
        out.put_u64(heartbeat.config_hash);
        out.put_u64(echo.incarnation);
        out.put_u64(echo.sequence);
        out.put_slice(name.as_bytes());
        let accepts = self.keys.accepts();
        out.put_u8(u8::try_from(accepts.len()).unwrap_or(0));
        accepts.iter().for_each(|key| out.put_u32(key.0));
        addition::put(&mut out, addition::GROUP, cut(&heartbeat.group).as_bytes());
        if let Some(position) = heartbeat.position {
            addition::put(&mut out, addition::POSITION, &position.to_bytes());
        }
        let tag = self.keys.sign(&out);
        out.put_slice(&tag);
        out.freeze()
    }

    /// The heartbeat in `datagram`, and what it says of the keys. Nothing of a datagram with a wrong tag is looked at but
    /// its shape.
    ///
    /// # Errors
    ///
    /// [`Ignored::Truncated`], [`Ignored::Version`] or [`Ignored::WrongKey`].
    pub fn open(&self, datagram: &[u8]) -> Result<(Heartbeat, PeerKeys), Ignored> {
        let body = shape(datagram)?;
        let (_, tag) = datagram.split_at_checked(body.len()).ok_or(Ignored::Truncated)?;
        let signs = self.keys.verify(body, tag).ok_or(Ignored::WrongKey)?;
        let (mut heartbeat, mut rest) = read(body)?;
        let accepts = fingerprints(&mut rest)?;
        if let Some(group) = addition::find(rest, addition::GROUP) {
            heartbeat.group = String::from_utf8_lossy(group).into_owned();
            // What stands for octets that are no UTF-8 is longer than they are.
            heartbeat.group.truncate(heartbeat.group.floor_char_boundary(MAX_NAME));
        }
        heartbeat.position = addition::find(rest, addition::POSITION).and_then(Position::from_bytes);
        Ok((heartbeat, PeerKeys { signs, accepts }))
    }

    /// The heartbeat in `datagram` alone.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn decode(&self, datagram: &[u8]) -> Result<Heartbeat, Ignored> {
        self.open(datagram).map(|(heartbeat, _)| heartbeat)
    }
}

/// What the tag of `datagram` must cover.
fn shape(datagram: &[u8]) -> Result<&[u8], Ignored> {
    let mut rest = datagram;
    if rest.try_get_u32().map_err(|_| Ignored::Truncated)? != MAGIC {
        return Err(Ignored::Truncated);
    }
    if rest.try_get_u8().map_err(|_| Ignored::Truncated)? != VERSION {
        return Err(Ignored::Version);
    }
    let (body, _) = datagram.split_last_chunk::<TAG>().ok_or(Ignored::Truncated)?;
    let name_len = body.get(NAME_LEN_AT).copied().map(usize::from).ok_or(Ignored::Truncated)?;
    // The number of fingerprints follows the name.
    if datagram.len() > MAX_LEN || name_len > MAX_NAME || body.len() <= FIXED + name_len {
        return Err(Ignored::Truncated);
    }
    Ok(body)
}

/// The fields of an authentic body, and what follows the name.
fn read(body: &[u8]) -> Result<(Heartbeat, &[u8]), Ignored> {
    let (mut fixed, rest) = body.split_at_checked(FIXED).ok_or(Ignored::Truncated)?;
    fixed.advance(size_of_val(&MAGIC) + size_of_val(&VERSION));
    // A role that this version does not know is the word of a later one.
    let role = Role::from_u8(fixed.get_u8()).ok_or(Ignored::Version)?;
    let flags = fixed.get_u8();
    let (priority, cause, name_len) = (fixed.get_u8(), fixed.get_u8(), fixed.get_u8());
    let (name, rest) = rest.split_at_checked(usize::from(name_len)).ok_or(Ignored::Truncated)?;
    let (incarnation, sequence, config_hash) = (fixed.get_u64(), fixed.get_u64(), fixed.get_u64());
    let echo = Echo { incarnation: fixed.get_u64(), sequence: fixed.get_u64() };
    let heartbeat = Heartbeat {
        role,
        wants_role: flags & WANTS_ROLE != 0,
        resumes: flags & RESUMES != 0,
        fault: flags & FAULT != 0,
        weak: flags & WEAK != 0,
        forced: forced(flags),
        priority,
        cause,
        incarnation,
        sequence,
        config_hash,
        echo: (echo.incarnation != 0).then_some(echo),
        name: std::str::from_utf8(name).map_err(|_| Ignored::Truncated)?.to_owned(),
        group: String::new(),
        position: None,
    };
    Ok((heartbeat, rest))
}

/// The fingerprints at the start of `rest`, which is left with the additions behind them.
fn fingerprints(rest: &mut &[u8]) -> Result<Vec<Fingerprint>, Ignored> {
    let count = rest.try_get_u8().map_err(|_| Ignored::Truncated)?;
    let mut next = || rest.try_get_u32().map(Fingerprint).map_err(|_| Ignored::Truncated);
    (0..count).map(|_| next()).collect()
}

/// What the sender is held in.
fn forced(flags: u8) -> Option<Forced> {
    let held = [(FORCED_STANDBY, Forced::Standby), (FORCED_ACTIVE, Forced::Active)];
    held.into_iter().find(|(flag, _)| flags & flag != 0).map(|(_, role)| role)
}

fn flags(heartbeat: &Heartbeat) -> u8 {
    let set = [
        (heartbeat.wants_role, WANTS_ROLE),
        (heartbeat.resumes, RESUMES),
        (heartbeat.fault, FAULT),
        (heartbeat.weak, WEAK),
        (heartbeat.forced == Some(Forced::Standby), FORCED_STANDBY),
        (heartbeat.forced == Some(Forced::Active), FORCED_ACTIVE),
    ];
    set.into_iter().filter(|(holds, _)| *holds).fold(0, |flags, (_, flag)| flags | flag)
}

/// As much of `name` as fits.
fn cut(name: &str) -> &str {
    let end = name.floor_char_boundary(MAX_NAME);
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Key;

    // Tags computed with Python's hmac module.
    const ACTIVE: &str = concat!(
        "4c424842010200c80205",
        "0102030405060708",
        "0000000000000007",
        "feedfacecafebeef",
        "1112131415161718",
        "0000000000000029",
        "616c706861",
        "01687f033d",
        "cd88586a7a09971e8843fd510bf14222c630fb8f91af41e01d1fbcdad13e16aa",
    );
    const ASKING: &str = concat!(
        "4c424842010101640300",
        "0000000000000009",
        "0000000000000001",
        "0000000000000000",
        "0000000000000000",
        "0000000000000000",
        "01687f033d",
        "34bd6b6889e3de66624bd0b447e83ef45186cf3fee9073449ef9ca675958c574",
    );

    #[test]
    fn wire_vectors_hold_both_ways() {
        for (heartbeat, wire) in [(active(), ACTIVE), (asking(), ASKING)] {
            let wire = bytes_of(wire);
            assert_eq!(codec().encode(&heartbeat), wire);
            assert_eq!(codec().decode(&wire), Ok(heartbeat));
        }
    }

    #[test]
    fn every_single_bit_is_covered() {
        let wire = bytes_of(ACTIVE);
        for bit in 0..wire.len() * 8 {
            let mut changed = wire.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(codec().decode(&changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_other_length_is_ignored() {
        let wire = bytes_of(ACTIVE);
        for len in 0..wire.len() {
            assert!(codec().decode(&wire[..len]).is_err(), "{len} bytes");
        }
        assert_eq!(codec().decode(&wire[..FIXED + TAG]), Err(Ignored::Truncated));
        assert_eq!(codec().decode(&[&wire[..], &[0]].concat()), Err(Ignored::WrongKey));
        let long = signed(&[&wire[..wire.len() - TAG], &[0; MAX_LEN]].concat());
        assert_eq!(codec().decode(&long), Err(Ignored::Truncated));
    }

    #[test]
    fn what_a_later_version_adds_is_skipped() {
        let wire = bytes_of(ACTIVE);
        let longer = signed(&[&wire[..wire.len() - TAG], b"added later"].concat());
        assert_eq!(codec().decode(&longer), Ok(active()));
    }

    #[test]
    fn the_name_of_a_group_is_an_addition_that_older_versions_skip() {
        let of_group = Heartbeat { group: "west".to_owned(), ..active() };
        let wire = codec().encode(&of_group);
        let plain = bytes_of(ACTIVE);
        let start = plain.len() - TAG;
        assert_eq!((&wire[..start], &wire[start..wire.len() - TAG]), (&plain[..start], &b"\x01\x04west"[..]));
        assert_eq!(codec().decode(&wire), Ok(of_group.clone()));
        let later = signed(&[&wire[..wire.len() - TAG], b"\x63\x01x"].concat());
        assert_eq!(codec().decode(&later), Ok(of_group));
    }

    #[test]
    fn the_position_of_the_copy_is_an_addition_too() {
        let position = Some(Position { session: 0x0a0b_0c0d_0e0f_1011, records: 12 });
        let copies = Heartbeat { group: "west".to_owned(), position, ..active() };
        let wire = codec().encode(&copies);
        let added = b"\x01\x04west\x02\x10\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\0\0\0\0\0\0\0\x0c";
        assert!(wire[..wire.len() - TAG].ends_with(added));
        assert_eq!(codec().decode(&wire), Ok(copies));
        // Too short to be one: the rest of the heartbeat counts.
        let plain = bytes_of(ACTIVE);
        let short = signed(&[&plain[..plain.len() - TAG], b"\x02\x01x"].concat());
        assert_eq!(codec().decode(&short), Ok(active()));
    }

    #[test]
    fn the_longest_heartbeat_fits() {
        let keys = [*b"0123456789abcde0", *b"0123456789abcde1", *b"0123456789abcde2", *b"0123456789abcde3"];
        let [signing, others @ ..] = keys.map(|key| Key(key.to_vec()));
        let codec = Codec::new(&Keys { signing, others: others.into() });
        let longest = Heartbeat {
            name: "n".repeat(MAX_NAME),
            group: "g".repeat(MAX_NAME),
            position: Some(Position { session: u64::MAX, records: u64::MAX }),
            ..active()
        };
        let wire = codec.encode(&longest);
        assert!(wire.len() <= MAX_LEN, "{} bytes", wire.len());
        assert_eq!(codec.decode(&wire), Ok(longest));
    }

    #[test]
    fn every_key_is_accepted_and_the_first_one_signs() {
        let [old, new] = [*b"0123456789abcdef", *b"fedcba9876543210"].map(|key| Key(key.to_vec()));
        let both = Codec::new(&Keys { signing: new.clone(), others: vec![old.clone()] });
        let accepts = [&new, &old].map(Fingerprint::of).to_vec();
        let said = both.open(&both.encode(&active())).unwrap();
        assert_eq!(said, (active(), PeerKeys { signs: Fingerprint::of(&new), accepts }));
        let (_, keys) = both.open(&bytes_of(ACTIVE)).unwrap();
        assert_eq!(keys.signs, Fingerprint::of(&old));
        assert_eq!(Codec::new(&Keys::one(old)).decode(&both.encode(&active())), Err(Ignored::WrongKey));
    }

    #[test]
    fn causes_are_told_apart() {
        let mut other_version = bytes_of(ACTIVE);
        other_version[4] = 2;
        assert_eq!(codec().decode(&other_version), Err(Ignored::Version));
        assert_eq!(codec().decode(b"GET / HTTP/1.1\r\n\r\n"), Err(Ignored::Truncated));
        let other_key = Codec::new(&Keys::one(Key(b"fedcba9876543210".to_vec())));
        assert_eq!(other_key.decode(&bytes_of(ACTIVE)), Err(Ignored::WrongKey));
    }

    #[test]
    fn an_authentic_role_that_does_not_exist_is_of_another_version() {
        let wire = bytes_of(ACTIVE);
        let mut body = wire[..wire.len() - TAG].to_vec();
        body[5] = 9;
        assert_eq!(codec().decode(&signed(&body)), Err(Ignored::Version));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = Heartbeat { name: format!("x{}", "ä".repeat(40)), ..active() };
        let name = codec().decode(&codec().encode(&long)).unwrap().name;
        assert_eq!(name, format!("x{}", "ä".repeat(31)));
    }

    proptest! {
        #[test]
        fn decoding_never_panics(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(codec().decode(&datagram).is_err());
        }

        #[test]
        fn a_well_formed_body_never_panics(rest in prop::collection::vec(any::<u8>(), FIXED - 5..FIXED + MAX_NAME + 20)) {
            let mut body = b"LBHB\x01".to_vec();
            body.extend(rest);
            body.truncate(FIXED + usize::from(body[NAME_LEN_AT]) + 9);
            let decoded = codec().decode(&signed(&body));
            prop_assert!(decoded.is_ok_and(|heartbeat| codec().decode(&codec().encode(&heartbeat)) == Ok(heartbeat))
                || decoded_is_refused_for_its_shape(&body));
        }

        #[test]
        fn what_is_encoded_is_decoded(heartbeat in any_heartbeat()) {
            prop_assert_eq!(codec().decode(&codec().encode(&heartbeat)), Ok(heartbeat));
        }
    }

    /// Whether a body with a right tag has a length, a role or a name that no heartbeat has.
    fn decoded_is_refused_for_its_shape(body: &[u8]) -> bool {
        let end = FIXED + usize::from(body[NAME_LEN_AT]);
        let keys = body.get(end).map_or(usize::MAX, |count| usize::from(*count) * 4);
        let wrong_length = end > FIXED + MAX_NAME || body.len() < end.saturating_add(keys).saturating_add(1);
        wrong_length || Role::from_u8(body[5]).is_none() || std::str::from_utf8(&body[FIXED..end]).is_err()
    }

    /// `body` with its tag.
    fn signed(body: &[u8]) -> Vec<u8> {
        [body, &codec().keys.sign(body)[..]].concat()
    }

    fn any_heartbeat() -> impl Strategy<Value = Heartbeat> {
        let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
        let echo = prop::option::of((1_u64.., any::<u64>()));
        let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        let small = (0..4u8, flags, any::<u8>(), any::<u8>());
        let position = prop::option::of(any::<(u64, u64)>());
        (small, numbers, echo, "[a-zä-ö]{0,32}", "[a-z]{0,64}", position).prop_map(
            |(small, numbers, echo, name, group, position)| Heartbeat {
                role: Role::from_u8(small.0).unwrap(),
                wants_role: small.1.0,
                resumes: small.1.1,
                fault: small.1.2,
                weak: small.1.3,
                forced: [None, Some(Forced::Standby), Some(Forced::Active)][usize::from(small.2 % 3)],
                priority: small.2,
                cause: small.3,
                incarnation: numbers.0,
                sequence: numbers.1,
                config_hash: numbers.2,
                echo: echo.map(|(incarnation, sequence)| Echo { incarnation, sequence }),
                name,
                group,
                position: position.map(|(session, records)| Position { session, records }),
            },
        )
    }

    fn codec() -> Codec {
        Codec::new(&Keys::one(Key(b"0123456789abcdef".to_vec())))
    }

    fn active() -> Heartbeat {
        Heartbeat {
            priority: 200,
            cause: 2,
            sequence: 7,
            config_hash: 0xfeed_face_cafe_beef,
            echo: Some(Echo { incarnation: 0x1112_1314_1516_1718, sequence: 41 }),
            name: "alpha".to_owned(),
            ..Heartbeat::plain(Role::Active, 0x0102_0304_0506_0708)
        }
    }

    fn asking() -> Heartbeat {
        Heartbeat { wants_role: true, cause: 3, ..Heartbeat::plain(Role::Standby, 9) }
    }

    fn bytes_of(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }
}
