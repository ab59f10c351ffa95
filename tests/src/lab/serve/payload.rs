//! Deterministic bytes, so that both ends of a transfer know every one.

use bytes::Bytes;

/// Bytes made at a time.
const CHUNK: u64 = 64 * 1024;

/// The first `length` bytes of the sequence, in chunks. No two positions of a file look alike for eight bytes on end,
/// so lost, doubled and swapped segments all change a checksum.
pub fn chunks(length: u64) -> impl Iterator<Item = Bytes> + Send + 'static {
    (0..length.div_ceil(CHUNK)).map(move |chunk| {
        let start = chunk * CHUNK;
        let mut bytes = vec![0; CHUNK as usize];
        for (index, place) in (start / 8..).zip(bytes.chunks_exact_mut(8)) {
            place.copy_from_slice(&word(index));
        }
        bytes.truncate(CHUNK.min(length - start) as usize);
        Bytes::from(bytes)
    })
}

/// Eight bytes at the position `8 * index`: Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4) maps
/// different indices to different words.
fn word(index: u64) -> [u8; 8] {
    index.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_comes_out_and_shorter_ones_are_prefixes() {
        let all = |length| chunks(length).flatten().collect::<Vec<u8>>();
        let long = all(3 * CHUNK + 5);
        for length in [0, 1, 7, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            let bytes = all(length);
            assert_eq!(bytes.len() as u64, length);
            assert!(long.starts_with(&bytes));
        }
    }

    #[test]
    fn chunks_differ() {
        let chunks: Vec<_> = chunks(4 * CHUNK).collect();
        assert!(chunks.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
