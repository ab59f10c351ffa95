//! Something is said, and what comes back starts with a string or matches an expression.
//!
//! The connection is closed in the orderly way: the server may be waiting for the next command, and a reset would fill
//! its log.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{ANSWER_MAX, Failure, excerpt};
use crate::config::Expect;

/// What the answer says so far.
#[derive(Debug, PartialEq, Eq)]
enum Match {
    Yes,
    No,
    /// More of it decides.
    Open,
}

/// Sends `send` and reads until the answer is the expected one, or cannot be any more. `seen` is what has arrived.
pub(super) async fn ask(
    mut stream: TcpStream,
    send: &[u8],
    expect: &Expect,
    seen: &mut Vec<u8>,
) -> Result<String, Failure> {
    stream.write_all(send).await.map_err(Failure::Broken)?;
    loop {
        let left = ANSWER_MAX.saturating_sub(seen.len());
        let read = (&mut stream).take(left as u64).read_buf(seen).await.map_err(Failure::Broken)?;
        match judge(seen, expect) {
            Match::Yes => return Ok("answered as expected".to_owned()),
            Match::Open if read > 0 => {}
            Match::Open if seen.is_empty() => return Err(Failure::Closed),
            Match::Open | Match::No => {
                return Err(Failure::Unexpected(format!("answered {}", excerpt(seen))));
            }
        }
    }
}

/// Why the check failed when its time is over and `seen` has arrived.
pub(super) fn late(seen: &[u8], timeout: Duration) -> Failure {
    if seen.is_empty() {
        return Failure::NoAnswer(timeout);
    }
    let timeout = humantime::format_duration(timeout);
    Failure::Unexpected(format!("answered {}, and nothing as expected within {timeout}", excerpt(seen)))
}

/// Whether an answer that starts with `seen` is the expected one.
fn judge(seen: &[u8], expect: &Expect) -> Match {
    match expect {
        Expect::Prefix(prefix) if seen.starts_with(prefix) => Match::Yes,
        Expect::Prefix(prefix) if prefix.starts_with(seen) => Match::Open,
        Expect::Prefix(_) => Match::No,
        Expect::Regex(regex) if regex.is_match(seen) => Match::Yes,
        Expect::Regex(_) => Match::Open,
    }
}

#[cfg(test)]
mod tests {
    use regex::bytes::Regex;

    use super::*;

    #[test]
    fn a_prefix_is_decided_by_the_first_byte_that_differs() {
        let expect = Expect::Prefix(b"220 ".to_vec());
        for (seen, judgement) in [
            ("", Match::Open),
            ("22", Match::Open),
            ("220 ", Match::Yes),
            ("220 mail", Match::Yes),
            ("221", Match::No),
            ("5", Match::No),
        ] {
            assert_eq!(judge(seen.as_bytes(), &expect), judgement, "{seen}");
        }
    }

    #[test]
    fn an_expression_stays_open_until_it_matches() {
        let expect = Expect::Regex(Regex::new("(?m)^role:master").unwrap());
        assert_eq!(judge(b"role:slave\r\n", &expect), Match::Open);
        assert_eq!(judge(b"\xff\r\nrole:master", &expect), Match::Yes);
    }
}
