//! A stream without end at a steady pace: the bytes of [`payload`], as many as are due by the clock. What a loss has
//! held up is made good for afterwards, so that over some seconds the rate tells of lost bytes and not of lost time.

use std::{io, iter, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::lab::serve::payload;

/// Time between two writes.
const TICK: Duration = Duration::from_millis(10);

/// Sends `rate` bytes a second until the client closes its direction, and then closes.
///
/// # Errors
/// When the connection is cut.
pub async fn serve(stream: TcpStream, rate: u64) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let (start, mut sent, mut pattern) = (Instant::now(), 0, Pattern::default());
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut nothing = [0];
    loop {
        tokio::select! {
            read = reader.read(&mut nothing) => return read.map(drop),
            _ = ticks.tick() => {}
        }
        // Rates of the lab are below 2^32 bytes a second, and so no product overflows for weeks.
        let due = rate * start.elapsed().as_millis() as u64 / 1000;
        while sent < due {
            let bytes = pattern.next((due - sent) as usize);
            writer.write_all(&bytes).await?;
            sent += bytes.len() as u64;
        }
    }
}

/// The bytes of the stream, piece by piece.
pub struct Pattern {
    chunks: Box<dyn Iterator<Item = Bytes> + Send>,
    rest: Bytes,
}

impl Default for Pattern {
    fn default() -> Self {
        Self { chunks: Box::new(payload::chunks(u64::MAX)), rest: Bytes::new() }
    }
}

impl Pattern {
    /// The next piece: `length` bytes at most, and one at least.
    pub fn next(&mut self, length: usize) -> Bytes {
        if self.rest.is_empty() {
            self.rest = self.chunks.next().unwrap_or_default();
        }
        self.rest.split_to(length.min(self.rest.len()))
    }

    /// Whether `received` is what comes next.
    pub fn goes_on_with(&mut self, mut received: &[u8]) -> bool {
        iter::from_fn(|| {
            let expected = (!received.is_empty()).then(|| self.next(received.len()))?;
            let (piece, rest) = received.split_at(expected.len());
            received = rest;
            Some(piece == expected)
        })
        .all(|same| same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_known_however_it_is_cut() {
        let (mut sender, mut receiver) = (Pattern::default(), Pattern::default());
        for length in [1, 100_000, 65_536, 7] {
            let sent: Vec<u8> = (0..length).flat_map(|_| sender.next(1)).collect();
            assert!(receiver.goes_on_with(&sent));
        }
    }

    #[test]
    fn lost_and_doubled_bytes_are_seen() {
        let bytes: Vec<u8> = payload::chunks(100_000).flatten().collect();
        assert!(!Pattern::default().goes_on_with(&bytes[8..]));
        assert!(!Pattern::default().goes_on_with(&[&bytes[..70_000], &bytes[60_000..]].concat()));
    }
}
