//! `[[group]]`, and what belongs to one.

use std::{collections::BTreeMap, net::Ipv4Addr};

use lb_common::{LEASES, Method};

use super::{all, failback, router::moving_address, unique::Unique, virtual_mac};
use crate::config::{
    Group,
    decode::{At, Field, List},
    errors::Report,
    raw,
    values::Name,
};

/// Most groups of a pair: each has heartbeats of its own, and a lease.
const MOST: usize = LEASES;

/// Every `[[group]]`, in the order of their names.
pub(super) fn groups(file: &raw::File, report: &mut Report) -> Option<Vec<Group>> {
    let mut names = Unique::new();
    let items = file.group.items();
    if let Some(one_more) = items.get(MOST) {
        report.wrong(
            one_more.line,
            format_args!("there are {} groups", items.len()),
            format_args!("at most {MOST}"),
        );
    }
    let groups = all(items.iter().map(|At { value: table, .. }| {
        if let Some(At { value: name, line }) = table.name.at()
            && let Some(first) = names.claim(&name.0, line)
        {
            let what = format!("group.name \"{}\" is taken (line {first})", name.0);
            report.wrong(line, what, "a name of its own");
        }
        group(table, file, report)
    }));
    vips_have_their_group(file, report);
    gateway_has_its_group(file, report);
    servers_have_one_gateway(file, report);
    let mut groups = groups.filter(|_| file.group.is_complete())?;
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Some(groups)
}

/// Names in a list of groups; reported where there is none of that name.
pub(super) fn named(
    list: &Field<List<Name>>,
    path: &str,
    file: &raw::File,
    report: &mut Report,
) -> Option<Vec<String>> {
    for At { value: name, line } in list.items() {
        known(name, *line, path, file, report);
    }
    list.is_complete().then(|| list.items().iter().map(|name| name.value.0.clone()).collect())
}

fn group(table: &raw::Group, file: &raw::File, report: &mut Report) -> Option<Group> {
    let nat_router = match &table.nat_router {
        Field::Absent => None,
        Field::Bad => return None,
        Field::Set(At { value, .. }) => {
            let (address, interface) = (&value.address, &value.interface);
            Some(moving_address("group.nat_router", address, interface, file.router.get()?, report)?)
        }
    };
    let failback = failback::of_group(table, file, report);
    let name = table.name.get()?.0.clone();
    let is_here = |vip: &&At<raw::Vip>| vip.value.group.get().is_some_and(|group| group.0 == name);
    let vips = file.vip.items().iter().filter(is_here);
    Some(Group {
        priority: table.priority.optional()?.map(|priority| priority.0),
        failback: failback?,
        vips: vips.filter_map(|vip| vip.value.address.get()).map(|net| net.addr()).collect(),
        name,
        nat_router,
        virtual_mac: virtual_mac::read(&table.virtual_mac)?,
    })
}

/// Where there are groups, each VIP is in one of them.
fn vips_have_their_group(file: &raw::File, report: &mut Report) {
    for At { value: vip, line } in file.vip.items() {
        match &vip.group {
            Field::Set(At { value: name, line }) => known(name, *line, "vip.group", file, report),
            Field::Absent if !file.group.items().is_empty() => {
                report.wrong(*line, "vip.group is missing", format_args!("one of {}", names(file)));
            }
            Field::Absent | Field::Bad => {}
        }
    }
}

/// The gateway of all is nobody's where there are groups.
fn gateway_has_its_group(file: &raw::File, report: &mut Report) {
    let gateway = file.router.get().and_then(|router| router.nat_router.at());
    if let Some(At { line, .. }) = gateway.filter(|_| !file.group.items().is_empty()) {
        let what = "router.nat_router moves with no role where there are groups";
        report.wrong(line, what, "nat_router of a [[group]]");
    }
}

/// A NAT real server has one gateway, which moves with one group.
fn servers_have_one_gateway(file: &raw::File, report: &mut Report) {
    let mut owners: BTreeMap<Ipv4Addr, (&str, usize)> = BTreeMap::new();
    for At { value: service, .. } in file.service.items() {
        let Some(group) = group_of(service, file) else { continue };
        for At { value: real, .. } in service.real.items() {
            let Some(At { value: address, line }) = real.address.at() else { continue };
            if real.method.or(Method::Nat) != Some(Method::Nat) {
                continue;
            }
            let (owner, first) = *owners.entry(*address).or_insert((group, line));
            if owner != group {
                let what = format!(
                    "service.real.address {address} is in the groups {owner} (line {first}) and {group}"
                );
                report.wrong(line, what, "a NAT real server in one group alone, whose gateway it uses");
            }
        }
    }
}

/// The group of a service's VIP.
fn group_of<'a>(service: &raw::Service, file: &'a raw::File) -> Option<&'a str> {
    let address = service.address.get()?;
    let vip = file
        .vip
        .items()
        .iter()
        .find(|vip| vip.value.address.get().map(|net| net.addr()) == Some(*address))?;
    vip.value.group.get().map(|name| name.0.as_str())
}

fn known(name: &Name, line: usize, path: &str, file: &raw::File, report: &mut Report) {
    let groups = file.group.items();
    let exists = groups.iter().any(|group| group.value.name.get().is_some_and(|other| other.0 == name.0));
    // One whose name is a mistake may be meant.
    let all_named = file.group.is_complete() && groups.iter().all(|group| group.value.name.get().is_some());
    if !exists && all_named {
        let expected = match groups.is_empty() {
            true => format!("a [[group]] with name = \"{}\"", name.0),
            false => format!("one of {}", names(file)),
        };
        report.wrong(line, format_args!("{path}: there is no group \"{}\"", name.0), expected);
    }
}

fn names(file: &raw::File) -> String {
    let names = file.group.items().iter().filter_map(|group| group.value.name.get());
    names.map(|name| format!("\"{}\"", name.0)).collect::<Vec<_>>().join(", ")
}
