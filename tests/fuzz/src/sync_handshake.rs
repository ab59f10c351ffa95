//! The handshake of the copy of connections against one who has no key: the first byte says which side it speaks to, the
//! rest is what it says.

use lb_daemon::{
    config::Key,
    sync::secure::{Error, Psk, initiate, respond},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, join, sink};

use crate::sync_stream::block_on;

/// The pair's keys.
const KEYS: [&[u8]; 2] = [b"0123456789abcdef", b"fedcba9876543210"];
/// Bytes that a caller says first: a preamble, a length, an ephemeral key and a tag.
const FIRST: usize = 5 + 2 + 48;

/// Nobody without the key gets through, and every attempt ends.
pub fn check(data: &[u8]) {
    let Some((side, said)) = data.split_first() else { return };
    let keys = KEYS.map(psk);
    let mut stream = join(said, sink());
    let refused = block_on(async {
        match side % 2 {
            0 => respond(&mut stream, &keys).await.err(),
            _ => initiate(&mut stream, &keys[0]).await.err(),
        }
    });
    match refused {
        Some(Error::Io(_) | Error::Version | Error::NotAuthentic) => {}
        Some(Error::Malformed(_)) => panic!("a message was read before the handshake was over"),
        None => panic!("let in without the key"),
    }
}

/// What a caller and its partner say, each with another key than the pair's, and what somebody else says.
pub fn seeds() -> Vec<Vec<u8>> {
    let first = first_words();
    let answer = [&[1][..], &first[5..]].concat();
    vec![[&[0][..], &first].concat(), answer, b"\0GET / HTTP/1.1\r\n\r\n".to_vec()]
}

/// The first words of a caller that has no key of the pair.
fn first_words() -> Vec<u8> {
    block_on(async {
        let (mut caller, mut wire) = duplex(FIRST);
        let stranger = psk(b"not the key of it");
        let listening = async {
            let mut said = vec![0; FIRST];
            wire.read_exact(&mut said).await.expect("the caller speaks first");
            wire.shutdown().await.expect("a pipe can be closed");
            said
        };
        tokio::join!(initiate(&mut caller, &stranger), listening).1
    })
}

fn psk(key: &[u8]) -> Psk {
    Psk::of(&Key(key.to_vec()))
}
