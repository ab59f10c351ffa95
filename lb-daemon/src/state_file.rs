//! Small files that outlive the daemon and not the boot: they stand beside the API's socket, in the runtime directory.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// The file for `what` of the daemon with this socket.
pub(crate) fn beside(socket: &Path, what: &str) -> PathBuf {
    socket.with_extension(what)
}

/// Replaces the file at `path` as a whole: a daemon that is killed meanwhile leaves the old one or the new one.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = OsString::from(path);
    new.push(".new");
    fs::write(&new, bytes)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = beside(&directory.path().join("lbd.sock"), "maintenance");
        assert_eq!(path.file_name().unwrap(), "lbd.maintenance");
        for text in ["one", "another"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
