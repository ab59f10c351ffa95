//! Which of the addresses that stand `lbd` has added itself. The addresses outlive the daemon, and so does this: an address that
//! has left the configuration meanwhile is to go, and one that an administrator has set is not.
//!
//! The kernel remembers it best, beside the address and for as long: `IFA_PROTO`, as `ip address show proto` prints it. Kernels
//! before 5.18 ignore that attribute. There a file remembers it, in the directory of the API's socket; it holds for one boot, as
//! addresses do. A label (`eth0:lbd`) would serve every kernel, but not every name: it has fifteen characters with that of the
//! interface, and getifaddrs(3) gives it for the interface's name.

use std::{collections::BTreeSet, fs, io, path::PathBuf};

use super::plan::Standing;
use crate::{config::Vip, state_file};

/// The first kernel that keeps `IFA_PROTO` (47f0bd503210 in Linux, "net: Add new protocol attribute to IP addresses").
const KEEPS_MARKS: (u32, u32) = (5, 18);

/// Names the boot that this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// In the kernel.
    Kernel,
    /// In this file.
    File(PathBuf),
}

impl Memory {
    /// That of a kernel of this release; `file` is for older ones.
    pub(super) fn new(file: PathBuf, release: &str) -> Self {
        if keeps_marks(release) { Self::Kernel } else { Self::File(file) }
    }

    /// Addresses that a file remembers. One that cannot be read remembers nothing: what is forgotten stays on its interface.
    pub(super) fn recorded(&self) -> BTreeSet<Vip> {
        let Self::File(path) = self else { return BTreeSet::new() };
        let text = fs::read_to_string(path).unwrap_or_default();
        parse(&text, &boot_id())
    }

    /// Has the file remember `vips` instead of `before`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn record(&self, before: &BTreeSet<Vip>, vips: &BTreeSet<Vip>) -> io::Result<()> {
        match self {
            Self::File(path) if before != vips => {
                state_file::replace(path, text(vips, &boot_id()).as_bytes())
            }
            Self::File(_) | Self::Kernel => Ok(()),
        }
    }

    /// Whether `standing` is of our making.
    pub(super) fn is_own(&self, standing: &Standing, recorded: &BTreeSet<Vip>) -> bool {
        match self {
            Self::Kernel => standing.marked,
            Self::File(_) => recorded.contains(&standing.vip),
        }
    }
}

/// Whether a kernel of this release keeps `IFA_PROTO`. One that cannot be read is taken for a new one.
fn keeps_marks(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    numbers.next().zip(numbers.next()).is_none_or(|version| version >= KEEPS_MARKS)
}

fn boot_id() -> String {
    fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned()
}

/// A line with the boot, and one for each address.
fn text(vips: &BTreeSet<Vip>, boot: &str) -> String {
    let mut text = format!("{boot}\n");
    for Vip { address, interface } in vips {
        text += &format!("{address} {interface}\n");
    }
    text
}

/// Reads [`text`]; that of another boot says nothing.
fn parse(text: &str, boot: &str) -> BTreeSet<Vip> {
    let Some(lines) = text.strip_prefix(boot).and_then(|rest| rest.strip_prefix('\n')) else {
        return BTreeSet::new();
    };
    lines
        .lines()
        .filter_map(|line| {
            let (address, interface) = line.split_once(' ')?;
            Some(Vip { address: address.parse().ok()?, interface: interface.to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_keep_the_mark_are_known_by_their_release() {
        for (release, keeps) in [
            ("5.15.0-130-generic", false),
            ("5.17.15", false),
            ("5.18.0", true),
            ("6.1.0-28-amd64", true),
            ("6.18.44", true),
            ("", true),
        ] {
            assert_eq!(keeps_marks(release), keeps, "{release}");
        }
    }

    #[test]
    fn a_file_remembers_for_one_boot() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::File(directory.path().join("lbd.addresses"));
        let vips = ["10.0.0.9/24", "10.0.0.8/32"].map(|address| vip(address, "eth0")).into();
        assert_eq!(memory.recorded(), BTreeSet::new());
        memory.record(&BTreeSet::new(), &vips).unwrap();
        assert_eq!(memory.recorded(), vips);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
        assert_eq!(parse(&text(&vips, "one"), "one"), vips);
        assert_eq!(parse(&text(&vips, "one"), "another"), BTreeSet::new());
    }

    #[test]
    fn a_file_with_other_things_in_it_remembers_what_is_readable() {
        let text = "boot\n10.0.0.9/24 eth0\nnonsense\n10.0.0.300/24 eth0\n";
        assert_eq!(parse(text, "boot"), [vip("10.0.0.9/24", "eth0")].into());
        assert_eq!(parse("", "boot"), BTreeSet::new());
    }

    fn vip(address: &str, interface: &str) -> Vip {
        Vip { address: address.parse().unwrap(), interface: interface.to_owned() }
    }
}
