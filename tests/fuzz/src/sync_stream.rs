//! Sealed frames that somebody between the routers changes: the input says how.

use lb_daemon::{
    config::Key,
    sync::secure::{Opener, Psk, Sealer, initiate, respond},
};
use tokio::{io::duplex, runtime};

use crate::samples;

/// Bytes of one change: what, and where, and to which byte.
const CHANGE: usize = 4;

/// Whatever is done to the frames, the messages that are read are those that were sent, in their order, up to the first
/// change.
pub fn check(data: &[u8]) {
    let sent = samples::messages();
    block_on(async {
        let (mut sealer, mut opener) = connected().await;
        let mut frames = Vec::new();
        for message in &sent {
            sealer.write(&mut frames, message).await.expect("a vector takes what is written");
        }
        let before = frames.clone();
        data.chunks_exact(CHANGE).for_each(|change| apply(change, &mut frames));
        let untouched = before.iter().zip(&frames).take_while(|(one, other)| one == other).count();
        let mut wire = frames.as_slice();
        for message in &sent {
            let at = frames.len() - wire.len();
            match opener.read(&mut wire).await {
                Ok(read) => {
                    assert_eq!(&read, message);
                    assert!(frames.len() - wire.len() <= untouched, "a change at {untouched} went unseen");
                }
                Err(_) => {
                    assert!(frames != before, "nothing was changed, and the frame at {at} is refused");
                    return;
                }
            }
        }
    });
}

/// No change, one of each kind, and some together.
pub fn seeds() -> Vec<Vec<u8>> {
    let one: Vec<Vec<u8>> = (0..5).map(|kind| vec![kind, 0, 40, 1]).collect();
    [vec![Vec::new(), one.concat()], one].concat()
}

/// Runs a task that waits for nothing from outside.
pub(crate) fn block_on<T>(task: impl Future<Output = T>) -> T {
    let runtime =
        runtime::Builder::new_current_thread().build().expect("a runtime without I/O needs nothing");
    runtime.block_on(task)
}

/// One direction of a stream whose handshake is over.
async fn connected() -> (Sealer, Opener) {
    let psk = Psk::of(&Key(b"0123456789abcdef".to_vec()));
    let (mut one, mut other) = duplex(1024);
    let accepted = [psk.clone()];
    let (calling, called) = tokio::join!(initiate(&mut one, &psk), respond(&mut other, &accepted));
    let ((sealer, _), (_, opener)) = (calling.expect("the keys are the same"), called.expect("they are"));
    (sealer, opener)
}

/// One change; one that has no place to be in changes nothing.
fn apply(change: &[u8], frames: &mut Vec<u8>) {
    let &[kind, high, low, byte] = change else { return };
    let at = usize::from(u16::from_be_bytes([high, low])) % (frames.len() + 1);
    match kind % 5 {
        0 => frames.insert(at, byte),
        1 => frames.truncate(at),
        2 => drop(frames.drain(at..(at + usize::from(byte)).min(frames.len()))),
        // Sent again.
        3 => frames.extend_from_within(at..(at + usize::from(byte)).min(frames.len())),
        _ => frames.iter_mut().skip(at).take(1).for_each(|place| *place ^= byte),
    }
}
