//! An HTTP/1.1 request is answered with an accepted status, and a body that holds a string.
//!
//! The answer is judged as soon as it can be: without a string to look for, its head is enough.

use std::{convert::Infallible, error::Error, future, io, net::SocketAddrV4, ops::RangeInclusive};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request,
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, select};

use super::{ANSWER_MAX, Failure};

/// How the check shows in the server's log.
const USER_AGENT: &str = concat!("lbd/", env!("CARGO_PKG_VERSION"));

/// `GET path`, for `host` or else for the server's own address (RFC 9110 section 7.2: with the port, unless it is 80).
pub(super) fn request(
    address: SocketAddrV4,
    path: &str,
    host: Option<&str>,
) -> Result<Request<Empty<Bytes>>, Failure> {
    let own = || if address.port() == 80 { address.ip().to_string() } else { address.to_string() };
    Request::get(path)
        .header(header::HOST, host.map_or_else(own, str::to_owned))
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| Failure::Unexpected(format!("cannot ask: {error}")))
}

/// Sends `request`, and judges the answer by its status and by the string that its body must hold.
pub(super) async fn ask(
    stream: TcpStream,
    request: Request<Empty<Bytes>>,
    status: &RangeInclusive<u16>,
    body: Option<&str>,
) -> Result<String, Failure> {
    let mut builder = Builder::new();
    builder.max_buf_size(ANSWER_MAX);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(failure)?;
    // The connection must be driven while the exchange waits for it. What ends it, ends the exchange with the same
    // error; what has arrived before is still to be judged, so the exchange alone decides.
    let driver = async {
        drop(connection.await);
        future::pending::<Infallible>().await
    };
    select! {
        result = exchange(sender, request, status, body) => result,
        never = driver => match never {},
    }
}

async fn exchange(
    mut sender: SendRequest<Empty<Bytes>>,
    request: Request<Empty<Bytes>>,
    status: &RangeInclusive<u16>,
    body: Option<&str>,
) -> Result<String, Failure> {
    let answer = sender.send_request(request).await.map_err(failure)?;
    let code = answer.status().as_u16();
    if !status.contains(&code) {
        let accepted = match status.start() {
            first if first == status.end() => first.to_string(),
            first => format!("{first}-{}", status.end()),
        };
        return Err(Failure::Unexpected(format!("status {code}, not {accepted}")));
    }
    if let Some(wanted) = body
        && !holds(answer.into_body(), wanted.as_bytes()).await?
    {
        return Err(Failure::Unexpected(format!("status {code}, but the body does not hold {wanted:?}")));
    }
    Ok(format!("status {code}"))
}

/// Whether the first 64 KiB of `body` hold `wanted`.
async fn holds(mut body: Incoming, wanted: &[u8]) -> Result<bool, Failure> {
    let mut seen: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(failure)?.into_data() else { continue };
        // The string may have begun at the end of what was there before.
        let fresh = seen.len().saturating_sub(wanted.len());
        let left = ANSWER_MAX.saturating_sub(seen.len());
        seen.extend(data.iter().take(left));
        if contains(seen.get(fresh..).unwrap_or_default(), wanted) {
            return Ok(true);
        }
        if seen.len() == ANSWER_MAX {
            return Ok(false);
        }
    }
    Ok(false)
}

/// Whether `wanted` stands anywhere in `text`.
fn contains(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|window| window == wanted)
}

/// What hyper's error means for people.
fn failure(error: hyper::Error) -> Failure {
    if error.is_parse() {
        return Failure::Unexpected("no HTTP answer".to_owned());
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Failure::Closed;
    }
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(source) if source.kind() == io::ErrorKind::UnexpectedEof => Failure::Closed,
        Some(source) => Failure::Broken(io::Error::new(source.kind(), source.to_string())),
        None => Failure::Unexpected(error.to_string()),
    }
}
