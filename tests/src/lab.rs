//! The laboratory: two routers, a client and six real servers in network namespaces of their own, wired as
//! [`topology`] draws it.
//!
//! Nothing of it touches the machine's own network, and nothing of it stays: dropping a [`Lab`] ends every process,
//! unmounts every bpffs and deletes every namespace, and a lab whose process was killed is removed when the next one
//! starts.

pub mod api;
pub mod asking;
pub mod attempt;
pub mod background;
pub mod binaries;
pub mod capture;
pub mod config;
pub mod crowd;
pub mod downloads;
pub mod fault;
pub mod flood;
pub mod frames;
pub mod ipv6;
pub mod load;
pub mod netns;
pub mod power;
pub mod process;
pub mod responder;
pub mod router;
pub mod run;
pub mod serve;
pub mod server;
pub mod silence;
pub mod stale;
pub mod topology;
pub mod udp;
pub mod wait;
pub mod xdp_pass;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, id},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use self::{
    config::Config,
    netns::Namespace,
    router::Router,
    server::RealServer,
    topology::{HOSTS, Host, Part},
    xdp_pass::{PassLink, PassProgram},
};

/// Index of the first router in [`Lab::routers`]; it has the higher priority.
pub const R1: usize = 0;
/// Index of the second.
pub const R2: usize = 1;

/// Programs that the lab is built with.
const TOOLS: [&str; 4] = ["ip", "ethtool", "nsenter", "curl"];
/// Time in which two routers that have just started have found their roles and all servers healthy.
const SETTLE: Duration = Duration::from_secs(20);

/// A running laboratory.
#[derive(Debug)]
pub struct Lab {
    name: String,
    folder: PathBuf,
    namespaces: Vec<Namespace>,
    /// The programs at the far ends of the routers' cables, by switch port.
    links: Vec<(&'static str, PassLink)>,
    /// Both routers, [`R1`] and [`R2`]; their `lbd` has to be started.
    pub routers: Vec<Router>,
    /// Every real server, in the order of [`HOSTS`]; all of them serve.
    pub servers: Vec<RealServer>,
}

impl Lab {
    /// Builds the laboratory and starts the real servers.
    ///
    /// # Errors
    /// Without root, without the tools, or when anything of it cannot be made; what was made is removed again.
    pub fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if let Some(missing) = missing() {
            bail!(missing);
        }
        stale::clean().context("removing what an earlier lab left")?;
        let name = match COUNT.fetch_add(1, Ordering::Relaxed) {
            0 => format!("lb{}", id()),
            n => format!("lb{}.{n}", id()),
        };
        let folder = Path::new(stale::LABS).join(&name);
        let (namespaces, links, routers, servers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut lab = Self { name, folder, namespaces, links, routers, servers };
        lab.build()?;
        Ok(lab)
    }

    /// The process that `name`, of a lab or of a part of one, belongs to.
    pub fn pid_of(name: &str) -> Option<u32> {
        let (pid, rest) = name.strip_prefix("lb").map(|rest| rest.split_at(digits(rest)))?;
        let ours = rest.is_empty() || rest.starts_with(['-', '.']);
        pid.parse().ok().filter(|_| ours)
    }

    /// Name of the lab, the prefix of its namespaces.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Folder of everything that is a file.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The namespace of a host of [`HOSTS`], or of the `switch`.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn namespace(&self, host: &str) -> Result<&Namespace> {
        let name = self.namespace_name(host);
        self.namespaces
            .iter()
            .find(|namespace| namespace.name() == name)
            .with_context(|| format!("no host {host}"))
    }

    /// The namespace of the client.
    ///
    /// # Errors
    /// Never once the lab stands.
    pub fn client(&self) -> Result<&Namespace> {
        self.namespace("client")
    }

    /// A real server by its name.
    ///
    /// # Errors
    /// When there is no such server.
    pub fn server(&mut self, name: &str) -> Result<&mut RealServer> {
        self.servers
            .iter_mut()
            .find(|server| server.name() == name)
            .with_context(|| format!("no server {name}"))
    }

    /// Configures both routers, each with the standard of the lab after `change`, starts them and waits until they have
    /// settled.
    ///
    /// # Errors
    /// When one does not start, or they do not settle within twenty seconds.
    pub fn start_routers(&mut self, change: impl Fn(&mut Config)) -> Result<()> {
        for router in &mut self.routers {
            let mut config = router.standard_config();
            change(&mut config);
            router.configure(&config)?;
            router.start()?;
        }
        self.wait_settled()
    }

    /// Waits until r1 is active, r2 stands by, they hear each other, and every real server of both is up.
    ///
    /// # Errors
    /// When that has not come within twenty seconds, or an `lbd` has ended.
    pub fn wait_settled(&mut self) -> Result<()> {
        let mut ended = None;
        let settled = wait::until("r1 to be active, r2 standby and all servers up", SETTLE, || {
            ended = self.routers.iter_mut().find_map(|router| (!router.is_running()).then(|| router.name()));
            Ok(ended.is_some() || (self.settled_as("active", R1)? && self.settled_as("standby", R2)?))
        });
        settled.and_then(|()| ended.map_or(Ok(()), |name| bail!("lbd of {name} has ended")))
    }

    /// Waits until `condition` holds.
    ///
    /// # Errors
    /// When it does not hold within `timeout`.
    pub fn wait(
        &self,
        timeout: Duration,
        what: &str,
        condition: impl Fn(&Self) -> Result<bool>,
    ) -> Result<()> {
        wait::until(what, timeout, || condition(self))
    }

    /// The router that says that it is active; an error unless it is exactly one.
    ///
    /// # Errors
    /// When none or both say so.
    pub fn active(&self) -> Result<usize> {
        let active: Vec<usize> =
            (0..self.routers.len()).filter(|index| self.routers[*index].is_active()).collect();
        match active.as_slice() {
            [one] => Ok(*one),
            [] => bail!("no router is active"),
            _ => bail!("both routers are active"),
        }
    }

    /// Prints the end of both routers' logs to standard error.
    pub fn show_logs(&self) {
        for router in &self.routers {
            eprintln!(
                "--- log of {} ({})\n{}",
                router.name(),
                router.log_file().display(),
                router.log_tail()
            );
        }
    }

    /// Ends, unmounts and deletes everything.
    ///
    /// # Errors
    /// Everything that could not be undone; the rest has been.
    pub fn tear_down(&mut self) -> Result<()> {
        let mut failures = Vec::new();
        self.servers.clear();
        for mut router in self.routers.drain(..) {
            failures.extend(router.tear_down().err());
        }
        self.links.clear();
        for namespace in self.namespaces.drain(..) {
            failures.extend(namespace.kill_processes().err());
            failures.extend(namespace.delete().err());
        }
        if self.folder.exists() {
            failures.extend(stale::remove_folder(&self.folder).err());
        }
        match failures.is_empty() {
            true => Ok(()),
            false => Err(anyhow!(failures.iter().map(|error| format!("{error:#}\n")).collect::<String>())),
        }
    }

    fn namespace_name(&self, host: &str) -> String {
        format!("{}-{host}", self.name)
    }

    fn build(&mut self) -> Result<()> {
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        for host in HOSTS.iter().map(|host| host.name).chain(["switch"]) {
            self.namespaces.push(Namespace::create(&self.namespace_name(host))?);
        }
        self.namespace("switch")?.ip(&topology::cables(|host| self.namespace_name(host)))?;
        for host in &HOSTS {
            set_up_host(self.namespace(host.name)?, host)?;
        }
        self.links = self.namespace("switch")?.enter(|| set_up_switch(&HOSTS))??;
        for host in &HOSTS {
            let namespace = self.namespace(host.name)?.clone();
            match host.part {
                Part::Client => {}
                Part::Router => self.routers.push(Router::new(host, namespace, self.folder.join(host.name))?),
                Part::NatServer | Part::DirectServer => self.servers.push(RealServer::new(host, namespace)),
            }
        }
        self.servers.iter_mut().try_for_each(RealServer::launch)?;
        self.servers.iter_mut().try_for_each(RealServer::wait_ready)
    }

    /// Whether a router has this role, hears its peer and finds every server up.
    fn settled_as(&self, role: &str, index: usize) -> Result<bool> {
        let status = self.routers[index].status()?;
        let up = status.services.iter().flat_map(|service| &service.reals).all(|real| real.state == "up");
        Ok(status.role == role && up && status.peer.is_none_or(|peer| peer.alive))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
        if let Err(error) = self.tear_down() {
            eprintln!("the lab left something behind:\n{error:#}");
        }
    }
}

/// Why no lab can be built here; `None` where it can.
pub fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("the lab needs root: it makes network namespaces and loads BPF programs".to_owned());
    }
    let missing: Vec<&str> = TOOLS.into_iter().filter(|tool| !run::have(tool)).collect();
    (!missing.is_empty()).then(|| format!("the lab needs these programs: {}", missing.join(", ")))
}

/// Gives a host its settings, addresses and routes.
fn set_up_host(namespace: &Namespace, host: &Host) -> Result<()> {
    namespace.enter(|| host.ports.iter().try_for_each(|port| offloads_off(port.interface)))??;
    for (key, value) in host.sysctls() {
        namespace.sysctl(key, value)?;
    }
    for port in host.ports.iter().filter(|_| host.part == Part::Router) {
        namespace.sysctl(&format!("ipv4.conf.{}.rp_filter", port.interface), "0")?;
    }
    namespace.ip(&host.setup())
}

/// Gives the switch ports of these hosts what XDP on a veth needs; runs on a thread inside the switch.
fn set_up_switch<'a>(hosts: impl IntoIterator<Item = &'a Host>) -> Result<Vec<(&'static str, PassLink)>> {
    let program = PassProgram::load()?;
    let mut links = Vec::new();
    for host in hosts {
        for port in host.ports {
            offloads_off(port.switch)?;
            if host.part == Part::Router {
                links.push((port.switch, program.attach(port.switch)?));
            }
        }
    }
    Ok(links)
}

/// Switches off what a veth leaves undone because nobody looks: a partial checksum cannot be updated incrementally,
/// and a segment of 64 KiB is no packet.
fn offloads_off(interface: &str) -> Result<()> {
    let mut command = Command::new("ethtool");
    command.args(["-K", interface, "tx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off"]);
    run::run(&mut command).map(drop)
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_process() {
        assert_eq!(Lab::pid_of("lb4711"), Some(4711));
        assert_eq!(Lab::pid_of("lb4711-client"), Some(4711));
        assert_eq!(Lab::pid_of("lb4711.2-client"), Some(4711));
        for other in ["", "lb", "lb-1", "lbt-4711-x", "4711", "lb12x-client", "lbd"] {
            assert_eq!(Lab::pid_of(other), None, "{other}");
        }
    }
}
