//! Keys that change while heartbeats go on. What would cut the pair apart is refused: both routers would become active.

use super::Core;
use crate::{config::Keys, ha::heartbeat::keyring::Fingerprint};

/// Whether the living peer and this router, with `keys`, would go on hearing each other.
pub(super) fn judge(core: &Core, keys: &Keys) -> Result<(), &'static str> {
    let Some(peer) = core.peer_keys.as_ref().filter(|_| core.hears_peer()) else { return Ok(()) };
    if !peer.accepts.contains(&Fingerprint::of(&keys.signing)) {
        Err(
            "the peer does not accept the first of the new keys yet: add that key there, and reload it, before",
        )
    } else if !keys.iter().any(|key| Fingerprint::of(key) == peer.signs) {
        Err(
            "the peer still signs with a key that would be removed: make the new key its first one, and reload it, before",
        )
    } else {
        Ok(())
    }
}

/// Whether the peer signs with another key than this router.
pub(super) fn differ(core: &Core) -> bool {
    core.codec.as_ref().zip(core.peer_keys.as_ref()).is_some_and(|(own, peer)| own.signs() != peer.signs)
}
