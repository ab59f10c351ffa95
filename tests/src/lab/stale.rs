//! What a lab leaves behind when its process was killed, and its removal at the next start.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
};

use anyhow::{Context, Result};
use nix::{
    fcntl::{Flock, FlockArg},
    mount::umount,
};

use super::{
    Lab,
    netns::{FOLDER, Namespace},
};

/// Folder of all labs; root's alone, as `/run` is.
pub const LABS: &str = "/run/lb-lab";

/// Removes every namespace, process, mount and folder of labs whose process has ended.
///
/// # Errors
/// What could not be removed; the rest has been.
pub fn clean() -> Result<()> {
    let _alone = lock()?;
    let mut result = Ok(());
    for name in entries(Path::new(FOLDER))?.iter().filter(|name| is_stale(name)) {
        eprintln!("removing the stale namespace {name}");
        let namespace = Namespace::existing(name);
        result = result.and(namespace.kill_processes()).and_then(|()| namespace.delete());
    }
    for name in entries(Path::new(LABS))?.iter().filter(|name| is_stale(name)) {
        result = result.and(remove_folder(&Path::new(LABS).join(name)));
    }
    result
}

/// Labs that start at the same moment would remove the same things under each other's hands.
fn lock() -> Result<Flock<File>> {
    fs::create_dir_all(LABS).with_context(|| format!("cannot create {LABS}"))?;
    let path = Path::new(LABS).join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .with_context(|| format!("cannot lock {}", path.display()))
}

/// Unmounts what is mounted below `folder` and removes it.
///
/// # Errors
/// When something of it is in use.
pub fn remove_folder(folder: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    for point in mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|point| Path::new(point).starts_with(folder))
    {
        umount(point).with_context(|| format!("cannot unmount {point}"))?;
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Whether `name` belongs to a lab whose process is gone: one of another program never does.
fn is_stale(name: &str) -> bool {
    Lab::pid_of(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

/// Names in a folder; none where it does not exist.
fn entries(folder: &Path) -> Result<BTreeSet<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error).with_context(|| format!("cannot list {}", folder.display())),
    }
}
