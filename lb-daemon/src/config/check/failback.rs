//! `failback` and `failback_delay`, of `[peer]` and of each `[[group]]`, for which the former are the default.

use std::time::Duration;

use crate::config::{
    Failback,
    decode::{At, Field},
    errors::Report,
    raw,
    values::FailbackWord,
};

const DELAY: Duration = Duration::from_secs(5);

/// That of `[peer]`.
pub(super) fn of_peer(table: &raw::Peer, file: &raw::File, report: &mut Report) -> Option<Failback> {
    let (word, delay) = common(table)?;
    let is_auto = |group: &At<raw::Group>| matches!(group.value.failback.get(), Some(FailbackWord::Auto));
    match word {
        FailbackWord::Auto => Some(Failback::Auto { delay }),
        // It may be meant for the groups.
        FailbackWord::Manual if file.group.items().iter().any(is_auto) => Some(Failback::Manual),
        FailbackWord::Manual => {
            if let Some(At { line, .. }) = table.failback_delay.at() {
                report.wrong(line, "peer.failback_delay has no effect", "it only with failback = \"auto\"");
                return None;
            }
            Some(Failback::Manual)
        }
    }
}

/// That of a `[[group]]`; `None` within where it is that of `[peer]`.
pub(super) fn of_group(
    table: &raw::Group,
    file: &raw::File,
    report: &mut Report,
) -> Option<Option<Failback>> {
    let (own, own_delay) = (table.failback.optional()?, table.failback_delay.optional()?);
    if own.is_none() && own_delay.is_none() {
        return Some(None);
    }
    let (word, delay) = match &file.peer {
        Field::Set(peer) => common(&peer.value)?,
        Field::Absent => (FailbackWord::Manual, DELAY),
        Field::Bad => return None,
    };
    let delay = own_delay.map_or(delay, |delay| delay.0);
    match own.copied().unwrap_or(word) {
        FailbackWord::Auto => Some(Some(Failback::Auto { delay })),
        FailbackWord::Manual => {
            if let Some(At { line, .. }) = table.failback_delay.at() {
                let expected = "it only with failback = \"auto\", of the group or of [peer]";
                report.wrong(line, "group.failback_delay has no effect", expected);
                return None;
            }
            Some(Some(Failback::Manual))
        }
    }
}

fn common(table: &raw::Peer) -> Option<(FailbackWord, Duration)> {
    let delay = table.failback_delay.optional()?.map_or(DELAY, |delay| delay.0);
    Some((table.failback.or(FailbackWord::Manual)?, delay))
}
