//! The socket file: who may connect, and what to do with the one of an earlier daemon.

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// Root and one group may speak to the daemon.
const SOCKET_MODE: u32 = 0o660;

/// Anyone may look into the directory.
const DIRECTORY_MODE: u32 = 0o755;

/// Connections that wait for `accept`.
const BACKLOG: i32 = 128;

/// Why the API has no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon is alive.
    #[error("another lbd answers on {}: stop it first, one data plane has one daemon", .0.display())]
    InUse(PathBuf),
    /// A file of another kind is in the way.
    #[error("API socket {}: a file that is no socket stands there; remove it, or set another daemon.socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("API socket {}: {action} failed: {reason}; see daemon.socket", .path.display())]
    System {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        reason: io::Error,
    },
}

/// Listens on `path` with mode 0660, in place of a socket on which nobody listens any more. Its directory is made where
/// it is missing, mode 0755. To be called within a tokio runtime.
///
/// # Errors
/// When another daemon answers there, or the system refuses.
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let system = |action| move |reason| BindError::System { path: path.to_owned(), action, reason };
    make_directory(path).map_err(system("creating its directory"))?;
    if is_stale(path)? {
        fs::remove_file(path).map_err(system("removing the stale socket"))?;
    }
    let socket = listen(path).map_err(system("bind"))?;
    UnixListener::from_std(socket.into()).map_err(system("registering the socket"))
}

fn make_directory(path: &Path) -> io::Result<()> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else {
        return Ok(());
    };
    if directory.exists() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    // Whatever the umask says: the group has to come through.
    fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))
}

/// Whether a dead socket lies at `path`. A live one, and any other file, is an error.
fn is_stale(path: &Path) -> Result<bool, BindError> {
    let system = |action| move |reason| BindError::System { path: path.to_owned(), action, reason };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(system("stat")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match connect(path) {
        Ok(()) => Err(BindError::InUse(path.to_owned())),
        // A full backlog: somebody listens, if slowly.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(true),
        Err(error) => Err(system("connect")(error)),
    }
}

fn connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.connect(&SockAddr::unix(path)?)
}

fn listen(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    // Linux gives the file the mode of the socket less the umask (unix_bind_bsd in net/unix/af_unix.c), so that it is
    // never open to others, not even for a moment; the second call puts back what the umask took.
    fchmod(&socket, Mode::from_bits_truncate(SOCKET_MODE))?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn makes_directory_and_socket_with_their_modes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/lbd/lbd.sock");
        let _listener = bind(&path).unwrap();
        assert_eq!(mode(&path), 0o660);
        assert_eq!(mode(path.parent().unwrap()), 0o755);
    }

    #[tokio::test]
    async fn replaces_a_stale_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lbd.sock");
        drop(bind(&path).unwrap());
        assert!(path.exists(), "a dead daemon leaves its socket");
        let _listener = bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn refuses_a_live_socket_and_leaves_it_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lbd.sock");
        let _listener = bind(&path).unwrap();
        let error = bind(&path).unwrap_err();
        let named = format!("another lbd answers on {}: ", path.display());
        assert!(error.to_string().starts_with(&named), "{error}");
        UnixStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn refuses_a_file_of_another_kind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lbd.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(BindError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn says_which_path_is_too_long() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x".repeat(200));
        let text = bind(&path).unwrap_err().to_string();
        assert!(text.contains("bind failed") && text.contains("xxx"), "{text}");
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }
}
