//! The encrypted stream: frames of the [Noise protocol framework](https://noiseprotocol.org/noise.html) (revision 34) over
//! TCP, each with its length in two bytes before it.
//!
//! The pattern is `NNpsk0`: nobody without the key can take part in the handshake or read a frame, a frame that was changed,
//! left out or sent again ends the stream, and who learns the key later cannot read what was recorded. The key is made
//! from that of the heartbeats, so that a pair has one secret.

use std::{io, sync::Arc};

use hmac::Mac as _;
use snow::{Builder, HandshakeState, StatelessTransportState};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::wire::{MAX_LEN, Malformed, Message, VERSION};
use crate::config::{Key, Keys};

/// Pattern and primitives.
const NOISE: &str = "Noise_NNpsk0_25519_ChaChaPoly_SHA256";
/// What the key of the heartbeats is used for here, so that no other use gives the same key.
const LABEL: &[u8] = b"lbd connection sync";
/// First bytes of a stream, before anything is encrypted; the handshake fails where the two routers saw other ones.
const PREAMBLE: [u8; 5] = [b'L', b'B', b'S', b'Y', VERSION];
/// Bytes of a frame's tag.
const TAG: usize = 16;
/// Longest frame.
const FRAME: usize = MAX_LEN + TAG;
/// Longest frame of the handshake: an ephemeral key and a tag.
const HANDSHAKE: usize = 32 + TAG;

/// Why a stream ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The other side speaks another version, or is no `lbd`.
    #[error("the other side speaks another version of the protocol, or another protocol")]
    Version,
    /// The other side has another key, or the frame was changed on its way.
    #[error("not authentic: another key, or changed on the way")]
    NotAuthentic,
    /// An authentic frame that is no message.
    #[error("{0}")]
    Malformed(#[from] Malformed),
}

/// The shared key of the stream.
#[derive(Clone)]
pub struct Psk([u8; 32]);

impl std::fmt::Debug for Psk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Psk(…)")
    }
}

impl Psk {
    /// Made from the key of the heartbeats.
    pub fn of(key: &Key) -> Self {
        Self(key.mac().chain_update(LABEL).finalize().into_bytes().into())
    }
}

/// The keys of the stream, as those of the heartbeats are.
#[derive(Clone, Debug)]
pub struct Psks {
    /// What this router calls with.
    pub calling: Psk,
    /// What callers may have.
    pub accepted: Vec<Psk>,
}

impl Psks {
    /// Made from the keys of the heartbeats.
    pub fn of(keys: &Keys) -> Self {
        Self { calling: Psk::of(&keys.signing), accepted: keys.iter().map(Psk::of).collect() }
    }
}

/// The half that writes.
#[derive(Debug)]
pub struct Sealer {
    state: Arc<StatelessTransportState>,
    frames: u64,
    buffer: Vec<u8>,
}

/// The half that reads.
#[derive(Debug)]
pub struct Opener {
    state: Arc<StatelessTransportState>,
    frames: u64,
    frame: Vec<u8>,
    message: Vec<u8>,
}

/// The handshake of the side that has connected.
///
/// # Errors
/// When the stream breaks, or the other side has another key or version.
pub async fn initiate(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    psk: &Psk,
) -> Result<(Sealer, Opener), Error> {
    let mut noise = builder(psk)?.build_initiator().map_err(not_authentic)?;
    stream.write_all(&PREAMBLE).await?;
    write_handshake(stream, &mut noise).await?;
    read_handshake(stream, &mut noise).await?;
    halves(noise)
}

/// The handshake of the side that was connected to, with the one of the keys that the other side has. That the other side lives, and is no recording, shows with its first
/// message alone: nothing is to be sent before it has come.
///
/// # Errors
/// As [`initiate`].
pub async fn respond(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    accepted: &[Psk],
) -> Result<(Sealer, Opener), Error> {
    let mut preamble = [0; PREAMBLE.len()];
    stream.read_exact(&mut preamble).await?;
    if preamble != PREAMBLE {
        return Err(Error::Version);
    }
    let mut frame = Vec::new();
    let length = read_frame(stream, &mut frame, HANDSHAKE).await?;
    let first = frame.get(..length).unwrap_or_default();
    let mut noise = accepted.iter().find_map(|psk| answer(psk, first).ok()).ok_or(Error::NotAuthentic)?;
    write_handshake(stream, &mut noise).await?;
    halves(noise)
}

impl Sealer {
    /// Writes a message. Not to be cancelled: a part of a frame would be the end of the stream.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        message: &Message,
    ) -> Result<(), Error> {
        self.buffer.resize(FRAME, 0);
        let bytes = message.encode();
        let sealed = self.state.write_message(self.frames, &bytes, &mut self.buffer);
        let length = sealed.map_err(not_authentic)?;
        self.frames += 1;
        write_frame(stream, self.buffer.get(..length).unwrap_or_default()).await
    }
}

impl Opener {
    /// Reads the next message. Not to be cancelled.
    ///
    /// # Errors
    /// When the stream breaks or ends, or what came is not authentic or no message.
    pub async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Message, Error> {
        let length = read_frame(stream, &mut self.frame, FRAME).await?;
        self.message.resize(FRAME, 0);
        let frame = self.frame.get(..length).unwrap_or_default();
        let opened = self.state.read_message(self.frames, frame, &mut self.message);
        let length = opened.map_err(not_authentic)?;
        self.frames += 1;
        Ok(Message::decode(self.message.get(..length).unwrap_or_default())?)
    }
}

fn builder(psk: &Psk) -> Result<Builder<'_>, Error> {
    let params = NOISE.parse().map_err(not_authentic)?;
    let builder = Builder::new(params).prologue(&PREAMBLE).map_err(not_authentic)?;
    builder.psk(0, &psk.0).map_err(not_authentic)
}

fn halves(noise: HandshakeState) -> Result<(Sealer, Opener), Error> {
    let state = Arc::new(noise.into_stateless_transport_mode().map_err(not_authentic)?);
    let opener = Opener { state: Arc::clone(&state), frames: 0, frame: Vec::new(), message: Vec::new() };
    Ok((Sealer { state, frames: 0, buffer: Vec::new() }, opener))
}

/// The handshake of a caller whose `first` message was made with this key.
fn answer(psk: &Psk, first: &[u8]) -> Result<HandshakeState, Error> {
    let mut noise = builder(psk)?.build_responder().map_err(not_authentic)?;
    take_handshake(&mut noise, first)?;
    Ok(noise)
}

async fn write_handshake(
    stream: &mut (impl AsyncWrite + Unpin),
    noise: &mut HandshakeState,
) -> Result<(), Error> {
    let mut buffer = [0; HANDSHAKE];
    let length = noise.write_message(&[], &mut buffer).map_err(not_authentic)?;
    write_frame(stream, buffer.get(..length).unwrap_or_default()).await
}

async fn read_handshake(
    stream: &mut (impl AsyncRead + Unpin),
    noise: &mut HandshakeState,
) -> Result<(), Error> {
    let mut frame = Vec::new();
    let length = read_frame(stream, &mut frame, HANDSHAKE).await?;
    take_handshake(noise, frame.get(..length).unwrap_or_default())
}

fn take_handshake(noise: &mut HandshakeState, message: &[u8]) -> Result<(), Error> {
    let mut nothing = [0; HANDSHAKE];
    noise.read_message(message, &mut nothing).map(drop).map_err(not_authentic)
}

async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> Result<(), Error> {
    const { assert!(FRAME <= u16::MAX as usize) };
    stream.write_u16(u16::try_from(frame.len()).unwrap_or(u16::MAX)).await?;
    Ok(stream.write_all(frame).await?)
}

/// Reads a frame into the start of `buffer`; its length, at most `most`.
async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    most: usize,
) -> Result<usize, Error> {
    let length = usize::from(stream.read_u16().await?);
    if length > most {
        return Err(Error::NotAuthentic);
    }
    buffer.resize(buffer.len().max(length), 0);
    stream.read_exact(buffer.get_mut(..length).unwrap_or_default()).await?;
    Ok(length)
}

/// Whatever the library says, it is either this or a mistake in this file, which the tests would show.
fn not_authentic(_: snow::Error) -> Error {
    Error::NotAuthentic
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::{
        namespace::run,
        sync::wire::{Batch, Place},
    };

    #[test]
    fn messages_pass_both_ways() {
        run(async {
            let (mut one, mut other) = duplex(1 << 17);
            let ((mut seal, mut open), (mut other_seal, mut other_open)) =
                handshakes(&mut one, &mut other, b"key", b"key").await.unwrap();
            for message in messages() {
                seal.write(&mut one, &message).await.unwrap();
                assert_eq!(other_open.read(&mut other).await.unwrap(), message);
                other_seal.write(&mut other, &message).await.unwrap();
                assert_eq!(open.read(&mut one).await.unwrap(), message);
            }
        });
    }

    #[test]
    fn another_key_gets_no_further_than_the_handshake() {
        run(async {
            let (mut one, mut other) = duplex(1 << 17);
            let error = handshakes(&mut one, &mut other, b"key", b"kez").await.unwrap_err();
            assert!(matches!(error, Error::NotAuthentic), "{error}");
        });
    }

    #[test]
    fn another_version_is_told_from_another_key() {
        run(async {
            let (mut one, mut other) = duplex(1 << 17);
            one.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let error = respond(&mut other, &[psk(b"key")]).await.unwrap_err();
            assert!(matches!(error, Error::Version), "{error}");
        });
    }

    #[test]
    fn a_frame_that_is_changed_left_out_or_repeated_ends_the_stream() {
        run(async {
            for attack in [0, 1, 2] {
                let (mut one, mut other) = duplex(1 << 17);
                let ((mut seal, _), (_, mut open)) =
                    handshakes(&mut one, &mut other, b"key", b"key").await.unwrap();
                let mut frames = Vec::new();
                for position in [1, 2] {
                    seal.write(&mut frames, &Message::Ack(position)).await.unwrap();
                }
                let half = frames.len() / 2;
                match attack {
                    0 => frames[5] ^= 1,
                    1 => drop(frames.drain(..half)),
                    _ => frames.copy_within(..half, half),
                }
                one.write_all(&frames).await.unwrap();
                let first = open.read(&mut other).await;
                let second = if attack == 2 { open.read(&mut other).await } else { first };
                assert!(matches!(second, Err(Error::NotAuthentic)), "attack {attack}: {second:?}");
            }
        });
    }

    #[test]
    fn no_key_shows() {
        assert_eq!(format!("{:?}", psk(b"key")), "Psk(…)");
    }

    async fn handshakes(
        one: &mut DuplexStream,
        other: &mut DuplexStream,
        key: &[u8],
        other_key: &[u8],
    ) -> Result<((Sealer, Opener), (Sealer, Opener)), Error> {
        let (psk, other_psks) = (psk(key), [psk(b"another"), psk(other_key)]);
        let initiator = async {
            let result = initiate(one, &psk).await;
            if result.is_err() {
                one.shutdown().await?;
            }
            result
        };
        let responder = async {
            let result = respond(other, &other_psks).await;
            if result.is_err() {
                other.shutdown().await?;
            }
            result
        };
        let (initiator, responder) = tokio::join!(initiator, responder);
        // The one that finds out first closes the stream, which is all that the other sees.
        let responder = responder?;
        Ok((initiator?, responder))
    }

    fn psk(key: &[u8]) -> Psk {
        Psk::of(&Key(key.to_vec()))
    }

    fn messages() -> Vec<Message> {
        let place = Place { incarnation: 1, session: 2, position: 3 };
        let batch = Batch { sequence: 1, held_ms: 0, is_last: true, progress: 100, records: Vec::new() };
        vec![Message::Hello(place), Message::Welcome(place), Message::Batch(batch), Message::Ack(9)]
    }
}
