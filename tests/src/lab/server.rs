//! A real server: its namespace, its process, and the ways it goes and comes back.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddrV4},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    binaries,
    netns::Namespace,
    process::Process,
    serve::READY,
    topology::{DIRECT_VIP, Host, Part, UDP_PORT},
};

/// Time a server may take to finish what it has begun.
const DRAIN: Duration = Duration::from_secs(5);

/// A real server of the lab.
#[derive(Debug)]
pub struct RealServer {
    host: &'static Host,
    namespace: Namespace,
    process: Option<Process>,
}

impl RealServer {
    /// A server that does not run yet.
    pub const fn new(host: &'static Host, namespace: Namespace) -> Self {
        Self { host, namespace, process: None }
    }

    /// Its name, which is also what it answers.
    pub const fn name(&self) -> &'static str {
        self.host.name
    }

    /// How clients reach it.
    pub const fn part(&self) -> Part {
        self.host.part
    }

    /// Its namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Address and port of its own HTTP server.
    pub const fn http(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.host.address(), self.host.part.http_port())
    }

    /// Starts the process, and lets it come up by itself; [`RealServer::wait_ready`] waits for that.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn launch(&mut self) -> Result<()> {
        let mut command = self.namespace.command(binaries::lab_server()?);
        command.args(["--name", self.host.name]);
        command.arg("--http").arg(format!("0.0.0.0:{}", self.host.part.http_port()));
        // A UDP answer must come from the address that was asked: one socket for each.
        let udp: &[Ipv4Addr] = match self.host.part {
            Part::DirectServer => &[self.host.address(), DIRECT_VIP],
            Part::NatServer | Part::Client | Part::Router => &[self.host.address()],
        };
        for address in udp {
            command.arg("--udp").arg(format!("{address}:{UDP_PORT}"));
        }
        self.process =
            Some(Process::start(self.host.name, command.stdout(Stdio::piped()).stdin(Stdio::null()))?);
        Ok(())
    }

    /// Waits until it listens.
    ///
    /// # Errors
    /// When it has ended instead.
    pub fn wait_ready(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("not started")?;
        let stdout = process.child().stdout.take().context("already waited for")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.trim_end() != READY {
            bail!("{} ended before it served", self.host.name);
        }
        Ok(())
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.wait_ready()
    }

    /// Stops it in order: requests under way are finished.
    ///
    /// # Errors
    /// When it does not end within five seconds.
    pub fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().with_context(|| format!("{} does not run", self.host.name))?;
        let status = process.terminate(DRAIN)?;
        if !status.success() {
            bail!("{} ended with {status}", self.host.name);
        }
        Ok(())
    }

    /// Lets it die as a machine dies: off the network first, so that not even a reset tells anyone.
    ///
    /// # Errors
    /// When the interface or the process cannot be brought down.
    pub fn kill_hard(&mut self) -> Result<()> {
        self.namespace.ip("link set eth0 down\n")?;
        match self.process.take() {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// Brings it back after [`RealServer::kill_hard`].
    ///
    /// # Errors
    /// When it does not come up.
    pub fn revive(&mut self) -> Result<()> {
        self.namespace.ip(&format!("link set eth0 up\n{}", self.host.routes()))?;
        self.start()
    }
}
