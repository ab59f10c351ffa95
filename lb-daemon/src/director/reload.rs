//! What a reload may change while packets flow, and what needs a restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use tracing::{error, info};

use super::{
    Director,
    servers::{self, real_id},
};
use crate::{
    config::{self, Check, Config, Host},
    netlink,
    plan::{Override, RealId},
};

impl Director {
    /// Reads the configuration file again, and puts it in force as a whole or not at all. Each line of a refusal is in
    /// the log, whoever asked.
    pub(super) async fn reload(&mut self) -> Result<String, String> {
        let new = match self.acceptable().await {
            Ok(new) => new,
            Err(refusal) => {
                refusal.lines().for_each(|line| error!("{line}"));
                error!("not reloaded: the configuration in force stays");
                return Err(refusal);
            }
        };
        // Checked with the file: nothing in it needs a restart.
        let _ = self.parts.pair.update(new.peer.clone(), &new.preferences(), new.hash());
        if let Some(peer) = &new.peer {
            self.parts.sync.set_keys(&peer.keys);
        }
        self.parts.config = new;
        servers::retain_configured(&self.parts.config, &mut self.overrides);
        self.apply_config();
        self.replan();
        self.place_addresses().await;
        self.announce();
        let done = format!("configuration reloaded: {} services", self.parts.config.services.len());
        info!("{done}");
        let trouble: Vec<String> = self.trouble.lines().collect();
        if trouble.is_empty() { Ok(done) } else { Err(format!("{done}, but {}", trouble.join("; "))) }
    }

    /// The new configuration, when nothing speaks against it.
    async fn acceptable(&mut self) -> Result<Config, String> {
        let new = read_config(&self.parts.config_path, &self.parts.config).await?;
        // More than the data plane has room for.
        self.plan(&new)?;
        let keys = new.peer.as_ref().map_or(Ok(()), |peer| self.parts.pair.accept_keys(peer));
        keys.map_err(|refusal| format!("{}: {refusal}", self.parts.config_path.display()))?;
        Ok(new)
    }
}

/// The new configuration, when it can be put in force beside `old`.
async fn read_config(path: &Path, old: &Config) -> Result<Config, String> {
    let interfaces = netlink::interfaces().await.map_err(|error| error.to_string())?;
    let host = Host { interfaces: Some(interfaces) };
    let new = config::load(path, &host).map_err(|errors| errors.to_string())?;
    let fixed = needs_restart(old, &new);
    if fixed.is_empty() {
        Ok(new)
    } else {
        Err(format!("{}: {} changed, which needs a restart of lbd", path.display(), fixed.join(", ")))
    }
}

/// Names the parts of the configuration that differ and are fixed while the daemon runs.
pub fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut parts = Vec::new();
    let mut differ = |part, differs: bool| {
        if differs {
            parts.push(part);
        }
    };
    differ("router.name", old.router.name != new.router.name);
    differ("router.interfaces", old.router.interfaces != new.router.interfaces);
    differ("the names of [[group]]", old.group_names() != new.group_names());
    differ("[peer]", old.peer.is_some() != new.peer.is_some());
    if let (Some(old), Some(new)) = (&old.peer, &new.peer) {
        differ("peer.paths", old.paths != new.paths);
        differ("peer.port", old.port != new.port);
        differ("peer.sync", old.sync != new.sync);
    }
    differ("[limits]", old.limits != new.limits);
    differ("[daemon]", old.daemon != new.daemon);
    // The program is loaded for them, or without.
    differ("the first virtual_mac", new.has_virtual_macs() && !old.has_virtual_macs());
    parts
}

/// The targets whose next hops must be known: every real server, and the peer on every path where packets can be passed to
/// it.
pub fn targets(config: &Config) -> BTreeSet<std::net::Ipv4Addr> {
    let reals = config.services.iter().flat_map(|service| service.reals.iter().map(|real| real.address));
    let peers = config.peer.iter().flat_map(|peer| peer.paths.iter().filter_map(|path| path.remote.ipv4()));
    reals.chain(peers).collect()
}

/// The checks that should run: of every real server whose service has one and that is not disabled.
pub fn checks(config: &Config, overrides: &BTreeMap<RealId, Override>) -> BTreeMap<RealId, Check> {
    let mut wanted = BTreeMap::new();
    for service in &config.services {
        let Some(check) = &service.check else { continue };
        for real in &service.reals {
            let id = real_id(service, real);
            if !overrides.get(&id).is_some_and(|change| change.disabled) {
                wanted.insert(id, check.clone());
            }
        }
    }
    wanted
}
