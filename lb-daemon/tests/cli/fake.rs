//! A daemon without a data plane, and `lbctl` run against it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};

use lb_daemon::api::{
    client::Client,
    server::{self, ApiError, Backend},
    types::{Connection, Done, Failover, MaintenanceChange, ServerChange, Stats, Status},
};
use tempfile::TempDir;
use tokio::{process::Command, task::JoinHandle};

use crate::fixture;

/// Prepared answers, and a record of the commands that came.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) status: Status,
    pub(crate) stats: Stats,
    pub(crate) connections: Vec<Connection>,
    /// The answer to everything, where set.
    pub(crate) refusal: Option<ApiError>,
    pub(crate) commands: Arc<Mutex<Vec<String>>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            status: fixture::pair(),
            stats: fixture::stats(),
            connections: vec![],
            refusal: None,
            commands: Arc::default(),
        }
    }
}

impl Fake {
    pub(crate) fn refusing(error: ApiError) -> Self {
        Self { refusal: Some(error), ..Self::default() }
    }

    fn answer<T: Clone>(&self, answer: &T) -> Result<T, ApiError> {
        self.refusal.clone().map_or_else(|| Ok(answer.clone()), Err)
    }

    fn command(&self, command: String) -> Result<Done, ApiError> {
        self.commands.lock().unwrap().push(command.clone());
        self.answer(&Done { message: format!("did {command}") })
    }
}

impl Backend for Fake {
    async fn status(&self) -> Result<Status, ApiError> {
        self.answer(&self.status)
    }

    async fn stats(&self) -> Result<Stats, ApiError> {
        self.answer(&self.stats)
    }

    async fn connections(&self) -> Result<Vec<Connection>, ApiError> {
        self.answer(&self.connections)
    }

    async fn failover(&self, failover: Failover) -> Result<Done, ApiError> {
        let group = failover.group.map(|name| format!(" of {name}"));
        self.command(format!("failover{}", group.unwrap_or_default()))
    }

    async fn maintain(&self, change: MaintenanceChange) -> Result<Done, ApiError> {
        let MaintenanceChange { role, reason, group } = change;
        let group = group.map(|name| format!(" of {name}"));
        self.command(format!("{role:?} for {reason}{}", group.unwrap_or_default()))
    }

    async fn change_server(&self, change: ServerChange) -> Result<Done, ApiError> {
        let ServerChange { server, service, action } = change;
        self.command(format!("{action:?} {server} in {}", service.as_deref().unwrap_or("all")))
    }

    async fn reload(&self) -> Result<Done, ApiError> {
        self.command("reload".to_owned())
    }
}

/// A server on a socket of its own; both go with it.
pub(crate) struct Running {
    pub(crate) fake: Fake,
    directory: TempDir,
    server: JoinHandle<std::io::Result<()>>,
}

impl Running {
    pub(crate) fn start(fake: Fake) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = server::bind(&directory.path().join("lbd.sock")).unwrap();
        let server = tokio::spawn(server::serve(listener, fake.clone(), std::future::pending()));
        Self { fake, directory, server }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("lbd.sock")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.socket())
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.fake.commands.lock().unwrap().clone()
    }

    /// Runs `lbctl` with these arguments.
    pub(crate) async fn lbctl(&self, args: &[&str]) -> Outcome {
        lbctl(&self.socket(), args).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What a run of `lbctl` left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs `lbctl` against the daemon at `socket`, if one is there.
pub(crate) async fn lbctl(socket: &Path, args: &[&str]) -> Outcome {
    command(socket, args).output().await.unwrap().into()
}

pub(crate) fn command(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lbctl"));
    command.arg("--socket").arg(socket).args(args.iter().map(OsStr::new)).stdin(Stdio::null());
    command
}
