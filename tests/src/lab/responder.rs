//! TCP servers inside the test's own process, for what the lab's real servers do not offer. A socket belongs for good
//! to the namespace it was made in, so the one thread that serves need not be in any.

pub mod names;
pub mod stream;

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{net::TcpStream, runtime};

use super::server::RealServer;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    /// Who answers, see [`names`].
    Names,
    /// Bytes without end at a steady pace, see [`stream`].
    Stream {
        /// Bytes a second on each connection.
        rate: u64,
    },
}

/// Running servers. Dropping it cuts all their connections.
#[derive(Debug)]
pub struct Responder {
    runtime: Option<runtime::Runtime>,
}

impl Responder {
    /// Serves `protocol` on `port` of every address of each of `servers`.
    ///
    /// # Errors
    /// When one cannot listen.
    pub fn start<'a>(
        servers: impl IntoIterator<Item = &'a RealServer>,
        port: u16,
        protocol: Protocol,
    ) -> Result<Self> {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        for server in servers {
            let name = names::padded(server.name());
            let listener = server.namespace().enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?;
            let listener =
                listener.with_context(|| format!("{} cannot listen on port {port}", server.name()))?;
            listener.set_nonblocking(true)?;
            let _inside = runtime.enter();
            let listener = tokio::net::TcpListener::from_std(listener)?;
            runtime.spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => drop(tokio::spawn(talk(stream, name, protocol))),
                        // The client that waits in vain tells the test.
                        Err(error) => eprintln!("cannot accept: {error}"),
                    }
                }
            });
        }
        Ok(Self { runtime: Some(runtime) })
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lets this process have thousands of connections: many systems allow 1024 open files at first.
///
/// # Errors
/// When the kernel refuses, as it does without root.
pub fn allow_open_files(count: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= count {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, count, hard.max(count))
        .with_context(|| format!("cannot allow {count} open files"))
}

async fn talk(stream: TcpStream, name: names::Word, protocol: Protocol) {
    // How it went is seen, and judged, at the other end.
    let _ = match protocol {
        Protocol::Names => names::serve(stream, name).await,
        Protocol::Stream { rate } => stream::serve(stream, rate).await,
    };
}
