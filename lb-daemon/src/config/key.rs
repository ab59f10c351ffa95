//! The secrets that a pair shares.

use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;

/// Shortest key, in bytes: 128 bits.
const MIN_BYTES: usize = 16;

/// Most keys at once: two while one takes the place of another, and room for a pair that was left half-way. Each one
/// more is tried on every forged heartbeat.
const MAX_KEYS: usize = 4;

/// A secret. It never shows in `Debug`, logs or the API.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub Vec<u8>);

impl Key {
    /// HMAC-SHA-256 with this key, of nothing so far.
    pub(crate) fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.0).expect("HMAC takes a key of any length (RFC 2104 section 2)")
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The keys of a pair. More than one only while another takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// What this router signs with, and accepts.
    pub signing: Key,
    /// What it accepts too.
    pub others: Vec<Key>,
}

impl Keys {
    /// One key.
    #[must_use]
    pub const fn one(key: Key) -> Self {
        Self { signing: key, others: Vec::new() }
    }

    /// Every key that is accepted, the one that signs first.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.signing).chain(&self.others)
    }

    /// The keys in `text`, one a line; empty lines do not count.
    ///
    /// # Errors
    /// What is wrong, and what was expected; neither shows a key.
    pub(super) fn parse(text: &str) -> Result<Self, (String, String)> {
        let lines = text.lines().filter(|line| !line.is_empty());
        let mut keys: Vec<Key> = Vec::new();
        for line in lines {
            if line.len() < MIN_BYTES {
                return Err(too_short(line.len()));
            }
            let key = Key(line.as_bytes().to_vec());
            if keys.contains(&key) {
                return Err(("the same key twice".to_owned(), "each key once".to_owned()));
            }
            keys.push(key);
        }
        if keys.len() > MAX_KEYS {
            let what = format!("{} lines, each of which is a key", keys.len());
            return Err((what, format!("at most {MAX_KEYS} keys")));
        }
        let mut keys = keys.into_iter();
        let signing = keys.next().ok_or_else(|| too_short(0))?;
        Ok(Self { signing, others: keys.collect() })
    }
}

fn too_short(bytes: usize) -> (String, String) {
    (format!("a key of {bytes} bytes"), format!("at least {MIN_BYTES} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "0123456789abcdef";
    const NEW: &str = "fedcba9876543210";

    #[test]
    fn the_first_line_signs_and_all_are_accepted() {
        let keys = Keys::parse(&format!("{NEW}\n\n{OLD}\r\n")).unwrap();
        assert_eq!(keys.signing, key(NEW));
        assert_eq!(keys.iter().collect::<Vec<_>>(), [&key(NEW), &key(OLD)]);
        assert_eq!(Keys::parse(OLD), Ok(Keys::one(key(OLD))));
    }

    #[test]
    fn a_line_loses_its_newline_and_nothing_else() {
        assert_eq!(Keys::parse(" 123456789abcde \r\n").unwrap().signing, key(" 123456789abcde "));
    }

    #[test]
    fn what_is_no_set_of_keys_is_named_and_not_shown() {
        let many: String = (0..5).map(|n| format!("{n}{OLD}\n")).collect();
        for (text, what, expected) in [
            ("", "a key of 0 bytes", "at least 16 bytes"),
            ("\n\n", "a key of 0 bytes", "at least 16 bytes"),
            ("0123456789abcdef\nshort\n", "a key of 5 bytes", "at least 16 bytes"),
            (&format!("{OLD}\n{OLD}"), "the same key twice", "each key once"),
            (&many, "5 lines, each of which is a key", "at most 4 keys"),
        ] {
            assert_eq!(Keys::parse(text), Err((what.to_owned(), expected.to_owned())));
        }
    }

    #[test]
    fn a_key_does_not_show() {
        assert_eq!(format!("{:?}", key(OLD)), "Key(…)");
    }

    fn key(text: &str) -> Key {
        Key(text.as_bytes().to_vec())
    }
}
