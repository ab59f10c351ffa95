//! Routers without power, cables that are pulled or lose heartbeats, and how all of them come back.

use anyhow::{Context, Result};

use super::{
    Lab, set_up_host, set_up_switch,
    topology::{HOSTS, Host, host_cables},
    xdp_pass::PassProgram,
};

impl Lab {
    /// Takes the power from a router: its interfaces vanish with its data plane, then its daemon. Nobody hears a goodbye.
    ///
    /// # Errors
    /// When a cable cannot be removed, or `lbd` does not run.
    pub fn power_off(&mut self, index: usize) -> Result<()> {
        let host = self.host(index)?;
        self.namespace("switch")?.ip(&format!("link delete group {}\n", host.cable_group()))?;
        let ports = host.ports;
        self.links.retain(|(switch, _)| ports.iter().all(|port| port.switch != *switch));
        self.routers[index].kill().map(drop)
    }

    /// Gives it back: a router with its interfaces and nothing that it has known, whose `lbd` has to be started.
    ///
    /// # Errors
    /// When a cable or the bpffs cannot be made anew.
    pub fn power_on(&mut self, index: usize) -> Result<()> {
        let host = self.host(index)?;
        let namespace = self.namespace(host.name)?;
        self.namespace("switch")?.ip(&host_cables(host, namespace.name()))?;
        set_up_host(namespace, host)?;
        let links = self.namespace("switch")?.enter(|| set_up_switch([host]))??;
        self.links.extend(links);
        self.routers[index].forget()
    }

    /// Pulls the cable at the port `number` of a router, or plugs it in again.
    ///
    /// # Errors
    /// When there is no such cable.
    pub fn set_cable(&self, index: usize, number: usize, up: bool) -> Result<()> {
        let port = self.host(index)?.ports.get(number).context("no such port")?;
        let state = if up { "up" } else { "down" };
        self.namespace("switch")?.ip(&format!("link set {} {state}\n", port.switch))
    }

    /// Lets three in ten of a router's heartbeats be lost on every path, or none again.
    ///
    /// # Errors
    /// When the router has no cables.
    pub fn lose_heartbeats(&self, index: usize, lose: bool) -> Result<()> {
        let program = if lose { PassProgram::load_lossy()? } else { PassProgram::load()? };
        let ports = self.host(index)?.ports;
        let ours = self.links.iter().filter(|(switch, _)| ports.iter().any(|port| port.switch == *switch));
        ours.map(|(_, link)| link).try_for_each(|link| link.replace(&program))
    }

    fn host(&self, index: usize) -> Result<&'static Host> {
        let name = self.routers.get(index).context("no such router")?.name();
        HOSTS.iter().find(|host| host.name == name).context("every router is a host")
    }
}
