//! What the operator holds this router in outlives the daemon, which is often what the work is about, but not the machine: after
//! a reboot nobody may remember it. So it stands in a file beside the API's socket, in the runtime directory.

use std::{collections::BTreeMap, fs, io, path::Path};

use tracing::{info, warn};

use super::Director;
use crate::{
    api::{
        server::ApiError,
        types::{Done, Maintenance, MaintenanceChange},
    },
    notify::Kind,
    state_file,
};

/// What the file is for, and the subject of trouble with it.
const FILE: &str = "maintenance";
/// What is held, by the name of the group; that is empty where there is but one.
pub type Held = BTreeMap<String, Maintenance>;

/// Longest reason, in bytes: it is a line of status.
const MAX_REASON: usize = 200;

/// What the operator held the router with this socket in, when its daemon ended.
#[must_use]
pub fn remembered(socket: &Path) -> Held {
    let path = state_file::beside(socket, FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Held::new(),
        Err(error) => {
            warn!("{} cannot be read, and nothing is held: {error}", path.display());
            return Held::new();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        warn!("{} is not understood, and nothing is held: {error}", path.display());
        Held::new()
    })
}

fn remember(socket: &Path, held: &Held) -> io::Result<()> {
    let path = state_file::beside(socket, FILE);
    if held.is_empty() {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
    }
    state_file::replace(&path, &serde_json::to_vec(held)?)
}

impl Director {
    /// Holds this router in a role, or releases it.
    pub(super) fn maintain(&mut self, change: MaintenanceChange) -> Result<Done, ApiError> {
        let MaintenanceChange { role, reason, group } = change;
        if reason.len() > MAX_REASON || reason.chars().any(char::is_control) {
            return Err(ApiError::bad_request(format!("the reason is one line of up to {MAX_REASON} bytes")));
        }
        self.find_group(group.as_deref())?;
        let held = role.map(|role| Maintenance { role, reason });
        let result = self.parts.pair.hold(group.as_deref(), held.as_ref());
        // Before it is said that it was done. Some groups may be held although others are not.
        self.remember_maintenance();
        result.map(|message| Done { message }).map_err(ApiError::conflict)
    }

    /// Remembers what this router is held in from now on, and tells of it, where that is news.
    pub(super) fn remember_maintenance(&mut self) {
        let held = self.parts.pair.held();
        if held == self.held {
            return;
        }
        let names = self.parts.config.group_names();
        let pairs = names.into_iter().zip(held.clone()).filter_map(|(name, held)| Some((name, held?)));
        let all: Held = pairs.collect();
        self.held = held;
        let failure = remember(&self.parts.config.daemon.socket, &all).err();
        let words = if all.is_empty() {
            "not held by the operator any more".to_owned()
        } else {
            let one = |(name, held): (&String, &Maintenance)| match name.as_str() {
                "" => held.words(),
                name => format!("{} for the group {name}", held.words()),
            };
            all.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        info!("this router is {words}");
        self.trouble.note(FILE, failure.map(|error| format!("will be forgotten with lbd: {error}")));
        self.tell(Kind::Maintenance, format!("this router is {words}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::Forced;

    #[test]
    fn what_is_held_is_remembered_until_it_is_released() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("lbd.sock");
        assert_eq!(remembered(&socket), Held::new());
        let held = Maintenance { role: Forced::Standby, reason: "new cables".to_owned() };
        let all = Held::from([("west".to_owned(), held)]);
        remember(&socket, &all).unwrap();
        assert_eq!(remembered(&socket), all);
        remember(&socket, &Held::new()).unwrap();
        assert_eq!(remembered(&socket), Held::new());
        remember(&socket, &Held::new()).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_makes_no_sense_holds_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("lbd.sock");
        for text in ["", "{}", "{\"\":{\"role\":\"leaving\",\"reason\":\"\"}}", "[]", "\u{0}\u{1}"] {
            fs::write(state_file::beside(&socket, FILE), text).unwrap();
            assert_eq!(remembered(&socket), Held::new(), "{text:?}");
        }
    }
}
