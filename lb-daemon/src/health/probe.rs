//! One check of one real server: a question over TCP, and whether the answer is the right one in time.

mod connect;
mod http;
mod send_expect;

use std::{io, net::SocketAddrV4, time::Duration};

use humantime::format_duration;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::config::{Check, Probe};

/// The most of an answer that is looked at, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// Why a check failed, in a few words for people.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There was no connection when the time of the check was over.
    #[error("no connection within {}", format_duration(*.0))]
    NoConnection(Duration),
    /// The connection was refused or could not be made.
    #[error("{}", reason(.0))]
    Connect(io::Error),
    /// There was no answer, or not all of it, when the time of the check was over.
    #[error("no answer within {}", format_duration(*.0))]
    NoAnswer(Duration),
    /// The connection broke before the answer was there.
    #[error("{} before the answer", reason(.0))]
    Broken(io::Error),
    /// The server closed the connection before the answer was there.
    #[error("connection closed before the answer")]
    Closed,
    /// The answer is not the right one.
    #[error("{0}")]
    Unexpected(String),
}

impl Failure {
    /// Whether the check failed for want of the router's own resources: then it has measured nothing.
    pub fn is_local(&self) -> bool {
        let Self::Connect(error) = self else { return false };
        matches!(
            error.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRNOTAVAIL)
        )
    }
}

/// Asks the real server at `real`, or at the port that the check has instead. Returns what was good, for people.
///
/// # Errors
/// When the answer is not the right one, or not there within the check's timeout, which covers everything.
pub async fn run(check: &Check, real: SocketAddrV4) -> Result<String, Failure> {
    let address = SocketAddrV4::new(*real.ip(), check.port.unwrap_or(real.port()));
    let start = Instant::now();
    let deadline = start + check.timeout;
    let stream = timeout_at(deadline, TcpStream::connect(address))
        .await
        .map_err(|_| Failure::NoConnection(check.timeout))?
        .map_err(Failure::Connect)?;
    let good = match &check.probe {
        Probe::Connect => connect::finish(&stream)?,
        Probe::SendExpect { send, expect } => {
            let mut seen = Vec::new();
            timeout_at(deadline, send_expect::ask(stream, send, expect, &mut seen))
                .await
                .unwrap_or_else(|_| Err(send_expect::late(&seen, check.timeout)))?
        }
        Probe::Http { path, host, status, body } => {
            let request = http::request(address, path, host.as_deref())?;
            timeout_at(deadline, http::ask(stream, request, status, body.as_deref()))
                .await
                .unwrap_or(Err(Failure::NoAnswer(check.timeout)))?
        }
    };
    Ok(format!("{good} in {} ms", start.elapsed().as_millis()))
}

/// An I/O error without its number.
fn reason(error: &io::Error) -> String {
    use io::ErrorKind::*;
    match error.kind() {
        kind @ (ConnectionRefused | ConnectionReset | ConnectionAborted | HostUnreachable
        | NetworkUnreachable | NetworkDown | BrokenPipe | TimedOut) => kind.to_string(),
        _ => error.to_string(),
    }
}

/// The start of an answer, for people.
fn excerpt(answer: &[u8]) -> String {
    const SHOWN: usize = 40;
    match answer.get(..SHOWN) {
        Some(start) => format!("\"{}\"…", start.escape_ascii()),
        None => format!("\"{}\"", answer.escape_ascii()),
    }
}

#[cfg(test)]
mod tests;
