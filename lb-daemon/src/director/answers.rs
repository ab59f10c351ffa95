//! How the director answers the API.

use std::{collections::BTreeMap, time::Instant};

use lb_common::{Counter, Reason, Verdict};
use tokio::task::spawn_blocking;

use super::{
    Director,
    command::{Command, Reply},
    servers::{self, ChangeError},
    status,
};
use crate::{
    api::{
        server::ApiError,
        types::{Connection, Done, Failover, ReasonCount, ServerChange, Stats, Status, TrackStatus},
    },
    config::Track,
    connections,
    datapath::{self, FlowTable},
};

impl Director {
    /// Performs one command. One that nobody waits for any more is left undone: who gave it was told that it failed.
    pub(super) async fn command(&mut self, command: Command) {
        if command.is_abandoned() {
            return;
        }
        match command {
            Command::Status(reply) => drop(reply.send(self.status())),
            Command::Stats(reply) => self.stats(reply),
            Command::Connections(reply) => self.read_table(reply, connection_list),
            Command::Failover(failover, reply) => drop(reply.send(self.failover(&failover))),
            Command::Maintain(change, reply) => drop(reply.send(self.maintain(change))),
            Command::Server(change, reply) => drop(reply.send(self.change_server(&change))),
            Command::Reload(reply) => {
                let result = self.reload().await;
                drop(reply.send(result.map(|message| Done { message }).map_err(ApiError::conflict)));
            }
        }
    }

    fn status(&self) -> Result<Status, ApiError> {
        // A copy: to hold the borrow while the pair is asked below would hold up the heartbeat.
        let roles = self.parts.pair.roles.borrow().clone();
        let pair = self.parts.pair.warnings().into_iter().chain(self.parts.sync.warnings());
        let announcer = self.parts.announcer.warnings().into_iter().chain(self.parts.conflicts.warnings());
        let trouble: Vec<String> = self.trouble.lines().chain(announcer).chain(pair).collect();
        let counters = self.counters()?;
        Ok(status::build(&status::Facts {
            config: &self.parts.config,
            role: status::role(&roles, &self.parts.pair.explanation(0), Instant::now()),
            roles: &roles,
            groups: self.parts.pair.groups(),
            maintenance: status::common(&self.parts.pair.maintenance.borrow()),
            peer: self.parts.config.peer.as_ref().map(|_| self.parts.pair.status()),
            tracks: self.track_statuses(),
            sync: self.parts.config.peer.as_ref().map(|_| self.parts.sync.status()),
            sync_out: self.parts.sync.status_out(),
            modes: self.parts.datapath.attach_modes(),
            topology: &self.parts.topology.borrow(),
            health: &self.health,
            details: self.parts.checkers.details(),
            overrides: &self.overrides,
            connections: &self.connections,
            counters: &counters,
            rates: &self.estimator,
            conflicts: self.conflict_statuses(),
            trouble: &trouble,
        }))
    }

    fn track_statuses(&self) -> Vec<TrackStatus> {
        let status = |track: &Track| TrackStatus {
            name: track.name.clone(),
            ok: self.tracks.found(&track.name),
            weight: track.weight,
            fault: track.fault,
            detail: self.parts.watchers.detail(&track.name).unwrap_or_default(),
        };
        self.parts.config.tracks.iter().map(status).collect()
    }

    fn stats(&self, reply: Reply<Stats>) {
        match self.parts.datapath.reasons() {
            Ok(counters) => self.read_table(reply, move |table| {
                Ok(Stats { reasons: reason_counts(&counters), flow_entries: connections::entries(table) })
            }),
            Err(error) => drop(reply.send(Err(error.into()))),
        }
    }

    /// Answers with what `read` finds in the flow table, on a thread of its own: a takeover does not wait for it.
    fn read_table<T: Send + 'static>(
        &self,
        reply: Reply<T>,
        read: impl FnOnce(&dyn FlowTable) -> Result<T, datapath::Error> + Send + 'static,
    ) {
        let table = self.parts.datapath.flow_table();
        spawn_blocking(move || drop(reply.send(read(table.as_ref()).map_err(ApiError::from))));
    }

    fn failover(&self, failover: &Failover) -> Result<Done, ApiError> {
        let group = failover.group.as_deref();
        self.find_group(group)?;
        self.parts.pair.failover(group).map(|message| Done { message }).map_err(ApiError::conflict)
    }

    /// Whether there is a group of this name, if one is named.
    pub(super) fn find_group(&self, name: Option<&str>) -> Result<(), ApiError> {
        let groups = &self.parts.config.groups;
        match name {
            Some(name) if !groups.iter().any(|group| group.name == name) => {
                let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
                let known = if names.is_empty() { "none is configured".to_owned() } else { names.join(", ") };
                Err(ApiError::not_found(format!("there is no group {name}: {known}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn change_server(&mut self, change: &ServerChange) -> Result<Done, ApiError> {
        let message = servers::change(&self.parts.config, &mut self.overrides, change)?;
        tracing::info!("{message}");
        self.apply_checks();
        self.replan();
        Ok(Done { message })
    }
}

fn connection_list(table: &dyn FlowTable) -> Result<Vec<Connection>, datapath::Error> {
    Ok(connections::list(table, &table.clock()?))
}

/// Every reason, counted or not, in the order of its number.
fn reason_counts(counters: &BTreeMap<Reason, Counter>) -> Vec<ReasonCount> {
    let count = |reason: &Reason| {
        let counter = counters.get(reason).copied().unwrap_or_default();
        let verdict = match reason.verdict() {
            Verdict::Pass => "pass",
            Verdict::Drop => "drop",
            Verdict::Send => "send",
        };
        ReasonCount {
            reason: reason.name().to_owned(),
            verdict: verdict.to_owned(),
            packets: counter.packets,
            bytes: counter.bytes,
        }
    };
    Reason::ALL.iter().map(count).collect()
}

impl From<datapath::Error> for ApiError {
    fn from(error: datapath::Error) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NoService(_) | ChangeError::NoServer(_) => Self::not_found(error.to_string()),
            ChangeError::Weight(_) => Self::bad_request(error.to_string()),
        }
    }
}
