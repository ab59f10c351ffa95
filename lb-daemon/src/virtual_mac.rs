//! Virtual MAC addresses at the interfaces: while this router is active for a group that has one, its interfaces receive what is
//! addressed to it, as secondary unicast addresses. `bridge fdb show` lists them among its entries `self permanent`.
//!
//! The kernel does not remember who has added one, and others add them too: each macvlan interface does. So a file beside the API's
//! socket remembers those of `lbd`, which alone are removed again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
};

use crate::{
    address::Wanted,
    config::Config,
    mac::Mac,
    netlink::{self, snapshot, socket::Requests},
    state_file,
};

/// `arp_announce` of an interface (Documentation/networking/ip-sysctl.rst) with which the kernel asks from the best of its addresses
/// for the host that it asks for, not from the one that a packet comes from. It would tell the hosts that it asks in the name of a floating
/// address that this is at the interface's own MAC address.
const BEST_ADDRESS: u8 = 2;

/// A virtual MAC address at an interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Name of the interface.
    pub interface: String,
    /// The address.
    pub mac: Mac,
}

/// What has been done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The interface receives what is addressed to it.
    Added(Place),
    /// It does so no more.
    Removed(Place),
}

/// What has been done in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Changes that were made.
    pub changes: Vec<Change>,
    /// What failed, a line each. The others were made nevertheless.
    pub failures: Vec<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Place { interface, mac }, done) = match self {
            Self::Added(place) => (place, "added"),
            Self::Removed(place) => (place, "removed"),
        };
        write!(f, "virtual MAC address {mac} on {interface}: {done}")
    }
}

/// Where the virtual MAC address of a group stands: on every interface that has one of its addresses.
pub fn places(config: &Config, group: usize) -> BTreeSet<Place> {
    let place = |mac| move |vip: crate::config::Vip| Place { interface: vip.interface, mac };
    config
        .virtual_mac_of(group)
        .map(|mac| config.floating_of(group).into_iter().map(place(mac)).collect())
        .unwrap_or_default()
}

/// Adds and removes virtual MAC addresses.
#[derive(Clone, Debug)]
pub struct VirtualMacs {
    file: PathBuf,
}

impl VirtualMacs {
    /// For the daemon with this API socket.
    pub fn new(socket: &Path) -> Self {
        Self { file: state_file::beside(socket, "virtual-macs") }
    }

    /// Makes each virtual MAC address stand or not, as it is wanted, and removes those that `lbd` has added and that are wanted by
    /// nobody any more. A second call changes nothing.
    pub async fn reconcile(&self, wanted: &BTreeMap<Place, Wanted>) -> Outcome {
        let known = self.known();
        let steps = Steps::new(&known, wanted);
        if steps == Steps::default() {
            return Outcome::default();
        }
        self.perform(known, steps)
            .await
            .unwrap_or_else(|failure| Outcome { changes: Vec::new(), failures: vec![failure] })
    }

    async fn perform(&self, mut known: BTreeSet<Place>, steps: Steps) -> Result<Outcome, String> {
        let requests = Requests::open().map_err(|error| error.to_string())?;
        let links = requests.links().await.map_err(|error| error.to_string())?;
        let links: BTreeMap<String, u32> =
            links.iter().filter_map(snapshot::link).map(|(name, link)| (name, link.index)).collect();
        let mut outcome = Outcome::default();
        // Remembered first: a daemon that is killed in between leaves nothing that nobody knows of.
        let with_new = known.union(&steps.add).cloned().collect();
        self.remember(&known, &with_new)?;
        for place in steps.add {
            match add(&requests, &links, &place).await {
                Ok(()) if known.insert(place.clone()) => outcome.changes.push(Change::Added(place)),
                Ok(()) => {}
                Err(failure) => outcome.failures.push(failure),
            }
        }
        for place in steps.remove {
            match remove(&requests, &links, &place).await {
                Ok(()) => {
                    known.remove(&place);
                    outcome.changes.push(Change::Removed(place));
                }
                Err(error) => outcome.failures.push(error.to_string()),
            }
        }
        self.remember(&with_new, &known)?;
        Ok(outcome)
    }

    /// Those that `lbd` has added. A file that cannot be read remembers nothing: what is forgotten stays.
    fn known(&self) -> BTreeSet<Place> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let place = |line: &str| {
            let (mac, interface) = line.split_once(' ')?;
            Some(Place { interface: interface.to_owned(), mac: mac.parse().ok()? })
        };
        text.lines().filter_map(place).collect()
    }

    fn remember(&self, before: &BTreeSet<Place>, now: &BTreeSet<Place>) -> Result<(), String> {
        if before == now {
            return Ok(());
        }
        let lines = now.iter().map(|Place { interface, mac }| format!("{mac} {interface}\n"));
        state_file::replace(&self.file, lines.collect::<String>().as_bytes())
            .map_err(|error| format!("cannot note which virtual MAC addresses are added: {error}"))
    }
}

/// What is to be done. Pure.
#[derive(Debug, Default, PartialEq, Eq)]
struct Steps {
    /// Also those that stand already: others may have removed them, and to add one again does nothing.
    add: BTreeSet<Place>,
    remove: BTreeSet<Place>,
}

impl Steps {
    fn new(known: &BTreeSet<Place>, wanted: &BTreeMap<Place, Wanted>) -> Self {
        let is = |place: &Place, what| wanted.get(place) == Some(&what);
        let here = wanted.keys().filter(|place| is(place, Wanted::Here));
        let gone = known.iter().filter(|place| !is(place, Wanted::Here) && !is(place, Wanted::AsTheyAre));
        Self { add: here.cloned().collect(), remove: gone.cloned().collect() }
    }
}

async fn add(requests: &Requests, links: &BTreeMap<String, u32>, place: &Place) -> Result<(), String> {
    let Place { interface, mac } = place;
    let action = format!("add the virtual MAC address {mac} to {interface}");
    let index = links.get(interface).ok_or_else(|| format!("cannot {action}: there is no such interface"))?;
    ask_from_best_address(interface)?;
    requests.add_mac(action, *index, mac.0).await.map_err(|error| error.to_string())
}

async fn remove(
    requests: &Requests,
    links: &BTreeMap<String, u32>,
    place: &Place,
) -> Result<(), netlink::Error> {
    let Place { interface, mac } = place;
    // With an interface, all of its addresses go.
    let Some(index) = links.get(interface) else { return Ok(()) };
    let action = format!("remove the virtual MAC address {mac} from {interface}");
    match requests.remove_mac(action, *index, mac.0).await {
        // Somebody has been quicker.
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}

/// See [`BEST_ADDRESS`]. It stays so: the floating addresses may be on their way back at any time.
fn ask_from_best_address(interface: &str) -> Result<(), String> {
    let file = Path::new("/proc/sys/net/ipv4/conf").join(interface).join("arp_announce");
    let failed = |error| format!("cannot set {} to {BEST_ADDRESS}: {error}", file.display());
    let value = fs::read_to_string(&file).map_err(failed)?;
    if value.trim().parse().is_ok_and(|value: u8| value >= BEST_ADDRESS) {
        return Ok(());
    }
    fs::write(&file, BEST_ADDRESS.to_string()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_stands_and_what_is_ours_and_wanted_no_more_goes() {
        let [one, two, three, four] = [1, 2, 3, 4].map(place);
        let known = [one.clone(), two.clone(), three.clone()].into();
        let wanted = [
            (two.clone(), Wanted::AsTheyAre),
            (three.clone(), Wanted::Away),
            (four.clone(), Wanted::Here),
            (place(5), Wanted::Away),
        ];
        let steps = Steps::new(&known, &wanted.into());
        assert_eq!(steps, Steps { add: [four].into(), remove: [one, three].into() });
        assert_eq!(Steps::new(&BTreeSet::new(), &[(place(5), Wanted::Away)].into()), Steps::default());
    }

    #[test]
    fn the_file_remembers() {
        let directory = tempfile::tempdir().unwrap();
        let macs = VirtualMacs::new(&directory.path().join("lbd.sock"));
        let places = [place(1), Place { interface: "lan0.7".to_owned(), ..place(2) }].into();
        assert_eq!(macs.known(), BTreeSet::new());
        macs.remember(&BTreeSet::new(), &places).unwrap();
        assert_eq!(macs.known(), places);
    }

    fn place(id: u8) -> Place {
        Place { interface: "eth0".to_owned(), mac: Mac::of_virtual_router(id) }
    }
}
