//! `[peer]`

use std::{io, path::Path, time::Duration};

use humantime::format_duration;

use super::{all, failback, unique::Unique};
use crate::config::{
    ConnectionSync, HeartbeatPath, HostAddress, Keys, Peer,
    decode::{At, Field},
    errors::Report,
    raw,
    values::{Span, Switch, Whole},
};

const PRIORITY: u8 = 100;
const INTERVAL: Duration = Duration::from_millis(200);
/// The port on which pulse of the Red Hat Load Balancer Add-On sends its heartbeats.
const PORT: u16 = 539;

/// Intervals that must be lost at least before the peer is taken for dead, and that are unless told otherwise: as many
/// as VRRP takes (RFC 5798 section 6.1, Master_Down_Interval).
const LOST_INTERVALS: u32 = 3;

/// `[peer]`
pub(super) fn peer(
    peer: &At<raw::Peer>,
    file: &raw::File,
    read_key: &dyn Fn(&Path) -> io::Result<String>,
    report: &mut Report,
) -> Option<Peer> {
    let table = &peer.value;
    let times = times(table, report);
    let failback = failback::of_peer(table, file, report);
    let keys = keys(peer, read_key, report);
    let paths = paths(table, report);
    let witnesses = witnesses(table, report);
    let sync = sync(table, report);
    let (interval, dead_after) = times?;
    Some(Peer {
        priority: table.priority.or(Whole(PRIORITY))?.0,
        interval,
        dead_after,
        failback: failback?,
        port: table.port.or(Whole(PORT))?.0,
        keys: keys?,
        witnesses: witnesses?,
        paths: paths?,
        sync: sync?,
    })
}

/// `sync`. Its port is the one after that of the heartbeat, unless it is given.
fn sync(table: &raw::Peer, report: &mut Report) -> Option<ConnectionSync> {
    let heartbeat = table.port.or(Whole(PORT))?.0;
    let sync = table.sync.optional()?;
    let enabled = sync.map_or(Some(true), |sync| sync.enabled.or(Switch(true)).map(|switch| switch.0))?;
    let half_open =
        sync.map_or(Some(false), |sync| sync.half_open.or(Switch(false)).map(|switch| switch.0))?;
    let given = sync.map_or(Some(None), |sync| sync.port.optional())?;
    let port = match (given, heartbeat.checked_add(1)) {
        (Some(port), _) => port.0,
        (None, Some(next)) => next,
        (None, None) => {
            // The default of the heartbeat's port has a port after it.
            let line = table.port.at()?.line;
            report.wrong(line, format_args!("no port follows peer.port, {heartbeat}"), "peer.sync.port");
            return None;
        }
    };
    Some(ConnectionSync { enabled, port, half_open })
}

/// `interval` and `dead_after`, and whether they go together.
fn times(table: &raw::Peer, report: &mut Report) -> Option<(Duration, Duration)> {
    let interval = table.interval.or(Span(INTERVAL))?.0;
    let least = interval * LOST_INTERVALS;
    let dead_after = table.dead_after.or(Span(least))?.0;
    if dead_after < least {
        // It stands in the file: the default is never too short.
        report.wrong(
            table.dead_after.at()?.line,
            format_args!("peer.dead_after is {}", format_duration(dead_after)),
            format_args!("at least {LOST_INTERVALS} times peer.interval, {}", format_duration(least)),
        );
        return None;
    }
    Some((interval, dead_after))
}

/// `key`, or what `key_file` holds. Neither ever shows in a message.
fn keys(
    peer: &At<raw::Peer>,
    read_key: &dyn Fn(&Path) -> io::Result<String>,
    report: &mut Report,
) -> Option<Keys> {
    let (source, line, text) = match (&peer.value.key, &peer.value.key_file) {
        (Field::Bad, _) | (_, Field::Bad) => return None,
        (Field::Absent, Field::Absent) => {
            report.wrong(peer.line, "peer.key_file is missing", "peer.key_file, or peer.key");
            return None;
        }
        (Field::Set(_), Field::Set(file)) => {
            report.wrong(file.line, "both peer.key and peer.key_file are given", "one of them");
            return None;
        }
        (Field::Set(key), Field::Absent) => ("peer.key", key.line, key.value.0.clone()),
        (Field::Absent, Field::Set(file)) => match read_key(&file.value.0) {
            Ok(text) => ("peer.key_file", file.line, text),
            Err(error) => {
                let path = file.value.0.display();
                report.wrong(
                    file.line,
                    format_args!("{path} cannot be read: {error}"),
                    "a file of mode 0600 that holds the keys, one a line",
                );
                return None;
            }
        },
    };
    Keys::parse(&text)
        .map_err(|(what, expected)| report.wrong(line, format_args!("{source} holds {what}"), expected))
        .ok()
}

/// `witness`: hosts that are neither of the routers.
fn witnesses(table: &raw::Peer, report: &mut Report) -> Option<Vec<HostAddress>> {
    let mut seen = Unique::new();
    let ends =
        || table.paths.items().iter().flat_map(|path| [path.value.local.get(), path.value.remote.get()]);
    for At { value: witness, line } in table.witness.items() {
        if let Some(first) = seen.claim(witness, *line) {
            report.wrong(*line, format_args!("peer.witness has {witness} twice (line {first})"), "each once");
        }
        if ends().flatten().any(|end| end == witness) {
            let what = format!("peer.witness has {witness}, which is in peer.paths");
            report.wrong(*line, what, "a host that is neither router");
        }
    }
    let witnesses = table.witness.items().iter().map(|witness| witness.value.clone()).collect();
    table.witness.is_complete().then_some(witnesses)
}

/// `paths`: at least one, and no address on two of them, for then they would not be two ways.
fn paths(table: &raw::Peer, report: &mut Report) -> Option<Vec<HeartbeatPath>> {
    let list = table.paths.at()?;
    if list.value.items.is_empty() && list.value.complete {
        report.wrong(list.line, "peer.paths is empty", "at least one path");
        return None;
    }
    let (mut locals, mut remotes) = (Unique::new(), Unique::new());
    let paths = all(list.value.items.iter().map(|At { value: path, .. }| {
        for (end, seen, field) in
            [("local", &mut locals, &path.local), ("remote", &mut remotes, &path.remote)]
        {
            if let Some(At { value: address, line }) = field.at()
                && let Some(first) = seen.claim(address, line)
            {
                let what = format!("peer.paths.{end} is {address} on two paths (line {first})");
                report.wrong(line, what, "another address on each path");
            }
        }
        let (local, remote) = (path.local.at()?, path.remote.at()?);
        if local.value == remote.value {
            let what = format!("peer.paths.remote is {}, like local", remote.value);
            report.wrong(remote.line, what, "an address of the other router");
        }
        let (local, remote) = (local.value.clone(), remote.value.clone());
        if local.ip.is_ipv4() != remote.ip.is_ipv4() || local.interface != remote.interface {
            let what = format!("peer.paths.remote is {remote}, and local {local}");
            report.wrong(
                path.remote.at()?.line,
                what,
                "one family, and one interface where they are link-local",
            );
        }
        Some(HeartbeatPath { local, remote })
    }));
    paths.filter(|_| list.value.complete)
}
