//! What the API asks of the director, and the handle by which it asks.

use tokio::sync::{mpsc, oneshot};

use crate::api::{
    server::{ApiError, Backend},
    types::{Connection, Done, Failover, MaintenanceChange, ServerChange, Stats, Status},
};

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, ApiError>>;

/// One request to the director.
#[derive(Debug)]
pub enum Command {
    /// The router at a glance.
    Status(Reply<Status>),
    /// Counters by reason.
    Stats(Reply<Stats>),
    /// Every connection.
    Connections(Reply<Vec<Connection>>),
    /// Give the role to the peer.
    Failover(Failover, Reply<Done>),
    /// Hold this router in a role, or release it.
    Maintain(MaintenanceChange, Reply<Done>),
    /// Change real servers.
    Server(ServerChange, Reply<Done>),
    /// Read the configuration file again.
    Reload(Reply<Done>),
}

impl Command {
    /// Whether nobody waits for the answer any more.
    pub fn is_abandoned(&self) -> bool {
        match self {
            Self::Status(reply) => reply.is_closed(),
            Self::Stats(reply) => reply.is_closed(),
            Self::Connections(reply) => reply.is_closed(),
            Self::Failover(_, reply) | Self::Server(_, reply) | Self::Reload(reply) => reply.is_closed(),
            Self::Maintain(_, reply) => reply.is_closed(),
        }
    }
}

/// The API's side of the director.
#[derive(Clone, Debug)]
pub struct DirectorHandle {
    commands: mpsc::Sender<Command>,
}

impl DirectorHandle {
    /// A handle and the end that the director reads. A few requests may wait; more make the API wait.
    pub fn channel() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(16);
        (Self { commands }, receiver)
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        let stopping = || ApiError::internal("lbd is stopping");
        self.commands.send(command(reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

impl Backend for DirectorHandle {
    async fn status(&self) -> Result<Status, ApiError> {
        self.ask(Command::Status).await
    }

    async fn stats(&self) -> Result<Stats, ApiError> {
        self.ask(Command::Stats).await
    }

    async fn connections(&self) -> Result<Vec<Connection>, ApiError> {
        self.ask(Command::Connections).await
    }

    async fn failover(&self, failover: Failover) -> Result<Done, ApiError> {
        self.ask(|reply| Command::Failover(failover, reply)).await
    }

    async fn maintain(&self, change: MaintenanceChange) -> Result<Done, ApiError> {
        self.ask(|reply| Command::Maintain(change, reply)).await
    }

    async fn change_server(&self, change: ServerChange) -> Result<Done, ApiError> {
        self.ask(|reply| Command::Server(change, reply)).await
    }

    async fn reload(&self) -> Result<Done, ApiError> {
        self.ask(Command::Reload).await
    }
}
