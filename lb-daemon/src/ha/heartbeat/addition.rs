//! What stands behind the fingerprints of a heartbeat: additions, each a number, a length and as many bytes. Those that a version
//! does not know it skips, and all that is none.

use bytes::{BufMut, BytesMut};

/// Name of the group that the role is of.
pub(super) const GROUP: u8 = 1;
/// How far the sender is with the copy of connections.
pub(super) const POSITION: u8 = 2;

/// Adds `bytes` as number `kind`, unless there are none. At most 255 of them.
pub(super) fn put(out: &mut BytesMut, kind: u8, bytes: &[u8]) {
    if let Some(length) = u8::try_from(bytes.len()).ok().filter(|length| *length > 0) {
        out.put_u8(kind);
        out.put_u8(length);
        out.put_slice(bytes);
    }
}

/// The first addition with number `kind`.
pub(super) fn find(mut rest: &[u8], kind: u8) -> Option<&[u8]> {
    while let [number, length, bytes @ ..] = rest {
        let (bytes, behind) = bytes.split_at_checked(usize::from(*length))?;
        if *number == kind {
            return Some(bytes);
        }
        rest = behind;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_addition_is_found_behind_others() {
        let mut out = BytesMut::new();
        put(&mut out, 7, b"later");
        put(&mut out, GROUP, b"");
        put(&mut out, GROUP, b"west");
        put(&mut out, GROUP, b"east");
        assert_eq!(find(&out, GROUP), Some(&b"west"[..]));
        assert_eq!(find(&out, 9), None);
    }

    proptest! {
        #[test]
        fn anything_may_stand_there(bytes in prop::collection::vec(any::<u8>(), 0..64), kind: u8) {
            let found = find(&bytes, kind);
            prop_assert!(found.is_none_or(|found| found.len() < bytes.len()));
        }
    }
}
