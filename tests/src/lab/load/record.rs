//! What became of requests, one by one and together.

use std::{collections::BTreeMap, io, time::Duration, time::Instant};

use serde::Serialize;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Before connecting.
    pub started: Instant,
    /// After the last byte, or when it had failed.
    pub finished: Instant,
    /// The client's port, once connected.
    pub port: Option<u16>,
    /// Name of the server that answered, or what went wrong.
    pub outcome: Result<String, Failure>,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nobody listens there.
    Refused,
    /// The connection was cut.
    Reset,
    /// No whole answer in time.
    Timeout,
    /// No way there.
    Unreachable,
    /// The answer is none, or none of the lab's.
    BadAnswer,
    /// Anything else.
    Other,
}

/// Requests counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// All requests.
    pub requests: u64,
    /// Successful ones by server.
    pub servers: BTreeMap<String, u64>,
    /// Failed ones by kind.
    pub failures: BTreeMap<Failure, u64>,
    /// Longest time that a successful request took, in milliseconds.
    pub slowest_ms: f64,
}

impl Record {
    /// Time it took.
    pub fn latency(&self) -> Duration {
        self.finished - self.started
    }
}

impl Failure {
    /// The kind of an I/O error.
    pub fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Self::Reset
            }
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            _ => Self::Other,
        }
    }

    /// The server's name in a whole HTTP answer.
    ///
    /// # Errors
    /// [`Failure::BadAnswer`] when it is not 200 with a name.
    pub fn judge(answer: &[u8]) -> Result<String, Self> {
        let text = std::str::from_utf8(answer).map_err(|_| Self::BadAnswer)?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or(Self::BadAnswer)?;
        match head.starts_with("HTTP/1.1 200 ") && !body.is_empty() {
            true => Ok(body.to_owned()),
            false => Err(Self::BadAnswer),
        }
    }

    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Timeout => "timed out",
            Self::Unreachable => "unreachable",
            Self::BadAnswer => "bad answer",
            Self::Other => "other",
        }
    }
}

impl Summary {
    /// Counts `records`.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut summary = Self::default();
        for record in records {
            summary.requests += 1;
            match &record.outcome {
                Ok(server) => {
                    *summary.servers.entry(server.clone()).or_default() += 1;
                    summary.slowest_ms = summary.slowest_ms.max(record.latency().as_secs_f64() * 1000.0);
                }
                Err(failure) => *summary.failures.entry(*failure).or_default() += 1,
            }
        }
        summary
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.slowest_ms = self.slowest_ms.max(other.slowest_ms);
        for (server, count) in &other.servers {
            *self.servers.entry(server.clone()).or_default() += count;
        }
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
    }

    /// Failed requests.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Part of the successful requests that `server` answered, `0.0..=1.0`.
    pub fn share(&self, server: &str) -> f64 {
        let answered: u64 = self.servers.values().sum();
        self.servers.get(server).copied().unwrap_or(0) as f64 / answered.max(1) as f64
    }

    /// The failures in words; `"none"` where there are none.
    pub fn failures_in_words(&self) -> String {
        if self.failures.is_empty() {
            return "none".to_owned();
        }
        let kinds = self.failures.iter().map(|(kind, count)| format!("{count} {}", kind.name()));
        kinds.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        assert_eq!(Failure::judge(b"HTTP/1.1 200 OK\r\na: b\r\n\r\nn1"), Ok("n1".to_owned()));
        for bad in ["", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\na: b", "HTTP/1.1 503 No\r\n\r\nn1"] {
            assert_eq!(Failure::judge(bad.as_bytes()), Err(Failure::BadAnswer), "{bad:?}");
        }
    }

    #[test]
    fn summaries_count_share_and_failures() {
        let records = [ok("n1"), ok("n2"), ok("n2"), failed(Failure::Timeout), ok("n2")];
        let summary = Summary::of(&records);
        assert_eq!((summary.requests, summary.failed()), (5, 1));
        assert_eq!((summary.share("n1"), summary.share("n2"), summary.share("n3")), (0.25, 0.75, 0.0));
        assert_eq!(summary.failures_in_words(), "1 timed out");
    }

    #[test]
    fn summaries_add_up() {
        let mut one = Summary::of(&[ok("n1"), failed(Failure::Reset)]);
        one.add(&Summary::of(&[ok("n1"), ok("d1"), failed(Failure::Reset)]));
        assert_eq!(
            one,
            Summary::of(&[ok("n1"), ok("n1"), ok("d1"), failed(Failure::Reset), failed(Failure::Reset)])
        );
    }

    #[test]
    fn nothing_asked_is_no_share_of_anything() {
        assert_eq!(Summary::default().share("n1"), 0.0);
        assert_eq!(Summary::default().failures_in_words(), "none");
    }

    fn ok(server: &str) -> Record {
        record(Ok(server.to_owned()))
    }

    fn failed(failure: Failure) -> Record {
        record(Err(failure))
    }

    fn record(outcome: Result<String, Failure>) -> Record {
        let now = Instant::now();
        Record { started: now, finished: now, port: None, outcome }
    }
}
