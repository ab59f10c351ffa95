//! `check` of `[[service]]`.

use std::time::Duration;

use humantime::format_duration;

use crate::config::{
    Check, Expect, Probe,
    decode::{At, Field},
    errors::Report,
    raw,
    values::{CheckType, Protocol, RequestPath, Span, Status, Text, Whole},
};

const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(1);
const RISE: u32 = 2;
const FALL: u32 = 2;

/// The check of a service; `Some(None)` for a service whose real servers are taken for healthy.
pub(super) fn check(service: &raw::Service, report: &mut Report) -> Option<Option<Check>> {
    let Some(At { value: table, .. }) = service.check.at() else {
        service.check.optional()?;
        return Some(match service.protocol.or(Protocol::Tcp)? {
            Protocol::Tcp => Some(by_default()),
            Protocol::Udp => None,
        });
    };
    let kind = *table.kind.get()?;
    reject_keys_of_other_kinds(table, kind, report);
    let times = times(table, report);
    let probe = match kind {
        CheckType::None => return Some(None),
        CheckType::Connect => Some(Probe::Connect),
        CheckType::SendExpect => send_expect(service, table, report),
        CheckType::Http => http(table),
    };
    let (interval, timeout) = times?;
    Some(Some(Check {
        probe: probe?,
        port: table.port.optional()?.map(|port| port.0),
        interval,
        timeout,
        rise: table.rise.or(Whole(RISE))?.0,
        fall: table.fall.or(Whole(FALL))?.0,
    }))
}

/// The check of a TCP service that names none.
fn by_default() -> Check {
    Check { probe: Probe::Connect, port: None, interval: INTERVAL, timeout: TIMEOUT, rise: RISE, fall: FALL }
}

/// Reports keys that mean nothing for a check of this kind.
fn reject_keys_of_other_kinds(table: &raw::Check, kind: CheckType, report: &mut Report) {
    let send_expect = [
        ("send", line(&table.send)),
        ("expect", line(&table.expect)),
        ("expect_regex", line(&table.expect_regex)),
    ];
    let http = [
        ("path", line(&table.path)),
        ("host", line(&table.host)),
        ("status", line(&table.status)),
        ("body", line(&table.body)),
    ];
    let any = [
        ("port", line(&table.port)),
        ("interval", line(&table.interval)),
        ("timeout", line(&table.timeout)),
        ("rise", line(&table.rise)),
        ("fall", line(&table.fall)),
    ];
    let mut reject = |keys: &[(&str, Option<usize>)], home: &str| {
        for (key, line) in keys {
            if let Some(line) = line {
                report.wrong(
                    *line,
                    format_args!("service.check.{key} has no effect"),
                    format_args!("it only with {home}"),
                );
            }
        }
    };
    if kind != CheckType::SendExpect {
        reject(&send_expect, "type = \"send_expect\"");
    }
    if kind != CheckType::Http {
        reject(&http, "type = \"http\"");
    }
    if kind == CheckType::None {
        reject(&any, "a type that asks something");
    }
}

/// The line of a key that is there.
fn line<T>(field: &Field<T>) -> Option<usize> {
    field.at().map(|at| at.line)
}

/// `interval` and `timeout`, and whether they go together. By default a check may take a second, or its interval
/// where that is shorter.
fn times(table: &raw::Check, report: &mut Report) -> Option<(Duration, Duration)> {
    let interval = table.interval.or(Span(INTERVAL))?.0;
    let timeout = table.timeout.or(Span(TIMEOUT.min(interval)))?.0;
    if timeout > interval {
        report.wrong(
            line(&table.timeout)?,
            format_args!("service.check.timeout is {}", format_duration(timeout)),
            format_args!("at most service.check.interval, {}", format_duration(interval)),
        );
        return None;
    }
    Some((interval, timeout))
}

/// A check with `type = "send_expect"`.
fn send_expect(service: &raw::Service, table: &raw::Check, report: &mut Report) -> Option<Probe> {
    let send = table.send.or(Text(String::new()));
    let expect = match (&table.expect, &table.expect_regex) {
        (Field::Bad, _) | (_, Field::Bad) => None,
        (Field::Set(prefix), Field::Absent) => Some(Expect::Prefix(prefix.value.0.clone().into_bytes())),
        (Field::Absent, Field::Set(regex)) => regex_of(&regex.value.0, regex.line, report).map(Expect::Regex),
        (Field::Set(_), Field::Set(regex)) => {
            let what = "both service.check.expect and service.check.expect_regex are given";
            report.wrong(regex.line, what, "one of them");
            None
        }
        (Field::Absent, Field::Absent) => {
            let what = "service.check.expect is missing";
            report.wrong(line(&service.check)?, what, "service.check.expect, or service.check.expect_regex");
            None
        }
    };
    Some(Probe::SendExpect { send: send?.0.into_bytes(), expect: expect? })
}

/// A regular expression over bytes.
fn regex_of(text: &str, line: usize, report: &mut Report) -> Option<regex::bytes::Regex> {
    regex::bytes::Regex::new(text)
        .map_err(|error| {
            // The error draws the expression and the place over several lines; the last one says what is wrong.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let what = format!("service.check.expect_regex is {text:?}: {reason}");
            report.wrong(line, what, "a regular expression (syntax of the Rust crate regex)");
        })
        .ok()
}

/// A check with `type = "http"`.
fn http(table: &raw::Check) -> Option<Probe> {
    Some(Probe::Http {
        path: table.path.or(RequestPath("/".to_owned()))?.0,
        host: table.host.optional()?.map(|host| host.0.clone()),
        status: table.status.or(Status(200..=399))?.0,
        body: table.body.optional()?.map(|body| body.0.clone()),
    })
}
