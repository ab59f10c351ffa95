//! Heartbeats: any datagram at all, and any body with a right tag, as one who has the key could send it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use lb_daemon::{
    config::{Key, Keys},
    ha::heartbeat::codec::{Codec, MAX_LEN},
};
use sha2::Sha256;

use crate::samples;

/// The pair's key.
const KEY: &[u8] = b"0123456789abcdef";
/// Bytes of a tag, HMAC-SHA-256.
const TAG: usize = 32;

/// Nobody without the key is believed; whoever has it is understood alike by sender and receiver, or not at all.
pub fn check(data: &[u8]) {
    let codec = Codec::new(&Keys::one(Key(KEY.to_vec())));
    let authentic = data.split_last_chunk::<TAG>().is_some_and(|(body, tag)| tag[..] == sign(body));
    assert!(authentic || codec.open(data).is_err(), "believed without the key");
    let signed = [data, &sign(data)].concat();
    if let Ok((heartbeat, keys)) = codec.open(&signed) {
        assert!(signed.len() <= MAX_LEN && keys.signs == codec.signs());
        let again = codec.encode(&heartbeat);
        assert!(again.len() <= MAX_LEN);
        assert_eq!(codec.decode(&again).as_ref(), Ok(&heartbeat));
    }
}

/// Bodies of heartbeats, and whole ones.
pub fn seeds() -> Vec<Vec<u8>> {
    let codec = Codec::new(&Keys::one(Key(KEY.to_vec())));
    let whole = samples::heartbeats().into_iter().map(|heartbeat| codec.encode(&heartbeat).to_vec());
    whole.flat_map(|whole| [whole[..whole.len() - TAG].to_vec(), whole]).collect()
}

/// The tag over `body`, by another hand than the codec's.
fn sign(body: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(KEY).expect("HMAC takes a key of any length");
    mac.chain_update(body).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_made_here_is_the_codecs() {
        let whole = seeds().pop().unwrap_or_default();
        let (body, tag) = whole.split_at(whole.len() - TAG);
        assert_eq!(sign(body), tag);
    }
}
