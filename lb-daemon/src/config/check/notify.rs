//! `[notify]`

use std::time::Duration;

use super::command;
use crate::config::{
    Command, Notify,
    decode::{Field, List},
    errors::Report,
    raw,
    values::{Name, SomeText, Span},
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// `[notify]`, where there is one.
pub(super) fn notify(file: &raw::File, report: &mut Report) -> Option<Notify> {
    let Some(table) = file.notify.optional()? else { return Some(Notify::default()) };
    let user = table.user.or(Name(command::USER.to_owned()));
    let timeout = table.timeout.or(Span(TIMEOUT));
    let mut words =
        |key: &str, field: &Field<List<SomeText>>| command::words(field, &format!("notify.{key}"), report);
    let active = words("active_cmd", &table.active_cmd);
    let standby = words("standby_cmd", &table.standby_cmd);
    let inactive = words("inactive_cmd", &table.inactive_cmd);
    let fault = words("fault_cmd", &table.fault_cmd);
    let event = words("event_cmd", &table.event_cmd);
    if let (Some(_), Some(inactive)) = (table.standby_cmd.at(), table.inactive_cmd.at()) {
        let what = "both notify.standby_cmd and notify.inactive_cmd are given";
        report.wrong(inactive.line, what, "one of them: they are two names for the same");
    }
    let (user, timeout) = (user?.0, timeout?.0);
    let command =
        |words: Option<Vec<String>>| words.map(|words| Command { words, user: user.clone(), timeout });
    Some(Notify {
        active: command(active?),
        standby: command(standby?.or(inactive?)),
        fault: command(fault?),
        event: command(event?),
    })
}
