//! `[[service]]` and `[[service.real]]`.

use std::{collections::BTreeSet, net::Ipv4Addr};

use lb_common::{Method, Scheduler, ServiceKey};

use super::{all, health, unique::Unique};
use crate::config::{
    Real, Service,
    decode::{At, Field},
    errors::Report,
    raw,
    values::{Protocol, Whole},
};

const WEIGHT: u32 = 1;

/// Every `[[service]]`.
pub(super) fn services(file: &raw::File, report: &mut Report) -> Option<Vec<Service>> {
    let vips = declared(file);
    let (mut names, mut keys) = (Unique::new(), Unique::new());
    let services = all(file.service.items().iter().map(|At { value: table, line }| {
        reject_undeclared(table, vips.as_ref(), report);
        if let Some(At { value: name, line }) = table.name.at()
            && let Some(first) = names.claim(&name.0, line)
        {
            let what = format!("service.name \"{}\" is taken (line {first})", name.0);
            report.wrong(line, what, "a name of its own");
        }
        let key = key(table);
        if let Some((protocol, key)) = key
            && let Some(first) = keys.claim(key, *line)
        {
            let address = Ipv4Addr::from(key.address);
            let word = match protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            };
            let what = format!("{word} {address}:{} is already a service (line {first})", key.port);
            report.wrong(*line, what, "another address, port or protocol");
        }
        service(table, key.map(|(_, key)| key), report)
    }));
    services.filter(|_| file.service.is_complete())
}

/// Addresses of the VIPs; `None` where a mistake hides one of them.
fn declared(file: &raw::File) -> Option<BTreeSet<Ipv4Addr>> {
    let vips = file.vip.items().iter().map(|vip| vip.value.address.get().map(|net| net.addr()));
    vips.collect::<Option<_>>().filter(|_| file.vip.is_complete())
}

/// Reports a service whose address is no VIP.
fn reject_undeclared(table: &raw::Service, vips: Option<&BTreeSet<Ipv4Addr>>, report: &mut Report) {
    let (Some(At { value: address, line }), Some(vips)) = (table.address.at(), vips) else { return };
    if !vips.contains(address) {
        let what = format!("service.address {address} is no virtual address");
        report.wrong(line, what, format_args!("a [[vip]] with address = \"{address}\""));
    }
}

/// What a service is known by.
fn key(table: &raw::Service) -> Option<(Protocol, ServiceKey)> {
    let protocol = table.protocol.or(Protocol::Tcp)?;
    let key = ServiceKey::new(protocol.number(), table.address.get()?.octets(), table.port.get()?.0);
    Some((protocol, key))
}

/// One `[[service]]`.
fn service(table: &raw::Service, key: Option<ServiceKey>, report: &mut Report) -> Option<Service> {
    let reals = reals(table, report);
    let check = health::check(table, report);
    Some(Service {
        name: table.name.get()?.0.clone(),
        key: key?,
        scheduler: table.scheduler.or(Scheduler::WeightedRoundRobin)?,
        check: check?,
        reals: reals?,
    })
}

/// Every `[[service.real]]` of a service: names, and addresses with their ports, stand once.
fn reals(service: &raw::Service, report: &mut Report) -> Option<Vec<Real>> {
    let (mut names, mut targets) = (Unique::new(), Unique::new());
    let reals = all(service.real.items().iter().map(|At { value: table, line }| {
        let real = real(table, service, report)?;
        if let Some(first) = targets.claim((real.address, real.port), *line) {
            let what = format!("service.real {}:{} stands twice (line {first})", real.address, real.port);
            report.wrong(*line, what, "each address and port once in a service");
            return Some(real);
        }
        let line = table.name.at().map_or(*line, |name| name.line);
        if let Some(first) = names.claim(real.name.clone(), line) {
            let what = format!("service.real.name \"{}\" is taken (line {first})", real.name);
            report.wrong(line, what, "a name of its own within the service");
        }
        Some(real)
    }));
    reals.filter(|_| service.real.is_complete())
}

/// One `[[service.real]]`.
fn real(table: &raw::Real, service: &raw::Service, report: &mut Report) -> Option<Real> {
    let method = table.method.or(Method::Nat)?;
    if method == Method::Direct
        && let (Some(At { value: port, line }), Some(of_service)) = (table.port.at(), service.port.get())
        && port.0 != of_service.0
    {
        let what = format!("service.real.port is {} with method = \"direct\"", port.0);
        report.wrong(
            line,
            what,
            format_args!("{}, the service's, for direct routing changes no port", of_service.0),
        );
    }
    let address = *table.address.get()?;
    let port = match &table.port {
        Field::Absent => service.port.get()?.0,
        Field::Bad => return None,
        Field::Set(port) => port.value.0,
    };
    let name = table.name.optional()?.map_or_else(|| format!("{address}:{port}"), |name| name.0.clone());
    Some(Real { name, address, port, weight: table.weight.or(Whole(WEIGHT))?.0, method })
}
