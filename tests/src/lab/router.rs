//! A router: its namespace, its bpffs, its `lbd`.

use std::{
    fs::{self, OpenOptions},
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lb_daemon::api::types::{Done, ServerAction, ServerChange, ServiceStatus, Status};
use nix::{
    mount::{MsFlags, mount, umount},
    sys::signal::Signal,
};

use super::{
    api, binaries,
    config::Config,
    netns::Namespace,
    process::Process,
    run::run,
    topology::{Host, Port},
};

/// Time a planned stop may take.
const STOP: Duration = Duration::from_secs(10);
/// Lines of the log that a failure shows.
const LOG_TAIL: usize = 40;

/// A router of the lab.
#[derive(Debug)]
pub struct Router {
    host: &'static Host,
    namespace: Namespace,
    folder: PathBuf,
    process: Option<Process>,
}

impl Router {
    /// A router without a daemon yet; everything of it lies in `folder`, which is made here with a bpffs in it.
    ///
    /// # Errors
    /// When the folder cannot be made or the bpffs not mounted.
    pub fn new(host: &'static Host, namespace: Namespace, folder: PathBuf) -> Result<Self> {
        let router = Self { host, namespace, folder, process: None };
        let pins = router.pins();
        fs::create_dir_all(&pins).with_context(|| format!("cannot make {}", pins.display()))?;
        router.mount_pins()?;
        Ok(router)
    }

    /// Loses all pins, as a machine does that loses its power.
    ///
    /// # Errors
    /// When the bpffs cannot be mounted anew.
    pub fn forget(&self) -> Result<()> {
        self.unmount_pins()?;
        self.mount_pins()
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.host.name
    }

    /// Its namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its port on the public LAN.
    pub const fn public(&self) -> &'static Port {
        &self.host.ports[0]
    }

    /// The bpffs that its data plane is pinned in.
    pub fn pins(&self) -> PathBuf {
        self.folder.join("bpf")
    }

    /// The socket of its API.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("lbd.sock")
    }

    /// The configuration that the lab gives it unless told otherwise.
    pub fn standard_config(&self) -> Config {
        Config::standard(self.name(), &self.folder)
    }

    /// Writes its configuration file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, config: &Config) -> Result<()> {
        self.write_config(&config.text()?)
    }

    /// Writes any text as its configuration file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_config(&self, text: &str) -> Result<()> {
        fs::write(self.config_file(), text).with_context(|| format!("{}: cannot write lbd.toml", self.name()))
    }

    /// Starts `lbd` on the configuration file; its log goes on where the last one ended.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn start(&mut self) -> Result<()> {
        self.start_with(&[])
    }

    /// The same with more in its environment.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn start_with(&mut self, environment: &[(&str, &str)]) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = self.namespace.command(binaries::lbd()?);
        command.arg("--config").arg(self.config_file()).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.process = Some(Process::start(&format!("lbd of {}", self.name()), &mut command)?);
        Ok(())
    }

    /// Whether `lbd` runs, frozen or not.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// Stops `lbd` as planned: `SIGTERM`, and waits for its end.
    ///
    /// # Errors
    /// When it does not end within ten seconds.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        let mut process =
            self.process.take().with_context(|| format!("lbd of {} does not run", self.name()))?;
        process.terminate(STOP)
    }

    /// Process id of `lbd`.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Kills `lbd`. Returns the moment of the signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<Instant> {
        let mut process =
            self.process.take().with_context(|| format!("lbd of {} does not run", self.name()))?;
        let at = Instant::now();
        process.signal(Signal::SIGKILL)?;
        process.wait(STOP)?;
        Ok(at)
    }

    /// Sends a signal: `SIGSTOP` freezes, `SIGCONT` thaws, `SIGHUP` reloads. Returns its moment.
    ///
    /// # Errors
    /// When `lbd` does not run.
    pub fn signal(&self, signal: Signal) -> Result<Instant> {
        let process =
            self.process.as_ref().with_context(|| format!("lbd of {} does not run", self.name()))?;
        let at = Instant::now();
        process.signal(signal)?;
        Ok(at)
    }

    /// What `lbd` says of itself.
    ///
    /// # Errors
    /// When it does not answer within half a second.
    pub fn status(&self) -> Result<Status> {
        api::get(&self.socket(), "/v1/status")
    }

    /// Its role, where it answers.
    pub fn role(&self) -> Option<String> {
        self.status().ok().map(|status| status.role)
    }

    /// Whether it says that it is active.
    pub fn is_active(&self) -> bool {
        self.role().as_deref() == Some("active")
    }

    /// A service of its status.
    ///
    /// # Errors
    /// When `lbd` does not answer, or has no such service.
    pub fn service(&self, name: &str) -> Result<ServiceStatus> {
        let services = self.status()?.services;
        services
            .into_iter()
            .find(|service| service.name == name)
            .with_context(|| format!("no service {name}"))
    }

    /// Changes a real server in all services.
    ///
    /// # Errors
    /// When `lbd` refuses.
    pub fn change(&self, server: &str, action: ServerAction) -> Result<Done> {
        let change = ServerChange { server: server.to_owned(), service: None, action };
        api::post(&self.socket(), "/v1/server", &change)
    }

    /// Runs `lbctl` against this router and returns what it prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn lbctl(&self, arguments: &[&str]) -> Result<String> {
        run(Command::new(binaries::lbctl()?).arg("--socket").arg(self.socket()).args(arguments))
    }

    /// The last lines of its log; empty before its first start.
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
    }

    /// Ends `lbd` and unmounts the bpffs, and all pins with it.
    ///
    /// # Errors
    /// What could not be undone; the rest has been.
    pub fn tear_down(&mut self) -> Result<()> {
        let killed = self.process.take().map_or(Ok(()), |mut process| process.kill());
        killed.and(self.unmount_pins())
    }

    fn mount_pins(&self) -> Result<()> {
        let pins = self.pins();
        mount(Some("bpf"), &pins, Some("bpf"), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("cannot mount a bpffs on {}", pins.display()))
    }

    fn unmount_pins(&self) -> Result<()> {
        let pins = self.pins();
        umount(&pins).with_context(|| format!("cannot unmount {}", pins.display()))
    }

    /// The file that `lbd` reads.
    pub fn config_file(&self) -> PathBuf {
        self.folder.join("lbd.toml")
    }

    /// The file that `lbd` logs to.
    pub fn log_file(&self) -> PathBuf {
        self.folder.join("lbd.log")
    }
}
