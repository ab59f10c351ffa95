//! `[[track]]`

use std::time::Duration;

use humantime::format_duration;

use super::{all, command, group, unique::Unique};
use crate::config::{
    Command, Host, Track, TrackProbe,
    decode::{At, Field},
    errors::Report,
    raw,
    values::{Name, Span, TrackType, Whole},
};

/// What stands for keys that are absent.
struct Defaults {
    interval: Duration,
    timeout: Duration,
    rise: u32,
    fall: u32,
}

/// A link is looked at in memory, and has failed when it has; a host may lose a packet, a script may have a bad day.
const fn defaults(kind: TrackType) -> Defaults {
    let (interval, timeout, rise, fall) = match kind {
        TrackType::Link => (200, 200, 10, 1),
        TrackType::Gateway => (1000, 500, 3, 3),
        TrackType::Script => (5000, 3000, 2, 2),
    };
    Defaults {
        interval: Duration::from_millis(interval),
        timeout: Duration::from_millis(timeout),
        rise,
        fall,
    }
}

/// Every `[[track]]`.
pub(super) fn tracks(file: &raw::File, host: &Host, report: &mut Report) -> Option<Vec<Track>> {
    let mut names = Unique::new();
    let tracks = all(file.track.items().iter().map(|track| {
        if let Some(At { value: name, line }) = track.value.name.at()
            && let Some(first) = names.claim(&name.0, line)
        {
            let what = format!("track.name \"{}\" is taken (line {first})", name.0);
            report.wrong(line, what, "a name of its own");
        }
        self::track(track, file, host, report)
    }));
    tracks.filter(|_| file.track.is_complete())
}

fn track(track: &At<raw::Track>, file: &raw::File, host: &Host, report: &mut Report) -> Option<Track> {
    let table = &track.value;
    let kind = *table.kind.get()?;
    let defaults = defaults(kind);
    reject_keys_of_other_kinds(table, kind, report);
    let times = times(table, &defaults, report);
    let effect = effect(track, report);
    let interface = interface(table, host, report);
    let groups = group::named(&table.groups, "track.groups", file, report);
    let probe = match kind {
        TrackType::Link => {
            let named = required(
                &table.interface,
                "interface",
                track.line,
                "the name of a network interface",
                report,
            );
            interface.flatten().filter(|_| named).map(|interface| TrackProbe::Link { interface })
        }
        TrackType::Gateway => {
            let named = required(&table.address, "address", track.line, "the address of a host", report);
            let address = table.address.get().filter(|_| named).cloned();
            address.zip(times).zip(interface).map(|((address, (_, timeout)), interface)| {
                TrackProbe::Gateway { address, interface, timeout }
            })
        }
        TrackType::Script => {
            required(&table.command, "command", track.line, "a program and its arguments", report);
            script(table, times, report)
        }
    };
    let (interval, _) = times?;
    let (weight, fault) = effect?;
    Some(Track {
        name: table.name.get()?.0.clone(),
        probe: probe?,
        interval,
        rise: table.rise.or(Whole(defaults.rise))?.0,
        fall: table.fall.or(Whole(defaults.fall))?.0,
        weight,
        fault,
        groups: groups?,
    })
}

fn script(
    table: &raw::Track,
    times: Option<(Duration, Duration)>,
    report: &mut Report,
) -> Option<TrackProbe> {
    let words = command::words(&table.command, "track.command", report);
    let user = table.user.or(Name(command::USER.to_owned()))?.0;
    Some(TrackProbe::Script(Command { words: words??, user, timeout: times?.1 }))
}

/// The interface that is named, if one is; it must be there.
fn interface(table: &raw::Track, host: &Host, report: &mut Report) -> Option<Option<String>> {
    let name = table.interface.optional()?.map(|interface| interface.0.clone());
    if let (Some(name), Some(known), Some(line)) = (&name, &host.interfaces, line(&table.interface))
        && !known.contains(name)
    {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let what = format!("track.interface: there is no network interface \"{name}\"");
        report.wrong(line, what, format_args!("one of {}", known.join(", ")));
    }
    Some(name)
}

/// `weight` and `fault`, one of which at least does something.
fn effect(track: &At<raw::Track>, report: &mut Report) -> Option<(u8, bool)> {
    let weight = track.value.weight.optional()?.map_or(0, |weight| weight.0);
    let fault = track.value.fault.or(false)?;
    if weight == 0 && !fault {
        report.wrong(track.line, "track.weight is missing", "track.weight, or track.fault = true");
        return None;
    }
    Some((weight, fault))
}

/// `interval` and `timeout`, and whether they go together.
fn times(table: &raw::Track, defaults: &Defaults, report: &mut Report) -> Option<(Duration, Duration)> {
    let interval = table.interval.or(Span(defaults.interval))?.0;
    let timeout = table.timeout.or(Span(defaults.timeout.min(interval)))?.0;
    if timeout > interval {
        report.wrong(
            line(&table.timeout)?,
            format_args!("track.timeout is {}", format_duration(timeout)),
            format_args!("at most track.interval, {}", format_duration(interval)),
        );
        return None;
    }
    Some((interval, timeout))
}

/// Reports keys that mean nothing for a track of this kind.
fn reject_keys_of_other_kinds(table: &raw::Track, kind: TrackType, report: &mut Report) {
    let keys = [
        (
            "interface",
            line(&table.interface),
            &[TrackType::Link, TrackType::Gateway][..],
            "\"link\" or \"gateway\"",
        ),
        ("address", line(&table.address), &[TrackType::Gateway], "\"gateway\""),
        ("command", line(&table.command), &[TrackType::Script], "\"script\""),
        ("user", line(&table.user), &[TrackType::Script], "\"script\""),
        (
            "timeout",
            line(&table.timeout),
            &[TrackType::Gateway, TrackType::Script],
            "\"gateway\" or \"script\"",
        ),
    ];
    for (key, line, kinds, words) in keys {
        if let Some(line) = line.filter(|_| !kinds.contains(&kind)) {
            let what = format!("track.{key} has no effect");
            report.wrong(line, what, format_args!("it only with type = {words}"));
        }
    }
}

/// Whether a key that this kind needs is there; reported if not.
fn required<T>(field: &Field<T>, key: &str, line: usize, expected: &str, report: &mut Report) -> bool {
    if matches!(field, Field::Absent) {
        report.wrong(line, format_args!("track.{key} is missing"), expected);
    }
    matches!(field, Field::Set(_))
}

/// The line of a key that is there.
fn line<T>(field: &Field<T>) -> Option<usize> {
    field.at().map(|at| at.line)
}
