//! A client of `lbd`'s API: HTTP/1.1 over its Unix socket, one request a connection, bounded in time, so that a frozen
//! daemon freezes nothing here.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use lb_daemon::api::types::Failure;
use serde::{Serialize, de::DeserializeOwned};

/// Time a read or write may take.
const TIMEOUT: Duration = Duration::from_millis(500);

/// `GET path`, decoded.
///
/// # Errors
/// When the daemon does not answer, or not with 200 and this type.
pub fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T> {
    ask(socket, "GET", path, "")
}

/// `POST path` with a JSON body, the answer decoded.
///
/// # Errors
/// As [`get`].
pub fn post<T: DeserializeOwned>(socket: &Path, path: &str, body: &impl Serialize) -> Result<T> {
    ask(socket, "POST", path, &serde_json::to_string(body)?)
}

fn ask<T: DeserializeOwned>(socket: &Path, method: &str, path: &str, body: &str) -> Result<T> {
    let mut stream =
        UnixStream::connect(socket).with_context(|| format!("cannot connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("{method} {path}"))?;
    let (status, body) = split(&answer).with_context(|| format!("{method} {path}: no HTTP answer"))?;
    if status != 200 {
        let reason =
            serde_json::from_str(body).map_or_else(|_| body.to_owned(), |failure: Failure| failure.error);
        bail!("{method} {path}: {status}: {reason}");
    }
    serde_json::from_str(body).with_context(|| format!("{method} {path}: {body}"))
}

/// Status and body of an answer whose end is the end of the connection. `lbd` states the length of its answers, so that
/// no chunked encoding has to be undone.
fn split(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    Some((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_split() {
        assert_eq!(split("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}"), Some((200, "{}")));
        assert_eq!(split("HTTP/1.1 404 Not Found\r\n\r\n"), Some((404, "")));
        for broken in ["", "HTTP/1.1 200 OK", "nonsense\r\n\r\n", "HTTP/1.1 many\r\n\r\n"] {
            assert_eq!(split(broken), None, "{broken:?}");
        }
    }
}
