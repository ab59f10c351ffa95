//! The keys of a pair at work: the first one signs, every one is accepted.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::config::{Key, Keys};

/// Bytes of the whole HMAC-SHA-256 tag (RFC 2104 section 5 allows a shorter one; nothing here needs it).
pub(super) const TAG: usize = 32;

/// What a fingerprint is the tag of. No heartbeat begins like this.
const NAME: &[u8] = b"lbd key fingerprint";

/// Tells keys apart without showing them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub u32);

impl Fingerprint {
    /// The fingerprint of `key`.
    #[must_use]
    pub fn of(key: &Key) -> Self {
        let tag = key.mac().chain_update(NAME).finalize().into_bytes();
        Self(tag.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }
}

/// One key at work.
#[derive(Clone)]
struct Signer {
    name: Fingerprint,
    mac: Hmac<Sha256>,
}

impl Signer {
    fn new(key: &Key) -> Self {
        Self { name: Fingerprint::of(key), mac: key.mac() }
    }
}

/// Signs and checks.
#[derive(Clone)]
pub(super) struct Keyring {
    signing: Signer,
    others: Vec<Signer>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring(…)")
    }
}

impl Keyring {
    pub(super) fn new(keys: &Keys) -> Self {
        let others = keys.others.iter().map(Signer::new).collect();
        Self { signing: Signer::new(&keys.signing), others }
    }

    /// The tag over `body`.
    pub(super) fn sign(&self, body: &[u8]) -> [u8; TAG] {
        self.signing.mac.clone().chain_update(body).finalize().into_bytes().into()
    }

    /// The key that `tag` over `body` was made with, if it is one of these.
    pub(super) fn verify(&self, body: &[u8], tag: &[u8]) -> Option<Fingerprint> {
        let fits = |one: &&Signer| one.mac.clone().chain_update(body).verify_slice(tag).is_ok();
        self.signers().find(fits).map(|one| one.name)
    }

    /// The key that signs.
    pub(super) const fn signs(&self) -> Fingerprint {
        self.signing.name
    }

    /// Every key that is accepted, the one that signs first.
    pub(super) fn accepts(&self) -> Vec<Fingerprint> {
        self.signers().map(|one| one.name).collect()
    }

    fn signers(&self) -> impl Iterator<Item = &Signer> {
        std::iter::once(&self.signing).chain(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_signs_and_each_is_told_from_the_others() {
        let (old, new) = (Key(b"0123456789abcdef".to_vec()), Key(b"fedcba9876543210".to_vec()));
        let both = Keyring::new(&Keys { signing: new.clone(), others: vec![old.clone()] });
        let tag = both.sign(b"body");
        assert_eq!(both.verify(b"body", &tag), Some(Fingerprint::of(&new)));
        assert_eq!(both.verify(b"other", &tag), None);
        let of_old = Keyring::new(&Keys::one(old.clone()));
        assert_eq!(of_old.verify(b"body", &tag), None);
        assert_eq!(both.verify(b"body", &of_old.sign(b"body")), Some(Fingerprint::of(&old)));
        assert_ne!(Fingerprint::of(&old), Fingerprint::of(&new));
    }
}
