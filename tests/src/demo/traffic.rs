//! The requests of a step: a steady stream to each virtual service.

use std::{
    collections::BTreeMap,
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::screen::bar;
use crate::lab::{
    Lab,
    capture::Capture,
    load::{
        Load, Plan,
        record::{Record, Summary},
    },
    router::Router,
    topology::{DIRECT_VIP, HTTP_PORT, NAT_VIP},
};

/// Requests a second to each service.
const RATE: u32 = 200;
/// Requests so old no longer count for the live figures.
const WINDOW: Duration = Duration::from_secs(1);
/// Cells of a share bar.
const BAR: usize = 6;

/// The service with NAT.
pub(crate) const NAT: SocketAddrV4 = SocketAddrV4::new(NAT_VIP, HTTP_PORT);
/// The service with direct routing.
pub(crate) const DIRECT: SocketAddrV4 = SocketAddrV4::new(DIRECT_VIP, HTTP_PORT);

/// Running streams.
#[derive(Debug)]
pub(crate) struct Traffic {
    nat: Load,
    direct: Load,
}

/// Streams that have ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Requests to [`NAT`], in the order of their ends.
    pub(crate) nat: Vec<Record>,
    /// Requests to [`DIRECT`].
    pub(crate) direct: Vec<Record>,
}

impl Traffic {
    /// Starts both streams.
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let start = |target| Load::start(lab.client()?, Plan::steady(target, RATE));
        Ok(Self { nat: start(NAT)?, direct: start(DIRECT)? })
    }

    /// Successful answers of `server` to requests begun after `since`.
    pub(crate) fn answered_since(&self, server: &str, since: Instant) -> u64 {
        let of = |load: &Load| load.summary_since(since).servers.get(server).copied().unwrap_or(0);
        of(&self.nat) + of(&self.direct)
    }

    /// Two lines of live figures.
    pub(crate) fn lines(&self) -> Vec<String> {
        vec![line("NAT   ", &self.nat, ["n1", "n2", "n3"]), line("direct", &self.direct, ["d1", "d2", "d3"])]
    }

    /// Ends both streams once their last requests have ended.
    pub(crate) fn finish(self) -> Result<Ended> {
        Ok(Ended { nat: self.nat.finish()?, direct: self.direct.finish()? })
    }
}

impl Ended {
    /// Every request.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Record> {
        self.nat.iter().chain(&self.direct)
    }

    /// All counted.
    pub(crate) fn summary(&self) -> Summary {
        Summary::of(self.all())
    }

    /// When the first request succeeded, in each stream, that `router` was given as a new connection after `since`; the
    /// later of both. `capture` has watched the router's port.
    pub(crate) fn first_through(
        &self,
        capture: &Capture,
        router: &Router,
        since: Instant,
    ) -> Option<Instant> {
        let mac = router.public().mac();
        let nat = first_of(&self.nat, &capture.connections(NAT, mac), since)?;
        let direct = first_of(&self.direct, &capture.connections(DIRECT, mac), since)?;
        Some(nat.max(direct))
    }

    /// Longest time between two successful answers, in the worse of the streams.
    pub(crate) fn longest_gap(&self) -> Option<Duration> {
        longest_gap(&self.nat).max(longest_gap(&self.direct))
    }
}

fn line(label: &str, load: &Load, servers: [&str; 3]) -> String {
    let recent =
        Instant::now().checked_sub(WINDOW).map_or_else(|| load.summary(), |start| load.summary_since(start));
    let shares = servers.map(|server| {
        let share = recent.share(server);
        format!("{server} {} {:>3.0}%", bar(share, BAR), share * 100.0)
    });
    let rate = recent.requests as f64 / WINDOW.as_secs_f64();
    let failed = load.summary().failed();
    format!("  {label} {rate:>4.0} req/s, {failed:>2} failed  {}", shares.join("  "))
}

/// The end of the first success among requests begun after `since` whose connection is among `connections`.
fn first_of(records: &[Record], connections: &[(Instant, u16)], since: Instant) -> Option<Instant> {
    let given: BTreeMap<u16, Instant> =
        connections.iter().filter(|(at, _)| *at >= since).map(|(at, port)| (*port, *at)).collect();
    let through = records.iter().filter(|record| {
        let was_given =
            record.port.and_then(|port| given.get(&port)).is_some_and(|at| *at <= record.finished);
        record.outcome.is_ok() && record.started >= since && was_given
    });
    through.map(|record| record.finished).min()
}

fn longest_gap(records: &[Record]) -> Option<Duration> {
    let ends: Vec<Instant> =
        records.iter().filter(|record| record.outcome.is_ok()).map(|record| record.finished).collect();
    ends.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::load::record::Failure;

    #[test]
    fn the_first_through_is_new_successful_and_seen() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let records = [
            // Begun before; failed; given to the other router; the one.
            record(at(0), at(50), 1, true),
            record(at(20), at(60), 2, false),
            record(at(20), at(70), 3, true),
            record(at(20), at(90), 4, true),
            record(at(30), at(80), 5, true),
        ];
        let seen = [(at(1), 1), (at(21), 2), (at(21), 4), (at(31), 5)];
        assert_eq!(first_of(&records, &seen, at(10)), Some(at(80)));
        assert_eq!(first_of(&records, &[], at(10)), None);
    }

    #[test]
    fn gaps_are_between_successes() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let records =
            [record(at(0), at(10), 1, true), record(at(0), at(20), 2, false), record(at(0), at(40), 3, true)];
        assert_eq!(longest_gap(&records), Some(Duration::from_millis(30)));
        assert_eq!(longest_gap(&records[..1]), None);
    }

    fn record(started: Instant, finished: Instant, port: u16, good: bool) -> Record {
        let outcome = if good { Ok("n1".to_owned()) } else { Err(Failure::Reset) };
        Record { started, finished, port: Some(port), outcome }
    }
}
