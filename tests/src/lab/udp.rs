//! A UDP client: one datagram from a port of its own, and who answered.

use std::{
    net::{SocketAddrV4, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::netns::Namespace;

/// Time an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Sends `text` to `target` from inside `namespace` and returns the name of the server that echoed it.
///
/// # Errors
/// When no answer comes, it comes from elsewhere, or it is not an echo.
pub fn echo(namespace: &Namespace, target: SocketAddrV4, text: &str) -> Result<String> {
    let answer = namespace.enter(|| -> Result<String> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        // A connected socket takes answers from the target alone.
        socket.connect(target)?;
        socket.send(text.as_bytes())?;
        let mut buffer = [0; 2048];
        let length = socket.recv(&mut buffer).with_context(|| format!("no echo from {target}"))?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    })??;
    match answer.split_once(' ') {
        Some((name, echoed)) if echoed == text => Ok(name.to_owned()),
        _ => bail!("{target} answered {answer:?} to {text:?}"),
    }
}
