//! `[router]` and `[[vip]]`.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;

use super::{all, unique::Unique, virtual_mac};
use crate::config::{
    Host, Router, Vip,
    decode::{At, Field, Scalar},
    errors::Report,
    load::host_name,
    raw,
    values::{Interface, Name},
};

/// `[router]`
pub(super) fn router(file: &raw::File, host: &Host, report: &mut Report) -> Option<Router> {
    let At { value: table, line } = file.router.at()?;
    let name = match &table.name {
        Field::Absent => name_of_host(line, report),
        Field::Bad => None,
        Field::Set(name) => Some(name.value.0.clone()),
    };
    let interfaces = interfaces(table, host, report);
    let nat_router = match &table.nat_router {
        Field::Absent => Some(None),
        Field::Bad => None,
        Field::Set(At { value, .. }) => {
            moving_address("router.nat_router", &value.address, &value.interface, table, report).map(Some)
        }
    };
    let virtual_mac = virtual_mac::read(&table.virtual_mac);
    Some(Router { name: name?, interfaces: interfaces?, nat_router: nat_router?, virtual_mac: virtual_mac? })
}

/// The host's name instead of `name`, if it can be a router's.
fn name_of_host(line: usize, report: &mut Report) -> Option<String> {
    let name = host_name().ok().and_then(|name| Name::new(&name));
    if name.is_none() {
        report.wrong(line, "router.name is missing, and the host's name is none", Name::expected());
    }
    name.map(|name| name.0)
}

/// `interfaces` of `[router]`: at least one, none twice, all of them there.
fn interfaces(table: &raw::Router, host: &Host, report: &mut Report) -> Option<BTreeSet<String>> {
    let list = table.interfaces.at()?;
    if list.value.items.is_empty() && list.value.complete {
        report.wrong(list.line, "router.interfaces is empty", "at least one network interface");
    }
    let mut seen = Unique::new();
    for At { value: Interface(name), line } in &list.value.items {
        if let Some(first) = seen.claim(name, *line) {
            report.wrong(
                *line,
                format_args!("router.interfaces has \"{name}\" twice (line {first})"),
                "each once",
            );
        }
        if let Some(known) = host.interfaces.as_ref().filter(|known| !known.contains(name)) {
            let known = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            report.wrong(
                *line,
                format_args!("router.interfaces: there is no network interface \"{name}\""),
                format_args!("one of {known}"),
            );
        }
    }
    Some(list.value.items.iter().map(|item| item.value.0.clone()).collect())
}

/// `[[vip]]`
pub(super) fn vips(file: &raw::File, report: &mut Report) -> Option<Vec<Vip>> {
    let router = file.router.get();
    let vips =
        all(file.vip.items().iter().map(|At { value, .. }| {
            moving_address("vip", &value.address, &value.interface, router?, report)
        }));
    vips.filter(|_| file.vip.is_complete())
}

/// An address that moves with the role: its interface must be one that the program is attached to.
pub(super) fn moving_address(
    path: &str,
    address: &Field<Ipv4Net>,
    interface: &Field<Interface>,
    router: &raw::Router,
    report: &mut Report,
) -> Option<Vip> {
    let interface = interface.at();
    let attached = router.interfaces.items();
    if let Some(At { value: Interface(name), line }) = interface
        && router.interfaces.is_complete()
        && !attached.iter().any(|item| item.value.0 == *name)
    {
        let names: Vec<&str> = attached.iter().map(|item| item.value.0.as_str()).collect();
        report.wrong(
            line,
            format_args!("{path}.interface is \"{name}\""),
            format_args!("one of router.interfaces: {}", names.join(", ")),
        );
    }
    Some(Vip { address: *address.get()?, interface: interface?.value.0.clone() })
}
