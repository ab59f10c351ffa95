//! From the file as written to the validated [`Config`]: defaults, and what one key means for another. Every mistake
//! is reported; a function returns `None` where one left it without a value.

mod announce;
mod command;
mod failback;
mod group;
mod health;
mod notify;
mod overlap;
mod peer;
mod router;
mod service;
mod track;
mod unique;
mod virtual_mac;

use std::{io, path::Path};

use super::{Config, Daemon, Host, Limits, decode::Field, errors::Report, raw};

/// The configuration that `file` says; `None` after reporting at least one mistake.
pub(super) fn check(
    file: &raw::File,
    host: &Host,
    read_key: &dyn Fn(&Path) -> io::Result<String>,
    report: &mut Report,
) -> Option<Config> {
    overlap::check(file, report);
    virtual_mac::check(file, report);
    let router = router::router(file, host, report);
    let vips = router::vips(file, report);
    let groups = group::groups(file, report);
    let peer = match &file.peer {
        Field::Absent => Some(None),
        Field::Bad => None,
        Field::Set(peer) => peer::peer(peer, file, read_key, report).map(Some),
    };
    let tracks = track::tracks(file, host, report);
    let notify = notify::notify(file, report);
    let announce = announce::announce(file, report);
    announce.iter().for_each(|announce| virtual_mac::check_refresh(file, announce, report));
    let services = service::services(file, report);
    let limits = limits(file, report);
    let daemon = daemon(file);
    Some(Config {
        router: router?,
        peer: peer?,
        tracks: tracks?,
        notify: notify?,
        announce: announce?,
        groups: groups?,
        vips: vips?,
        services: services?,
        limits: limits?,
        daemon: daemon?,
    })
}

/// `[limits]`, and whether the file keeps to them.
fn limits(file: &raw::File, report: &mut Report) -> Option<Limits> {
    let default = Limits::default();
    let Some(table) = file.limits.optional()? else { return within(default, 0, file, report) };
    let limits = Limits {
        flows: table.flows.optional()?.map_or(default.flows, |flows| flows.0),
        services: table.services.optional()?.map_or(default.services, |services| services.0),
        reals: table.reals.optional()?.map_or(default.reals, |reals| reals.0),
    };
    within(limits, file.limits.at()?.line, file, report)
}

/// `limits`, if the services and real servers of the file do not exceed them;
/// `line` is that of `[limits]`, 0 where the file has none.
fn within(limits: Limits, line: usize, file: &raw::File, report: &mut Report) -> Option<Limits> {
    let services = file.service.items();
    let reals: usize = services.iter().map(|service| service.value.real.items().len()).sum();
    let mut fits = true;
    for (key, limit, needed) in
        [("services", limits.services, services.len()), ("reals", limits.reals, reals)]
    {
        if u32::try_from(needed).is_ok_and(|needed| needed <= limit) {
            continue;
        }
        report.wrong(
            line,
            format_args!("limits.{key} is {limit}"),
            format_args!("at least {needed}, as many as there are"),
        );
        fits = false;
    }
    fits.then_some(limits)
}

/// `[daemon]`
fn daemon(file: &raw::File) -> Option<Daemon> {
    let default = Daemon::default();
    let Some(table) = file.daemon.optional()? else { return Some(default) };
    Some(Daemon {
        pin_dir: table.pin_dir.optional()?.map_or(default.pin_dir, |path| path.0.clone()),
        socket: table.socket.optional()?.map_or(default.socket, |path| path.0.clone()),
        bpf_log: table.bpf_log.or(default.bpf_log)?,
    })
}

/// The results of all, which have all been asked for; `None` if one is missing.
fn all<T>(results: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    // Collecting into an `Option` would stop at the first mistake and leave the others unreported.
    let results: Vec<Option<T>> = results.collect();
    results.into_iter().collect()
}
