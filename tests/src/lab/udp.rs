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
    let mut names = echoes(namespace, target, &[text])?;
    names.pop().context("no echo")
}

/// Sends every one of `texts` from the same port, each after the answer to the one before; returns who answered.
///
/// # Errors
/// As [`echo`].
pub fn echoes(namespace: &Namespace, target: SocketAddrV4, texts: &[&str]) -> Result<Vec<String>> {
    namespace.enter(|| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        // A connected socket takes answers from the target alone.
        socket.connect(target)?;
        texts.iter().map(|text| ask(&socket, text).with_context(|| format!("{text:?} to {target}"))).collect()
    })?
}

fn ask(socket: &UdpSocket, text: &str) -> Result<String> {
    socket.send(text.as_bytes())?;
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).context("no echo")?;
    let answer = String::from_utf8_lossy(&buffer[..length]);
    match answer.split_once(' ') {
        Some((name, echoed)) if echoed == text => Ok(name.to_owned()),
        _ => bail!("{answer:?} is no echo"),
    }
}
