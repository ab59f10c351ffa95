//! `[announce]`

use std::time::Duration;

use humantime::format_duration;

use crate::config::{
    Announce,
    decode::{At, Field},
    errors::Report,
    raw,
    values::{Span, Whole},
};

/// More often than this is a flood.
const LEAST: Duration = Duration::from_secs(1);

/// `[announce]`, where there is one.
pub(super) fn announce(file: &raw::File, report: &mut Report) -> Option<Announce> {
    let default = Announce::default();
    let Some(table) = file.announce.optional()? else { return Some(default) };
    let refresh = period("refresh", &table.refresh, default.refresh, report);
    let probe = period("probe", &table.probe, default.probe, report);
    Some(Announce {
        form: table.form.or(default.form)?,
        burst: table.burst.or(Whole(default.burst))?.0,
        spacing: table.spacing.or(Span(default.spacing))?.0,
        repeats: table.repeats.or(Whole(default.repeats))?.0,
        delay: table.delay.or(Span(default.delay))?.0,
        refresh: refresh?,
        refresh_burst: table.refresh_burst.or(Whole(default.refresh_burst))?.0,
        probe: probe?,
    })
}

/// Time between two of something, zero for never; the outer `None` stands for a mistake.
fn period(
    key: &str,
    field: &Field<Span<0, 86_400_000>>,
    default: Option<Duration>,
    report: &mut Report,
) -> Option<Option<Duration>> {
    if field.optional()?.is_none() {
        return Some(default);
    }
    let At { value: Span(period), line } = field.at()?;
    if period.is_zero() {
        return Some(None);
    }
    if *period < LEAST {
        let what = format!("announce.{key} is {}", format_duration(*period));
        report.wrong(line, what, format_args!("at least {}, or \"0s\" for none", format_duration(LEAST)));
        return None;
    }
    Some(Some(*period))
}
