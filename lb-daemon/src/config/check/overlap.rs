//! Addresses that must not be the same.

use std::{collections::BTreeMap, net::Ipv4Addr};

use crate::config::{decode::At, errors::Report, raw};

/// Reports an address that moves with the role (a VIP, the NAT router address) and stands in the file a second time:
/// as another one, as a router's own, or as a real server.
pub(super) fn check(file: &raw::File, report: &mut Report) {
    let fixed = fixed(file);
    let mut moving: BTreeMap<Ipv4Addr, Place> = BTreeMap::new();
    for (address, place) in moving_addresses(file) {
        if let Some(Place { path, line }) = moving.get(&address) {
            let what = format!("{} {address} is already {path} (line {line})", place.path);
            report.wrong(place.line, what, "an address of its own");
            continue;
        }
        if let Some(Place { path, line }) = fixed.get(&address) {
            let what = format!("{} {address} is also {path} (line {line})", place.path);
            report.wrong(
                place.line,
                what,
                "an address that is neither router's own, since it moves between them",
            );
        }
        moving.insert(address, place);
    }
    for service in file.service.items() {
        for real in service.value.real.items() {
            let Some(At { value: address, line }) = real.value.address.at() else { continue };
            if let Some(Place { path, line: other }) = moving.get(address) {
                let what = format!("service.real.address {address} is also {path} (line {other})");
                report.wrong(line, what, "the real server's own address");
            }
        }
    }
}

/// Where an address stands.
struct Place {
    path: &'static str,
    line: usize,
}

/// VIPs and the NAT router address, in the order of the file's sections.
fn moving_addresses(file: &raw::File) -> impl Iterator<Item = (Ipv4Addr, Place)> {
    let nat_router = file.router.get().and_then(|router| router.nat_router.get());
    let nat_router = nat_router.into_iter().map(|vip| ("router.nat_router.address", &vip.address));
    let groups = file.group.items().iter().filter_map(|group| group.value.nat_router.get());
    let groups = groups.map(|vip| ("group.nat_router.address", &vip.address));
    let vips = file.vip.items().iter().map(|vip| ("vip.address", &vip.value.address));
    nat_router.chain(groups).chain(vips).filter_map(|(path, address)| {
        let At { value, line } = address.at()?;
        Some((value.addr(), Place { path, line }))
    })
}

/// Addresses of the routers themselves, and of the hosts that watch them.
fn fixed(file: &raw::File) -> BTreeMap<Ipv4Addr, Place> {
    let paths = file.peer.get().map_or(&[][..], |peer| peer.paths.items());
    let ends = paths.iter().flat_map(|path| {
        [("peer.paths.local", &path.value.local), ("peer.paths.remote", &path.value.remote)]
    });
    let ends = ends.filter_map(|(path, field)| Some((path, field.at()?)));
    let witnesses = file.peer.get().map_or(&[][..], |peer| peer.witness.items());
    let witnesses = witnesses.iter().map(|At { value, line }| ("peer.witness", At { value, line: *line }));
    ends.chain(witnesses)
        .filter_map(|(path, At { value, line })| Some((value.ipv4()?, Place { path, line })))
        .collect()
}
