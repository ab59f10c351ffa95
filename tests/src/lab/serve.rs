//! What a real server of the lab runs: HTTP over TCP, and echo over UDP.

pub mod http;
pub mod payload;
pub mod udp;

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::{
    net::{TcpListener, UdpSocket},
    signal::unix::{SignalKind, signal},
};

/// Printed to standard output once every socket listens.
pub const READY: &str = "ready";

/// Serves until `SIGTERM`; requests under way are then finished.
///
/// # Errors
/// When an address cannot be bound, or serving fails.
pub async fn serve(name: &str, http: &[SocketAddr], udp: &[SocketAddr]) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut tasks = tokio::task::JoinSet::new();
    for address in http {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        tasks.spawn(http::serve(listener, name.to_owned(), stopped.clone()));
    }
    for address in udp {
        let socket = UdpSocket::bind(address).await.with_context(|| format!("cannot bind {address}"))?;
        tasks.spawn(udp::serve(socket, name.to_owned(), stopped.clone()));
    }
    println!("{READY}");
    terminate.recv().await;
    stop.send_replace(true);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
