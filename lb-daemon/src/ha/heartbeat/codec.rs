//! Heartbeats as bytes. All integers are big-endian.
//!
//! ```text
//!  0      4        5     6      7         8      9         10           18        26           34          42
//!  +------+--------+-----+------+---------+------+---------+------------+---------+------------+-----------+
//!  | LBHB | version| role| flags| priority| cause| name len| incarnation| sequence| config hash| echo of   …
//!  +------+--------+-----+------+---------+------+---------+------------+---------+------------+-----------+
//!  42              50               50 + name len      82 + name len
//!  … incarnation,  | sequence       | name (UTF-8)     | HMAC-SHA-256 over all before it |
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Echo, Heartbeat, Ignored, MAX_NAME};
use crate::{config::Key, ha::Role};

/// First bytes of every heartbeat: "LBHB".
const MAGIC: u32 = u32::from_be_bytes(*b"LBHB");
/// Version of the layout.
const VERSION: u8 = 1;
/// Bytes before the name.
const FIXED: usize = 50;
/// Offset of the name's length.
const NAME_LEN_AT: usize = 9;
/// Bytes of the whole HMAC-SHA-256 tag (RFC 2104 section 5 allows a shorter one; nothing here needs it).
const TAG: usize = 32;
/// Longest heartbeat, in bytes.
pub const MAX_LEN: usize = FIXED + MAX_NAME + TAG;

/// [`Heartbeat::wants_role`].
const WANTS_ROLE: u8 = 1;
/// [`Heartbeat::resumes`].
const RESUMES: u8 = 1 << 1;

/// Encodes and decodes with one shared key.
#[derive(Clone)]
pub struct Codec {
    mac: Hmac<Sha256>,
}

impl Codec {
    /// A codec that signs and checks with `key`.
    #[must_use]
    pub fn new(key: &Key) -> Self {
        let mac = Hmac::new_from_slice(&key.0).expect("HMAC takes a key of any length (RFC 2104 section 2)");
        Self { mac }
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
        let tag = self.mac.clone().chain_update(&out).finalize();
        out.put_slice(&tag.into_bytes());
        out.freeze()
    }

    /// The heartbeat in `datagram`. Nothing of a datagram with a wrong tag is looked at but its shape.
    ///
    /// # Errors
    ///
    /// [`Ignored::Truncated`], [`Ignored::Version`] or [`Ignored::WrongKey`].
    pub fn decode(&self, datagram: &[u8]) -> Result<Heartbeat, Ignored> {
        let body = shape(datagram)?;
        let (_, tag) = datagram.split_at_checked(body.len()).ok_or(Ignored::Truncated)?;
        self.mac.clone().chain_update(body).verify_slice(tag).map_err(|_| Ignored::WrongKey)?;
        read(body)
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
    if name_len > MAX_NAME || body.len() != FIXED + name_len {
        return Err(Ignored::Truncated);
    }
    Ok(body)
}

/// The fields of an authentic body.
fn read(body: &[u8]) -> Result<Heartbeat, Ignored> {
    let (mut fixed, name) = body.split_at_checked(FIXED).ok_or(Ignored::Truncated)?;
    fixed.advance(size_of_val(&MAGIC) + size_of_val(&VERSION));
    // A role that this version does not know is the word of a later one.
    let role = Role::from_u8(fixed.get_u8()).ok_or(Ignored::Version)?;
    let flags = fixed.get_u8();
    let (priority, cause, _name_len) = (fixed.get_u8(), fixed.get_u8(), fixed.get_u8());
    let (incarnation, sequence, config_hash) = (fixed.get_u64(), fixed.get_u64(), fixed.get_u64());
    let echo = Echo { incarnation: fixed.get_u64(), sequence: fixed.get_u64() };
    Ok(Heartbeat {
        role,
        wants_role: flags & WANTS_ROLE != 0,
        resumes: flags & RESUMES != 0,
        priority,
        cause,
        incarnation,
        sequence,
        config_hash,
        echo: (echo.incarnation != 0).then_some(echo),
        name: std::str::from_utf8(name).map_err(|_| Ignored::Truncated)?.to_owned(),
    })
}

fn flags(heartbeat: &Heartbeat) -> u8 {
    let wants = if heartbeat.wants_role { WANTS_ROLE } else { 0 };
    let resumes = if heartbeat.resumes { RESUMES } else { 0 };
    wants | resumes
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

    // Tags computed with Python's hmac module.
    const ACTIVE: &str = concat!(
        "4c424842010200c80205",
        "0102030405060708",
        "0000000000000007",
        "feedfacecafebeef",
        "1112131415161718",
        "0000000000000029",
        "616c706861",
        "06145a952930e0e3c014d8babc6544b61e729930225f61697aa032acc397551f",
    );
    const ASKING: &str = concat!(
        "4c424842010101640300",
        "0000000000000009",
        "0000000000000001",
        "0000000000000000",
        "0000000000000000",
        "0000000000000000",
        "2f8e247e9c08e80c5b8e2fe5bd8dcb64856af47642a25a01e79a4f157d8d20f7",
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
    fn every_other_length_is_truncated() {
        let wire = bytes_of(ACTIVE);
        for len in 0..wire.len() {
            assert_eq!(codec().decode(&wire[..len]), Err(Ignored::Truncated), "{len} bytes");
        }
        assert_eq!(codec().decode(&[&wire[..], &[0]].concat()), Err(Ignored::Truncated));
    }

    #[test]
    fn causes_are_told_apart() {
        let mut other_version = bytes_of(ACTIVE);
        other_version[4] = 2;
        assert_eq!(codec().decode(&other_version), Err(Ignored::Version));
        assert_eq!(codec().decode(b"GET / HTTP/1.1\r\n\r\n"), Err(Ignored::Truncated));
        let other_key = Codec::new(&Key(b"fedcba9876543210".to_vec()));
        assert_eq!(other_key.decode(&bytes_of(ACTIVE)), Err(Ignored::WrongKey));
    }

    #[test]
    fn an_authentic_role_that_does_not_exist_is_of_another_version() {
        let wire = bytes_of(ACTIVE);
        let mut body = wire[..wire.len() - TAG].to_vec();
        body[5] = 9;
        let tag = codec().mac.chain_update(&body).finalize().into_bytes();
        assert_eq!(codec().decode(&[&body[..], &tag[..]].concat()), Err(Ignored::Version));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = Heartbeat { name: format!("x{}", "ä".repeat(40)), ..active() };
        let name = codec().decode(&codec().encode(&long)).unwrap().name;
        assert_eq!(name, format!("x{}", "ä".repeat(31)));
    }

    #[test]
    fn the_key_does_not_show() {
        let key = Key(b"0123456789abcdef".to_vec());
        assert_eq!(format!("{key:?}"), "Key(…)");
    }

    proptest! {
        #[test]
        fn decoding_never_panics(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(codec().decode(&datagram).is_err());
        }

        #[test]
        fn a_well_formed_body_never_panics(rest in prop::collection::vec(any::<u8>(), FIXED - 5..FIXED + MAX_NAME)) {
            let mut body = b"LBHB\x01".to_vec();
            body.extend(rest);
            body.truncate(FIXED + usize::from(body[NAME_LEN_AT]));
            let tag = codec().mac.chain_update(&body).finalize().into_bytes();
            let decoded = codec().decode(&[&body[..], &tag[..]].concat());
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
        let name = usize::from(body[NAME_LEN_AT]);
        let wrong_length = name > MAX_NAME || body.len() != FIXED + name;
        wrong_length || Role::from_u8(body[5]).is_none() || std::str::from_utf8(&body[FIXED..]).is_err()
    }

    fn any_heartbeat() -> impl Strategy<Value = Heartbeat> {
        let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
        let echo = prop::option::of((1_u64.., any::<u64>()));
        let small = (0..4u8, any::<bool>(), any::<bool>(), any::<u8>(), any::<u8>());
        (small, numbers, echo, "[a-zä-ö]{0,32}").prop_map(|(small, numbers, echo, name)| Heartbeat {
            role: Role::from_u8(small.0).unwrap(),
            wants_role: small.1,
            resumes: small.2,
            priority: small.3,
            cause: small.4,
            incarnation: numbers.0,
            sequence: numbers.1,
            config_hash: numbers.2,
            echo: echo.map(|(incarnation, sequence)| Echo { incarnation, sequence }),
            name,
        })
    }

    fn codec() -> Codec {
        Codec::new(&Key(b"0123456789abcdef".to_vec()))
    }

    fn active() -> Heartbeat {
        Heartbeat {
            role: Role::Active,
            wants_role: false,
            resumes: false,
            priority: 200,
            cause: 2,
            incarnation: 0x0102_0304_0506_0708,
            sequence: 7,
            config_hash: 0xfeed_face_cafe_beef,
            echo: Some(Echo { incarnation: 0x1112_1314_1516_1718, sequence: 41 }),
            name: "alpha".to_owned(),
        }
    }

    fn asking() -> Heartbeat {
        Heartbeat {
            role: Role::Standby,
            wants_role: true,
            resumes: false,
            priority: 100,
            cause: 3,
            incarnation: 9,
            sequence: 1,
            config_hash: 0,
            echo: None,
            name: String::new(),
        }
    }

    fn bytes_of(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }
}
