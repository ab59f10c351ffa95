//! What stands, and a reconciliation under way: netlink does what `plan` has decided.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::Ipv4Addr,
};

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::AddressMessageBuilder;

use super::{
    Change,
    plan::{self, Standing},
    promote::Promotion,
};
use crate::{
    config::Vip,
    netlink::{
        self,
        snapshot::{self, ADDRESS_OWNER},
        socket::Requests,
    },
};

/// Interfaces and what stands on them.
pub(super) struct Host {
    /// Interface indices by name.
    links: BTreeMap<String, u32>,
    /// Every IPv4 address.
    pub(super) standing: Vec<Standing>,
}

impl Host {
    pub(super) async fn read(requests: &Requests) -> Result<Self, netlink::Error> {
        let links = requests.links().await?;
        let links: BTreeMap<String, u32> =
            links.iter().filter_map(snapshot::link).map(|(name, link)| (name, link.index)).collect();
        let names: BTreeMap<u32, &str> = links.iter().map(|(name, index)| (*index, name.as_str())).collect();
        let standing = requests
            .addresses()
            .await?
            .into_iter()
            .filter_map(|message| Standing::of(message, &names))
            .collect();
        Ok(Self { links, standing })
    }
}

/// A reconciliation under way.
pub(super) struct Work {
    pub(super) requests: Requests,
    pub(super) changes: Vec<Change>,
    /// One line each.
    pub(super) failures: Vec<String>,
}

impl Work {
    pub(super) async fn add(&mut self, host: &Host, missing: &[&Vip]) {
        for vip in missing {
            let action = format!("add {} to {}", vip.address, vip.interface);
            let result = match host.links.get(&vip.interface) {
                Some(index) => self.requests.add_address(action, message(*index, vip)).await,
                None => Err(no_such_interface(action)),
            };
            // EEXIST: someone has been quicker.
            self.note(result, libc::EEXIST, Change::Added((*vip).clone()));
        }
    }

    pub(super) async fn remove(&mut self, host: &Host, removals: &[&Standing]) -> Result<(), netlink::Error> {
        let endangered = plan::endangered(&host.standing, removals);
        let interfaces: BTreeSet<&str> =
            endangered.iter().map(|other| other.vip.interface.as_str()).collect();
        let promotions: Vec<Promotion> = interfaces.into_iter().filter_map(Promotion::enable).collect();
        for standing in removals {
            let action = format!("remove {} from {}", standing.vip.address, standing.vip.interface);
            let result = self.requests.remove_address(action, standing.message.clone()).await;
            // EADDRNOTAVAIL: someone has been quicker.
            self.note(result, libc::EADDRNOTAVAIL, Change::Removed(standing.vip.clone()));
        }
        drop(promotions);
        if endangered.is_empty() { Ok(()) } else { self.restore(&endangered).await }
    }

    /// Puts back what went down with a floating address after all: where promotion could not be switched on.
    async fn restore(&mut self, endangered: &[&Standing]) -> Result<(), netlink::Error> {
        let now = Host::read(&self.requests).await?.standing;
        for lost in endangered.iter().filter(|other| !now.iter().any(|standing| standing.vip == other.vip)) {
            let action = format!("put {} back on {}", lost.vip.address, lost.vip.interface);
            let result = self.requests.add_address(action, lost.message.clone()).await;
            self.note(result, libc::EEXIST, Change::Restored(lost.vip.clone()));
        }
        Ok(())
    }

    /// Notes a result; the error `fine` means that nothing was left to do.
    fn note(&mut self, result: Result<(), netlink::Error>, fine: i32, change: Change) {
        match result {
            Ok(()) => self.changes.push(change),
            Err(error) if error.errno() == Some(fine) => {}
            Err(error) => self.failures.push(error.to_string()),
        }
    }
}

/// An address that is marked as ours.
fn message(index: u32, vip: &Vip) -> AddressMessage {
    let mut message = AddressMessageBuilder::<Ipv4Addr>::new()
        .index(index)
        .address(vip.address.addr(), vip.address.prefix_len())
        .build();
    message.attributes.push(AddressAttribute::Protocol(ADDRESS_OWNER));
    message
}

fn no_such_interface(action: String) -> netlink::Error {
    netlink::Error::Refused { action, reason: io::Error::from_raw_os_error(libc::ENODEV) }
}
