//! The daemon's side of the API. What stands behind it is a [`Backend`], so that routes are tested without a daemon.

mod backend;
mod socket;

use std::{future::Future, io, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State, rejection::JsonRejection},
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::FutureExt;
use tokio::{net::UnixListener, task::spawn_blocking};

pub use self::{
    backend::{ApiError, Backend, ErrorStatus},
    socket::{BindError, bind},
};
use super::types::{Done, Failover, Failure, MaintenanceChange, ServerChange, Stats, Status};

/// Octets of a request body that are read; the largest command has a few hundred.
const BODY_LIMIT: usize = 16 * 1024;

/// Time the backend has for an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that requests under way have to finish after shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// Answers requests until `shutdown` completes, and those under way for at most two seconds more.
///
/// # Errors
/// When the listener fails for good; failures of single connections are not errors.
pub async fn serve(
    listener: UnixListener,
    backend: impl Backend,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let shutdown = shutdown.shared();
    let too_late = shutdown.clone().then(|()| tokio::time::sleep(GRACE));
    let service = router(backend, REQUEST_TIMEOUT);
    tokio::select! {
        result = axum::serve(listener, service).with_graceful_shutdown(shutdown).into_future() => result,
        // A client that never ends its request must not keep the daemon from ending.
        () = too_late => Ok(()),
    }
}

fn router<B: Backend>(backend: B, timeout: Duration) -> Router {
    Router::new()
        .route("/v1/status", get(status::<B>))
        .route("/v1/stats", get(stats::<B>))
        .route("/v1/connections", get(connections::<B>))
        .route("/v1/failover", post(failover::<B>))
        .route("/v1/maintenance", post(maintain::<B>))
        .route("/v1/server", post(change_server::<B>))
        .route("/v1/reload", post(reload::<B>))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(timeout, limit_time))
        .with_state(backend)
}

async fn status<B: Backend>(State(backend): State<B>) -> Result<Json<Status>, ApiError> {
    backend.status().await.map(Json)
}

async fn stats<B: Backend>(State(backend): State<B>) -> Result<Json<Stats>, ApiError> {
    backend.stats().await.map(Json)
}

/// A million connections are 150 MB of JSON, which no thread makes that others wait for.
async fn connections<B: Backend>(State(backend): State<B>) -> Result<Response, ApiError> {
    let list = backend.connections().await?;
    let made = spawn_blocking(move || Json(list).into_response()).await;
    made.map_err(|error| ApiError::internal(format!("the list was not made: {error}")))
}

async fn failover<B: Backend>(
    State(backend): State<B>,
    failover: Result<Option<Json<Option<Failover>>>, JsonRejection>,
) -> Response {
    match failover {
        Ok(body) => {
            let failover = body.and_then(|Json(failover)| failover).unwrap_or_default();
            backend.failover(failover).await.map(Json).into_response()
        }
        Err(rejection) => failure(rejection_status(&rejection), rejection.body_text()),
    }
}

async fn reload<B: Backend>(State(backend): State<B>) -> Result<Json<Done>, ApiError> {
    backend.reload().await.map(Json)
}

async fn change_server<B: Backend>(
    State(backend): State<B>,
    change: Result<Json<ServerChange>, JsonRejection>,
) -> Response {
    match change {
        Ok(Json(change)) => backend.change_server(change).await.map(Json).into_response(),
        Err(rejection) => failure(rejection_status(&rejection), rejection.body_text()),
    }
}

async fn maintain<B: Backend>(
    State(backend): State<B>,
    change: Result<Json<MaintenanceChange>, JsonRejection>,
) -> Response {
    match change {
        Ok(Json(change)) => backend.maintain(change).await.map(Json).into_response(),
        Err(rejection) => failure(rejection_status(&rejection), rejection.body_text()),
    }
}

/// The API knows 400 for every request it cannot read; axum's finer codes say nothing more to a person.
fn rejection_status(rejection: &JsonRejection) -> StatusCode {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    }
}

async fn not_found(uri: Uri) -> Response {
    failure(StatusCode::NOT_FOUND, format!("no such route: {}", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    failure(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not a method of {}", uri.path()))
}

async fn limit_time(State(timeout): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => failure(StatusCode::INTERNAL_SERVER_ERROR, format!("no answer within {timeout:?}")),
    }
}

fn failure(status: StatusCode, error: String) -> Response {
    (status, Json(Failure { error })).into_response()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match self.status {
            ErrorStatus::BadRequest => StatusCode::BAD_REQUEST,
            ErrorStatus::NotFound => StatusCode::NOT_FOUND,
            ErrorStatus::Conflict => StatusCode::CONFLICT,
            ErrorStatus::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        failure(status, self.message)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::api::{
        client::{Client, ClientError},
        types::Connection,
    };

    #[tokio::test]
    async fn a_backend_that_hangs_is_told_to_the_client() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lbd.sock");
        let service = router(Hanging, Duration::from_millis(20));
        let server = tokio::spawn(axum::serve(bind(&path).unwrap(), service).into_future());
        let client = Client::new(&path);
        for error in [client.status().await.unwrap_err(), client.reload().await.unwrap_err()] {
            let ClientError::Refused { status, message } = error else { panic!("{error:?}") };
            assert_eq!((status, message.as_str()), (500, "no answer within 20ms"));
        }
        server.abort();
    }

    /// A daemon that never comes to an answer.
    #[derive(Clone)]
    struct Hanging;

    impl Backend for Hanging {
        async fn status(&self) -> Result<Status, ApiError> {
            pending().await
        }

        async fn stats(&self) -> Result<Stats, ApiError> {
            pending().await
        }

        async fn connections(&self) -> Result<Vec<Connection>, ApiError> {
            pending().await
        }

        async fn failover(&self, _: Failover) -> Result<Done, ApiError> {
            pending().await
        }

        async fn maintain(&self, _: MaintenanceChange) -> Result<Done, ApiError> {
            pending().await
        }

        async fn change_server(&self, _: ServerChange) -> Result<Done, ApiError> {
            pending().await
        }

        async fn reload(&self) -> Result<Done, ApiError> {
            pending().await
        }
    }
}
