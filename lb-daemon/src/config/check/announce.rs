//! `[announce]`

use std::time::Duration;

use humantime::format_duration;

use crate::config::{
    Announce,
    decode::At,
    errors::Report,
    raw,
    values::{Span, Whole},
};

/// A refresh more often than this is a flood.
const LEAST_REFRESH: Duration = Duration::from_secs(1);

/// `[announce]`, where there is one.
pub(super) fn announce(file: &raw::File, report: &mut Report) -> Option<Announce> {
    let default = Announce::default();
    let Some(table) = file.announce.optional()? else { return Some(default) };
    let refresh = refresh(table, report);
    Some(Announce {
        form: table.form.or(default.form)?,
        burst: table.burst.or(Whole(default.burst))?.0,
        spacing: table.spacing.or(Span(default.spacing))?.0,
        repeats: table.repeats.or(Whole(default.repeats))?.0,
        delay: table.delay.or(Span(default.delay))?.0,
        refresh: refresh?,
        refresh_burst: table.refresh_burst.or(Whole(default.refresh_burst))?.0,
    })
}

/// `refresh`, zero for none; the outer `None` stands for a mistake.
fn refresh(table: &raw::Announce, report: &mut Report) -> Option<Option<Duration>> {
    let At { value: refresh, line } = match table.refresh.optional()? {
        None => return Some(Announce::default().refresh),
        Some(_) => table.refresh.at()?,
    };
    let refresh = refresh.0;
    if refresh.is_zero() {
        return Some(None);
    }
    if refresh < LEAST_REFRESH {
        let what = format!("announce.refresh is {}", format_duration(refresh));
        report.wrong(
            line,
            what,
            format_args!("at least {}, or \"0s\" for none", format_duration(LEAST_REFRESH)),
        );
        return None;
    }
    Some(Some(refresh))
}
