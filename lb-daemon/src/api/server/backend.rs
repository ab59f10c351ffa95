//! What stands behind the API.

use std::future::Future;

use crate::api::types::{Connection, Done, Failover, MaintenanceChange, ServerChange, Stats, Status};

/// What the API asks of the daemon. One clone serves each request.
pub trait Backend: Clone + Send + Sync + 'static {
    /// The whole router at a glance.
    fn status(&self) -> impl Future<Output = Result<Status, ApiError>> + Send;

    /// Counters by reason.
    fn stats(&self) -> impl Future<Output = Result<Stats, ApiError>> + Send;

    /// Every connection in the flow table.
    fn connections(&self) -> impl Future<Output = Result<Vec<Connection>, ApiError>> + Send;

    /// Gives the active role to the peer.
    fn failover(&self, failover: Failover) -> impl Future<Output = Result<Done, ApiError>> + Send;

    /// Holds this router in a role, or releases it.
    fn maintain(&self, change: MaintenanceChange) -> impl Future<Output = Result<Done, ApiError>> + Send;

    /// Changes a real server at run time.
    fn change_server(&self, change: ServerChange) -> impl Future<Output = Result<Done, ApiError>> + Send;

    /// Reads the configuration file again.
    fn reload(&self) -> impl Future<Output = Result<Done, ApiError>> + Send;
}

/// Why a request could not be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Whose fault it is.
    pub status: ErrorStatus,
    /// One line: what is wrong.
    pub message: String,
}

/// Kinds of failure, each an HTTP status (RFC 9110, 15.5 and 15.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStatus {
    /// 400: the request makes no sense.
    BadRequest,
    /// 404: what it names does not exist.
    NotFound,
    /// 409: it makes sense, but not now.
    Conflict,
    /// 500: the daemon failed.
    Internal,
}

impl ApiError {
    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { status: ErrorStatus::BadRequest, message: message.into() }
    }

    /// What the request names does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { status: ErrorStatus::NotFound, message: message.into() }
    }

    /// The request makes sense, but not now.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self { status: ErrorStatus::Conflict, message: message.into() }
    }

    /// The daemon failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { status: ErrorStatus::Internal, message: message.into() }
    }
}
