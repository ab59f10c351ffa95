//! A stream to the peer that both sides have proven: one task reads it, another writes it, so that nobody who waits for
//! something else ever leaves a frame half read or half written.

use tokio::{
    io::{AsyncWriteExt as _, BufWriter},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinHandle,
};

use crate::sync::{
    secure::{Error, Opener, Sealer},
    wire::Message,
};

/// Messages that wait to be written at most. The windows of the engines are smaller: when there is no room, the stream has
/// stopped moving.
const OUTGOING: usize = 64;
/// Messages that wait to be read at most; then TCP holds the peer up.
const INCOMING: usize = 4;

/// See the module. Dropping it closes the stream.
#[derive(Debug)]
pub(super) struct Link {
    outgoing: mpsc::Sender<Message>,
    incoming: mpsc::Receiver<Result<Message, Error>>,
    tasks: [JoinHandle<()>; 2],
}

/// The stream has come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// What reading it said.
    #[error("{0}")]
    Read(#[from] Error),
    /// The other router has ended it.
    #[error("the other router has closed the stream: it is not active, or ends")]
    Closed,
    /// Nothing moves any more.
    #[error("the stream does not move")]
    Stuck,
    /// The other side does not keep to the protocol.
    #[error("{0}")]
    Protocol(String),
}

impl Link {
    /// Takes over a stream after its handshake.
    pub(super) fn start(stream: TcpStream, sealer: Sealer, opener: Opener) -> Self {
        let (read, write) = stream.into_split();
        let (outgoing, messages) = mpsc::channel(OUTGOING);
        let (arrivals, incoming) = mpsc::channel(INCOMING);
        let tasks = [
            tokio::spawn(write_all(write, sealer, messages)),
            tokio::spawn(read_all(read, opener, arrivals)),
        ];
        Self { outgoing, incoming, tasks }
    }

    /// Sends a message, without waiting.
    ///
    /// # Errors
    /// When the stream is lost.
    pub(super) fn send(&self, message: Message) -> Result<(), Lost> {
        self.outgoing.try_send(message).map_err(|_| Lost::Stuck)
    }

    /// The next message. May be cancelled.
    ///
    /// # Errors
    /// When the stream is lost.
    pub(super) async fn receive(&mut self) -> Result<Message, Lost> {
        self.incoming.recv().await.ok_or(Lost::Stuck)?.map_err(|error| match error {
            Error::Io(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => Lost::Closed,
            error => Lost::Read(error),
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn write_all(stream: OwnedWriteHalf, mut sealer: Sealer, mut messages: mpsc::Receiver<Message>) {
    let mut stream = BufWriter::new(stream);
    while let Some(message) = messages.recv().await {
        let written = sealer.write(&mut stream, &message).await;
        // Whoever reads learns why.
        if written.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

async fn read_all(
    mut stream: OwnedReadHalf,
    mut opener: Opener,
    arrivals: mpsc::Sender<Result<Message, Error>>,
) {
    loop {
        let message = opener.read(&mut stream).await;
        let failed = message.is_err();
        if arrivals.send(message).await.is_err() || failed {
            return;
        }
    }
}
