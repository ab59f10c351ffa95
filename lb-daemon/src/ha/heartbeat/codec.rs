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
