//! Where the data plane is pinned, so that it outlives the daemon:
//!
//! ```text
//! <pin_dir>/v<LAYOUT_VERSION>/<MAP>   the maps of one layout; <MAP>_NEXT while a flow table of another size takes over
//! <pin_dir>/links/<interface>         the program's link to each interface
//! ```

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use lb_common::{LAYOUT_VERSION, map};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::{Error, syscall};

/// The maps of a flow table, which are made anew for one of another size. The table is the last to be renamed: it says which program
/// runs.
const OF_FLOW_TABLE: [&str; 3] = [map::CHANGES, map::PROGRAMS, map::FLOWS];

/// The directory that everything is pinned in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pins {
    folder: PathBuf,
    /// Whether the maps of the flow table are those that will take over.
    is_next: bool,
}

impl Pins {
    /// The pins below `pin_dir`, whose directories are made where they are missing, and whether nothing was pinned
    /// there before.
    ///
    /// # Errors
    /// When `pin_dir` is not on a BPF file system, or a directory cannot be made.
    pub(super) fn create(pin_dir: &Path) -> Result<(Self, bool), Error> {
        require_bpf_fs(pin_dir)?;
        let pins = Self { folder: pin_dir.to_owned(), is_next: false };
        let fresh = pins.layouts()?.is_empty() && !pins.links().exists();
        for folder in [pins.maps(), pins.links()] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.map_err(|error| failure("create", &folder, &error))?;
        }
        Ok((pins, fresh))
    }

    /// Directory of the maps of this layout.
    pub(super) fn maps(&self) -> PathBuf {
        self.folder.join(format!("v{LAYOUT_VERSION}"))
    }

    /// Where a map of this layout is pinned.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        if self.is_next && OF_FLOW_TABLE.contains(&name) {
            self.next_map(name)
        } else {
            self.maps().join(name)
        }
    }

    /// The same, with the maps of a flow table that will take over from the one in use.
    pub(super) fn next(&self) -> Self {
        Self { is_next: true, ..self.clone() }
    }

    /// Where these are the [`next`](Self::next) maps, those in use.
    pub(super) fn current(&self) -> Option<Self> {
        self.is_next.then(|| Self { is_next: false, ..self.clone() })
    }

    /// Pins of a flow table that has not taken over.
    pub(super) fn left_over(&self) -> Vec<PathBuf> {
        OF_FLOW_TABLE.map(|name| self.next_map(name)).into_iter().filter(|path| path.exists()).collect()
    }

    /// The flow table that has taken over gets the names of the one before it, whose maps go.
    ///
    /// # Errors
    /// When a pin cannot be renamed.
    pub(super) fn adopt_next(&self) -> Result<(), Error> {
        for name in OF_FLOW_TABLE {
            let (next, current) = (self.next_map(name), self.maps().join(name));
            if next.exists() {
                fs::rename(&next, current).map_err(|error| failure("rename", &next, &error))?;
            }
        }
        Ok(())
    }

    /// Forgets a flow table that was to take over.
    ///
    /// # Errors
    /// When a pin cannot be removed.
    pub(super) fn drop_next(&self) -> Result<(), Error> {
        OF_FLOW_TABLE.iter().try_for_each(|name| remove_file(&self.next_map(name)))
    }

    /// Forgets a flow table of this layout that no program has used.
    ///
    /// # Errors
    /// When a pin cannot be removed.
    pub(super) fn drop_flow_table(&self) -> Result<(), Error> {
        OF_FLOW_TABLE.iter().try_for_each(|name| remove_file(&self.map(name)))
    }

    fn next_map(&self, name: &str) -> PathBuf {
        self.maps().join(format!("{name}_NEXT"))
    }

    /// Where the link to an interface is pinned.
    pub(super) fn link(&self, interface: &str) -> PathBuf {
        self.links().join(escape(interface))
    }

    /// Interfaces that a link is pinned for.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn linked_interfaces(&self) -> Result<Vec<String>, Error> {
        Ok(names(&self.links())?.iter().map(|name| unescape(name)).collect())
    }

    /// Number and directory of the newest layout before this one; `None` where there is none.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn older_layout(&self) -> Result<Option<(u32, PathBuf)>, Error> {
        let numbered = self.layouts()?.into_iter().filter_map(|folder| {
            let number = folder.file_name()?.to_str()?.strip_prefix('v')?.parse().ok()?;
            Some((number, folder))
        });
        Ok(numbered.filter(|(number, _)| *number < LAYOUT_VERSION).max())
    }

    /// Removes the maps of other layouts, which no program of this version reads. Returns their directories.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub(super) fn remove_other_layouts(&self) -> Result<Vec<PathBuf>, Error> {
        let mut removed = Vec::new();
        for folder in self.layouts()? {
            if folder != self.maps() {
                remove_folder(&folder)?;
                removed.push(folder);
            }
        }
        Ok(removed)
    }

    /// Directory of the links.
    fn links(&self) -> PathBuf {
        self.folder.join("links")
    }

    /// Directories of all layouts.
    fn layouts(&self) -> Result<Vec<PathBuf>, Error> {
        let is_layout = |name: &&String| name.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
        Ok(names(&self.folder)?.iter().filter(is_layout).map(|name| self.folder.join(name)).collect())
    }
}

/// Detaches the program everywhere and forgets all maps, with every connection in them. Returns one line for each
/// thing removed; none when nothing was pinned.
///
/// # Errors
/// When `pin_dir` is not on a BPF file system, or something cannot be removed.
pub fn teardown(pin_dir: &Path) -> Result<Vec<String>, Error> {
    if !pin_dir.exists() {
        return Ok(Vec::new());
    }
    require_bpf_fs(pin_dir)?;
    let pins = Pins { folder: pin_dir.to_owned(), is_next: false };
    let mut done = Vec::new();
    for interface in pins.linked_interfaces()? {
        remove_link(&pins.link(&interface))?;
        done.push(format!("detached from {interface}"));
    }
    for folder in pins.layouts()? {
        let maps = remove_folder(&folder)?;
        done.push(format!("removed {maps} maps in {}", folder.display()));
    }
    if pins.links().exists() {
        remove_folder(&pins.links())?;
    }
    // What else stands there is not ours, and keeps the directory; so does a file system that is mounted on it.
    if names(pin_dir)?.is_empty() {
        match fs::remove_dir(pin_dir) {
            Err(error) if error.kind() != io::ErrorKind::ResourceBusy => {
                return Err(failure("remove", pin_dir, &error));
            }
            _ => {}
        }
    }
    Ok(done)
}

/// Detaches the link pinned at `path` and removes the pin; one that is not there is no error.
pub(super) fn remove_link(path: &Path) -> Result<(), Error> {
    // A link whose interface is gone is detached already; without its pin it is gone in any case.
    let _ = syscall::detach_link(path);
    remove_file(path)
}

/// Removes one pin; one that is not there is no error.
fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failure("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Removes a directory of pins and returns how many it held.
fn remove_folder(folder: &Path) -> Result<usize, Error> {
    let names = names(folder)?;
    for name in &names {
        remove_file(&folder.join(name))?;
    }
    fs::remove_dir(folder).map_err(|error| failure("remove", folder, &error))?;
    Ok(names.len())
}

/// The names in a directory, sorted; none where there is no directory.
fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failure("read", folder, &error))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failure("read", folder, &error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Checks that the nearest directory that exists is on a BPF file system.
fn require_bpf_fs(pin_dir: &Path) -> Result<(), Error> {
    let existing = pin_dir.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let kind = statfs(existing).map_err(|error| failure("look at", existing, &error.into()))?;
    if kind.filesystem_type() == BPF_FS_MAGIC {
        return Ok(());
    }
    let mount = if pin_dir.starts_with("/sys/fs/bpf") { Path::new("/sys/fs/bpf") } else { pin_dir };
    let make = if mount.exists() { String::new() } else { format!("mkdir -p {} && ", mount.display()) };
    Err(Error::Setup(format!(
        "{} is not on a BPF file system: mount one with `{make}mount -t bpf bpf {}`",
        pin_dir.display(),
        mount.display()
    )))
}

fn failure(action: &str, path: &Path, error: &io::Error) -> Error {
    Error::Setup(format!("cannot {action} {}: {error}", path.display()))
}

/// An interface's name as the name of a pin: a BPF file system takes no dot (`bpf_lookup` in `kernel/bpf/inode.c`), and
/// VLAN interfaces have one.
fn escape(interface: &str) -> String {
    interface.replace('%', "%25").replace('.', "%2e")
}

/// The opposite of [`escape`].
fn unescape(pin: &str) -> String {
    pin.replace("%2e", ".").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_as_pins() {
        for (interface, pin) in [("eth0", "eth0"), ("eth0.100", "eth0%2e100"), ("a%2eb.c", "a%252eb%2ec")] {
            assert_eq!(escape(interface), pin);
            assert_eq!(unescape(pin), interface);
        }
    }

    #[test]
    fn an_ordinary_directory_is_refused_with_the_mount_command() {
        let folder = tempfile::tempdir().unwrap();
        let pin_dir = folder.path().join("lbd");
        let error = Pins::create(&pin_dir).unwrap_err().to_string();
        let command = format!("`mkdir -p {0} && mount -t bpf bpf {0}`", pin_dir.display());
        assert!(error.ends_with(&command), "{error}");
        assert!(!pin_dir.exists());
    }

    #[test]
    fn teardown_leaves_ordinary_directories_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("v1")).unwrap();
        fs::write(folder.path().join("v1/file"), "mine").unwrap();
        assert!(teardown(folder.path()).is_err());
        assert!(folder.path().join("v1/file").exists());
        assert_eq!(teardown(&folder.path().join("nothing")).unwrap(), Vec::<String>::new());
    }
}
