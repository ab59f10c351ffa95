//! The HTTP/1.1 server: who answers, bytes, slowness.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use anyhow::Result;
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Path, State},
    http::{HeaderValue, header::CONTENT_LENGTH},
    response::Response,
    routing::get,
};
use tokio::{net::TcpListener, sync::watch};

use super::payload;

/// Serves `GET /` (the server's name), `/client` (the client's address as seen here), `/bytes/N` (N bytes, see
/// [`payload`]) and `/slow/MS` (the name, after MS milliseconds).
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, name: String, mut stopped: watch::Receiver<bool>) -> Result<()> {
    let routes = Router::new()
        .route("/", get(async |State(name): State<String>| name))
        .route("/client", get(client))
        .route("/bytes/{count}", get(bytes))
        .route("/slow/{milliseconds}", get(slow))
        .with_state(name);
    axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            // The sender lives as long as the process: an error here would mean that it has ended.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        })
        .await?;
    Ok(())
}

async fn client(ConnectInfo(address): ConnectInfo<SocketAddr>) -> String {
    address.ip().to_string()
}

async fn bytes(Path(count): Path<u64>) -> Response {
    let chunks = payload::chunks(count).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(futures_util::stream::iter(chunks)));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(count));
    response
}

async fn slow(State(name): State<String>, Path(milliseconds): Path<u64>) -> String {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    name
}
