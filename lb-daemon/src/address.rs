//! Floating addresses: the virtual addresses and the NAT router address, which the active router alone has on its
//! interfaces. An address is the same one if address, prefix length and interface are.

mod plan;
mod promote;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    net::Ipv4Addr,
};

use netlink_packet_route::address::AddressMessage;
use rtnetlink::AddressMessageBuilder;

use self::{plan::Standing, promote::Promotion};
use crate::{
    config::Vip,
    netlink::{self, snapshot, socket::Requests},
};

/// What has been done to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A floating address was missing and has been added.
    Added(Vip),
    /// A floating address stood and has been removed.
    Removed(Vip),
    /// Another address went down with a floating one, and has been put back.
    Restored(Vip),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Vip { address, interface }, done) = match self {
            Self::Added(vip) => (vip, "added"),
            Self::Removed(vip) => (vip, "removed"),
            Self::Restored(vip) => (vip, "put back"),
        };
        write!(f, "address {address} on {interface}: {done}")
    }
}

/// Why the floating addresses are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What stands could not be read.
    #[error(transparent)]
    Read(#[from] netlink::Error),
    /// Some changes failed; the others were made nevertheless.
    #[error("{}", lines(.failures))]
    Incomplete {
        /// Changes that were made.
        changes: Vec<Change>,
        /// Changes that failed, at least one.
        failures: Vec<netlink::Error>,
    },
}

fn lines(failures: &[netlink::Error]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Which of the floating addresses stand on their interfaces now.
///
/// # Errors
/// When netlink cannot be asked.
pub async fn present(floating: &[Vip]) -> Result<BTreeSet<Vip>, Error> {
    let standing = Host::read(&Requests::open()?).await?.standing;
    Ok(floating.iter().filter(|vip| standing.iter().any(|s| s.vip == **vip)).cloned().collect())
}

/// Makes the floating addresses stand (`wanted`) or not. What is as it should be is left alone, so that a second call
/// changes nothing. No other address is lost, even one that the kernel counts as a secondary of a floating address.
///
/// # Errors
/// When what stands cannot be read, or when some change fails: the others are made nevertheless.
pub async fn reconcile(floating: &[Vip], wanted: bool) -> Result<Vec<Change>, Error> {
    let requests = Requests::open()?;
    let before = Host::read(&requests).await?;
    let mut work = Work { requests, changes: Vec::new(), failures: Vec::new() };
    if wanted {
        work.add(&before, floating).await;
    } else {
        work.remove(&before, floating).await?;
    }
    if work.failures.is_empty() {
        Ok(work.changes)
    } else {
        Err(Error::Incomplete { changes: work.changes, failures: work.failures })
    }
}

/// Interfaces and what stands on them.
struct Host {
    /// Interface indices by name.
    links: BTreeMap<String, u32>,
    standing: Vec<Standing>,
}

impl Host {
    async fn read(requests: &Requests) -> Result<Self, netlink::Error> {
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
struct Work {
    requests: Requests,
    changes: Vec<Change>,
    failures: Vec<netlink::Error>,
}

impl Work {
    async fn add(&mut self, host: &Host, floating: &[Vip]) {
        for vip in plan::missing(&host.standing, floating) {
            let action = format!("add {} to {}", vip.address, vip.interface);
            let result = match host.links.get(&vip.interface) {
                Some(index) => self.requests.add_address(action, message(*index, vip)).await,
                None => Err(no_such_interface(action)),
            };
            // EEXIST: someone has been quicker.
            self.note(result, libc::EEXIST, Change::Added(vip.clone()));
        }
    }

    async fn remove(&mut self, host: &Host, floating: &[Vip]) -> Result<(), netlink::Error> {
        let removals = plan::removals(&host.standing, floating);
        let endangered = plan::endangered(&host.standing, &removals);
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
            Err(error) => self.failures.push(error),
        }
    }
}

fn message(index: u32, vip: &Vip) -> AddressMessage {
    AddressMessageBuilder::<Ipv4Addr>::new()
        .index(index)
        .address(vip.address.addr(), vip.address.prefix_len())
        .build()
}

fn no_such_interface(action: String) -> netlink::Error {
    netlink::Error::Refused { action, reason: io::Error::from_raw_os_error(libc::ENODEV) }
}
