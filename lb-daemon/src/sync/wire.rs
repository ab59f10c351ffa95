//! The messages of a stream as bytes. All integers are big-endian; the first byte says which message it is.
//!
//! ```text
//!  hello    1 | incarnation 8 | session 8 | position 8
//!  welcome  2 | incarnation 8 | session 8 | position 8
//!  batch    3 | flags 1 | progress 1 | sequence 8 | held 4 | count 2 | count records of 30
//!  ack      4 | position 8
//!  turns    5 | count 2 | count of: protocol 1, address 4, port 2, position 8
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

use lb_common::ServiceKey;

use super::record::{self, Record};

/// Version of the messages and of the records in them. Both routers must speak the same one.
pub const VERSION: u8 = 1;
/// Records of a batch at most: a batch fits into one frame of the encrypted stream.
pub const MAX_RECORDS: usize = 2000;
/// Bytes of a batch before its records.
const BATCH: usize = 17;
/// Longest message, in bytes.
pub const MAX_LEN: usize = BATCH + MAX_RECORDS * record::LEN;

/// Positions in one message at most, and bytes of each.
pub const MAX_TURNS: usize = 4000;
const TURN: usize = 15;

/// The last batch of a full transfer.
const LAST: u8 = 1;

/// What a router has heard of, or tells from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Random number of this life of the router; never 0.
    pub incarnation: u64,
    /// Random number of the copy; 0 where there is none.
    pub session: u64,
    /// Sequence of the last batch of that session that the receiver has applied.
    pub position: u64,
}

/// Changes, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Number of the batch in its session, from 1.
    pub sequence: u64,
    /// Milliseconds since the ages in it were taken: it may have waited to be sent again.
    pub held_ms: u32,
    /// Whether a full transfer ends with it.
    pub is_last: bool,
    /// How much of the full transfer is done, `0..=100` percent.
    pub progress: u8,
    /// At most [`MAX_RECORDS`]; none in a sign of life.
    pub records: Vec<Record>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The standby router begins: what it has.
    Hello(Place),
    /// The active router answers: from where it goes on. A session other than the standby's begins a full transfer.
    Welcome(Place),
    /// From the active router.
    Batch(Batch),
    /// From the standby router: applied, up to the batch of this sequence.
    Ack(u64),
    /// From the active router: services that are scheduled in turn, each with the position of its next connection. At most
    /// [`MAX_TURNS`].
    Turns(Vec<(ServiceKey, u64)>),
}

/// It was no message of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message that this version does not know")]
pub struct Malformed;

impl Message {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        let records = if let Self::Batch(batch) = self { batch.records.len() } else { 0 };
        let mut out = BytesMut::with_capacity(32 + records * record::LEN);
        match self {
            Self::Hello(place) => put_place(&mut out, 1, place),
            Self::Welcome(place) => put_place(&mut out, 2, place),
            Self::Batch(batch) => put_batch(&mut out, batch),
            Self::Ack(position) => {
                out.put_u8(4);
                out.put_u64(*position);
            }
            Self::Turns(turns) => put_turns(&mut out, turns),
        }
        out.freeze()
    }

    /// The message that `bytes` are, from the first to the last of them.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(mut bytes: &[u8]) -> Result<Self, Malformed> {
        let from = &mut bytes;
        let message = match from.try_get_u8().ok() {
            Some(1) => get_place(from).map(Self::Hello),
            Some(2) => get_place(from).map(Self::Welcome),
            Some(3) => get_batch(from).map(Self::Batch),
            Some(4) => from.try_get_u64().ok().map(Self::Ack),
            Some(5) => get_turns(from).map(Self::Turns),
            _ => None,
        };
        message.filter(|_| bytes.is_empty()).ok_or(Malformed)
    }
}

fn put_place(out: &mut BytesMut, kind: u8, place: &Place) {
    out.put_u8(kind);
    out.put_u64(place.incarnation);
    out.put_u64(place.session);
    out.put_u64(place.position);
}

fn get_place(from: &mut &[u8]) -> Option<Place> {
    let mut next = || from.try_get_u64().ok();
    Some(Place { incarnation: next()?, session: next()?, position: next()? })
}

fn put_batch(out: &mut BytesMut, batch: &Batch) {
    let records = batch.records.get(..MAX_RECORDS).unwrap_or(&batch.records);
    out.put_u8(3);
    out.put_u8(if batch.is_last { LAST } else { 0 });
    out.put_u8(batch.progress);
    out.put_u64(batch.sequence);
    out.put_u32(batch.held_ms);
    out.put_u16(u16::try_from(records.len()).unwrap_or(0));
    records.iter().for_each(|record| record.put(out));
}

fn get_batch(from: &mut &[u8]) -> Option<Batch> {
    let flags = from.try_get_u8().ok()?;
    let progress = from.try_get_u8().ok()?;
    let sequence = from.try_get_u64().ok()?;
    let held_ms = from.try_get_u32().ok()?;
    let count = usize::from(from.try_get_u16().ok()?);
    if flags & !LAST != 0 || progress > 100 || count > MAX_RECORDS || from.len() != count * record::LEN {
        return None;
    }
    let records = (0..count).map(|_| Record::get(from)).collect::<Option<_>>()?;
    Some(Batch { sequence, held_ms, is_last: flags & LAST != 0, progress, records })
}

fn put_turns(out: &mut BytesMut, turns: &[(ServiceKey, u64)]) {
    let turns = turns.get(..MAX_TURNS).unwrap_or(turns);
    out.put_u8(5);
    out.put_u16(u16::try_from(turns.len()).unwrap_or(0));
    for (service, position) in turns {
        out.put_u8(service.protocol);
        out.put_slice(&service.address);
        out.put_u16(service.port);
        out.put_u64(*position);
    }
}

fn get_turns(from: &mut &[u8]) -> Option<Vec<(ServiceKey, u64)>> {
    let count = usize::from(from.try_get_u16().ok()?);
    if count > MAX_TURNS || from.len() != count * TURN {
        return None;
    }
    let mut turn = || {
        let protocol = from.try_get_u8().ok()?;
        let address = from.try_get_u32().ok()?.to_be_bytes();
        let port = from.try_get_u16().ok()?;
        Some((ServiceKey::new(protocol, address, port), from.try_get_u64().ok()?))
    };
    (0..count).map(|_| turn()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::sync::record::any_record;

    proptest! {
        #[test]
        fn a_message_reads_back_whole_and_in_no_other_length(message in any_message()) {
            let bytes = message.encode();
            prop_assert!(bytes.len() <= MAX_LEN);
            prop_assert_eq!(Message::decode(&bytes), Ok(message));
            for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
                prop_assert_eq!(Message::decode(&bytes[..cut]), Err(Malformed));
            }
            let longer = [&bytes[..], &[0]].concat();
            prop_assert_eq!(Message::decode(&longer), Err(Malformed));
        }

        #[test]
        fn any_bytes_are_one_message_or_none(kind in 0_u8..7, bytes in vec(any::<u8>(), 0..200)) {
            let bytes = [&[kind][..], &bytes].concat();
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
            }
        }

        #[test]
        fn a_changed_byte_never_panics(message in any_message(), at: prop::sample::Index, to: u8) {
            let mut bytes = message.encode().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = Message::decode(&bytes);
        }
    }

    #[test]
    fn the_longest_batch_fits_into_a_frame() {
        // A frame of Noise has 65,535 bytes, 16 of them its tag (revision 34, section 3).
        const { assert!(MAX_LEN <= 65_535 - 16 && 3 + MAX_TURNS * TURN <= MAX_LEN) };
        let mut bytes = vec![3, 0, 0];
        bytes.extend([0; 12]);
        bytes.extend(u16::try_from(MAX_RECORDS + 1).unwrap().to_be_bytes());
        bytes.resize(BATCH + (MAX_RECORDS + 1) * record::LEN, 1);
        assert_eq!(Message::decode(&bytes), Err(Malformed));
    }

    fn any_message() -> impl Strategy<Value = Message> {
        let place = || {
            any::<(u64, u64, u64)>().prop_map(|(incarnation, session, position)| Place {
                incarnation,
                session,
                position,
            })
        };
        let batch = (any::<u64>(), any::<u32>(), any::<bool>(), 0_u8..=100, vec(any_record(), 0..20));
        let turn = any::<(u8, [u8; 4], u16, u64)>().prop_map(|(protocol, address, port, position)| {
            (ServiceKey::new(protocol, address, port), position)
        });
        prop_oneof![
            vec(turn, 0..20).prop_map(Message::Turns),
            place().prop_map(Message::Hello),
            place().prop_map(Message::Welcome),
            any::<u64>().prop_map(Message::Ack),
            batch.prop_map(|(sequence, held_ms, is_last, progress, records)| {
                Message::Batch(Batch { sequence, held_ms, is_last, progress, records })
            }),
        ]
    }
}
