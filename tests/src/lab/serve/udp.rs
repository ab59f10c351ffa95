//! The UDP server: every datagram comes back with the server's name before it.

use anyhow::Result;
use tokio::{net::UdpSocket, sync::watch};

/// Answers `<name> <datagram>` until stopped.
///
/// # Errors
/// When the socket fails.
pub async fn serve(socket: UdpSocket, name: String, mut stopped: watch::Receiver<bool>) -> Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = tokio::select! {
            received = socket.recv_from(&mut buffer) => received?,
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
        };
        let mut answer = format!("{name} ").into_bytes();
        answer.extend_from_slice(&buffer[..length]);
        // A client that is gone, or the way to it, is no reason to stop serving the others.
        if let Err(error) = socket.send_to(&answer, from).await {
            eprintln!("{name}: cannot answer {from}: {error}");
        }
    }
}
