//! The other side of the API: typed calls over the Unix socket, one connection for each.

use std::{
    fmt::Display,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
    http::request,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use super::types::{Connection, Done, Failover, Failure, MaintenanceChange, ServerChange, Stats, Status};

/// Time for a whole call. The daemon itself gives up after 10 s; the rest is for large answers and busy machines.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Speaks to the daemon that listens on a socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no socket, or nobody listens on it.
    #[error("lbd does not answer on {}: is it running?", .0.display())]
    NotRunning(PathBuf),
    /// The daemon took the connection and then said nothing.
    #[error("lbd does not answer on {}: it has been silent for {after:?}", .socket.display())]
    Silent {
        /// Its socket.
        socket: PathBuf,
        /// Time waited.
        after: Duration,
    },
    /// The socket is not for this user.
    #[error("no permission to use {}: be root or in its group", .0.display())]
    Permission(PathBuf),
    /// The daemon understood, and said no.
    #[error("{message}")]
    Refused {
        /// HTTP status, `400..=599`.
        status: u16,
        /// The daemon's own words.
        message: String,
    },
    /// What came back is not the API.
    #[error("{}: {reason}", .socket.display())]
    Protocol {
        /// Its socket.
        socket: PathBuf,
        /// What was wrong.
        reason: String,
    },
}

impl Client {
    /// A client of the daemon at `socket`. Nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), timeout: TIMEOUT }
    }

    /// The same with another time limit for a whole call; 30 s unless said.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Where the daemon is looked for.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET /v1/status`.
    ///
    /// # Errors
    /// See [`ClientError`]; so for every call.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// `GET /v1/stats`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        self.get("/v1/stats").await
    }

    /// `GET /v1/connections`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn connections(&self) -> Result<Vec<Connection>, ClientError> {
        self.get("/v1/connections").await
    }

    /// `POST /v1/failover`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn failover(&self, failover: &Failover) -> Result<Done, ClientError> {
        self.post("/v1/failover", failover).await
    }

    /// `POST /v1/maintenance`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn maintain(&self, change: &MaintenanceChange) -> Result<Done, ClientError> {
        self.post("/v1/maintenance", change).await
    }

    /// `POST /v1/server`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn change_server(&self, change: &ServerChange) -> Result<Done, ClientError> {
        self.post("/v1/server", change).await
    }

    /// `POST /v1/reload`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn reload(&self) -> Result<Done, ClientError> {
        self.post("/v1/reload", &()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(head(Method::GET, path), Bytes::new()).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.protocol(error))?;
        self.call(head(Method::POST, path).header(CONTENT_TYPE, "application/json"), body.into()).await
    }

    async fn call<T: DeserializeOwned>(&self, head: request::Builder, body: Bytes) -> Result<T, ClientError> {
        let request = head.body(Full::new(body)).map_err(|error| self.protocol(error))?;
        let (status, answer) = tokio::time::timeout(self.timeout, self.exchange(request))
            .await
            .map_err(|_| ClientError::Silent { socket: self.socket.clone(), after: self.timeout })??;
        if status.is_success() {
            return serde_json::from_slice(&answer)
                .map_err(|error| self.protocol(format_args!("lbd gave an answer of another kind: {error}")));
        }
        match serde_json::from_slice(&answer) {
            Ok(Failure { error }) => Err(ClientError::Refused { status: status.as_u16(), message: error }),
            Err(_) => Err(self.protocol(format_args!("lbd answered {status} without a reason"))),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.not_connected(error))?;
        let broken = |error: hyper::Error| self.protocol(format_args!("the connection broke: {error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends by itself when the sender and the answer are dropped; what it has to say, they say too.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(broken)?;
        Ok((status, body.to_bytes()))
    }

    fn not_connected(&self, error: io::Error) -> ClientError {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::ConnectionRefused => {
                ClientError::NotRunning(self.socket.clone())
            }
            ErrorKind::PermissionDenied => ClientError::Permission(self.socket.clone()),
            _ => self.protocol(error),
        }
    }

    fn protocol(&self, reason: impl Display) -> ClientError {
        ClientError::Protocol { socket: self.socket.clone(), reason: reason.to_string() }
    }
}

/// HTTP/1.1 wants a host (RFC 9112, 3.2); a socket file has none, so the daemon's name stands for it.
fn head(method: Method, path: &str) -> request::Builder {
    Request::builder().method(method).uri(path).header(HOST, "lbd")
}
