//! Checks of servers that behave in every way. The servers listen on loopback addresses; no time is asserted, only
//! what comes out. Timeouts are long where the answer comes, and short where it never does.

use std::net::Ipv4Addr;

use regex::bytes::Regex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    sync::oneshot,
    time::{sleep, timeout},
};

use super::*;
use crate::config::Expect;

/// Timeout of checks that get their answer: far more than a busy machine needs.
const LONG: Duration = Duration::from_secs(30);

/// Timeout of checks that never get one.
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn an_accepted_connection_is_enough_and_ends_by_a_reset() {
    let (seen, server_saw) = oneshot::channel();
    let mut seen = Some(seen);
    let address = serve(move |mut stream| {
        let seen = seen.take();
        async move {
            let kind = stream.read(&mut [0; 1]).await.map_err(|error| error.kind());
            if let Some(seen) = seen {
                seen.send(kind).unwrap();
            }
        }
    })
    .await;
    assert_good(run(&check(Probe::Connect, LONG), address).await, "connected in ");
    assert_eq!(server_saw.await.unwrap(), Err(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    // Bound, so that nobody else can listen there, but not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let std::net::SocketAddr::V4(address) = socket.local_addr().unwrap() else {
        unreachable!("bound to IPv4")
    };
    for probe in [Probe::Connect, expect_prefix("", "x"), http("/", 200..=399, None)] {
        assert_bad(run(&check(probe, LONG), address).await, "connection refused");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_connection_is_given_up() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = address_of(&listener);
    // Once the backlog is full, the kernel answers no SYN.
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(SHORT, TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
    }
    assert_bad(run(&check(Probe::Connect, SHORT), address).await, "no connection within 300ms");
}

#[tokio::test]
async fn another_port_can_be_asked() {
    let address = serve(|_| async {}).await;
    let check = Check { port: Some(address.port()), ..check(Probe::Connect, LONG) };
    assert_good(run(&check, SocketAddrV4::new(*address.ip(), 1)).await, "connected in ");
}

#[tokio::test]
async fn what_is_sent_arrives_and_what_is_expected_is_good() {
    let address = serve(|mut stream| async move {
        let mut ping = [0; 6];
        stream.read_exact(&mut ping).await.unwrap();
        let answer: &[u8] = if &ping == b"PING\r\n" { b"+PONG\r\n" } else { b"-ERR\r\n" };
        stream.write_all(answer).await.unwrap();
        hang().await;
    })
    .await;
    assert_good(
        run(&check(expect_prefix("PING\r\n", "+PONG"), LONG), address).await,
        "answered as expected in ",
    );
    assert_good(
        run(&check(expect_regex("PING\r\n", "PO+NG\r\n$"), LONG), address).await,
        "answered as expected",
    );
    assert_bad(
        run(&check(expect_prefix("PONG\r\n", "+PONG"), LONG), address).await,
        r#"answered "-ERR\r\n""#,
    );
}

#[tokio::test]
async fn an_answer_may_come_in_drips() {
    let address = serve(|mut stream| async move {
        for byte in b"220 mail.example.org ESMTP\r\n" {
            stream.write_all(&[*byte]).await.unwrap();
            sleep(Duration::from_millis(2)).await;
        }
        hang().await;
    })
    .await;
    for probe in [expect_prefix("", "220 mail"), expect_regex("", "ESMTP")] {
        assert_good(run(&check(probe, LONG), address).await, "answered as expected");
    }
    let bad = run(&check(expect_prefix("", "221"), LONG), address).await;
    assert_bad(bad, r#"answered "220""#);
}

#[tokio::test]
async fn drips_without_end_do_not_stretch_the_timeout() {
    let address = serve(|mut stream| async move {
        while stream.write_all(b"z").await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let failure = run(&check(expect_regex("", "a"), SHORT), address).await.unwrap_err().to_string();
    assert!(failure.starts_with("answered \"z"), "{failure}");
    assert!(failure.ends_with(", and nothing as expected within 300ms"), "{failure}");
}

#[tokio::test]
async fn an_expression_is_looked_for_in_the_first_64_kib() {
    for (before, expected) in [(ANSWER_MAX - 3, true), (ANSWER_MAX - 2, false)] {
        let address = serve(move |mut stream| async move {
            // The check may have seen enough before all of it is written.
            let _ = stream.write_all(&[vec![b'.'; before], b"end".to_vec(), vec![b'.'; 4096]].concat()).await;
            hang().await;
        })
        .await;
        let result = run(&check(expect_regex("", "end"), LONG), address).await;
        assert_eq!(result.is_ok(), expected, "{before}: {result:?}");
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let address = serve(|stream| async move {
        hang().await;
        drop(stream);
    })
    .await;
    for probe in [expect_prefix("", "x"), expect_regex("", "x"), http("/", 200..=399, None)] {
        assert_bad(run(&check(probe, SHORT), address).await, "no answer within 300ms");
    }
}

#[tokio::test]
async fn a_server_that_closes_without_an_answer_fails() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
    })
    .await;
    for probe in [expect_prefix("HELLO\r\n\r\n", "x"), http("/", 200..=399, None)] {
        assert_bad(run(&check(probe, LONG), address).await, "connection closed before the answer");
    }
}

#[tokio::test]
async fn a_server_that_resets_the_connection_fails() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    for probe in [expect_prefix("HELLO\r\n\r\n", "x"), http("/", 200..=399, None)] {
        assert_bad(run(&check(probe, LONG), address).await, "connection reset before the answer");
    }
}

#[tokio::test]
async fn the_request_is_a_plain_get() {
    let (sender, request) = oneshot::channel();
    let mut sender = Some(sender);
    let address = serve(move |mut stream| {
        let sender = sender.take();
        async move {
            let request = read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            if let Some(sender) = sender {
                sender.send(request).unwrap();
            }
        }
    })
    .await;
    assert_good(run(&check(http("/health?deep=1", 200..=399, None), LONG), address).await, "status 204 in ");
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "GET /health?deep=1 HTTP/1.1\r\nhost: {address}\r\nuser-agent: lbd/{version}\r\naccept: */*\r\n\
         connection: close\r\n\r\n"
    );
    assert_eq!(request.await.unwrap(), expected);
}

#[tokio::test]
async fn the_host_is_the_configured_one_or_the_address() {
    let host = |port, host| {
        let address = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), port);
        http::request(address, "/", host).unwrap().headers()["host"].to_str().unwrap().to_owned()
    };
    assert_eq!(host(80, None), "10.0.0.1");
    assert_eq!(host(8080, None), "10.0.0.1:8080");
    assert_eq!(host(8080, Some("www.example.org")), "www.example.org");
}

#[tokio::test]
async fn statuses_are_judged() {
    for (status, accepted, expected) in [
        ("200 OK", 200..=399, Ok("status 200 in ")),
        ("399 Odd", 200..=399, Ok("status 399 in ")),
        ("400 Bad Request", 200..=399, Err("status 400, not 200-399")),
        ("503 Service Unavailable", 200..=399, Err("status 503, not 200-399")),
        ("404 Not Found", 404..=404, Ok("status 404 in ")),
        ("200 OK", 404..=404, Err("status 200, not 404")),
    ] {
        let address = serve_text(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
        let result = run(&check(http("/", accepted, None), LONG), address).await;
        match expected {
            Ok(good) => assert_good(result, good),
            Err(bad) => assert_bad(result, bad),
        }
    }
}

#[tokio::test]
async fn answers_come_in_many_forms() {
    for answer in [
        "HTTP/1.0 200 OK\r\n\r\nall is well, and the connection ends it",
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nall is \r\n4\r\nwell\r\n0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well",
    ] {
        let address = serve_text(answer.to_owned()).await;
        assert_good(
            run(&check(http("/", 200..=200, Some("is well")), LONG), address).await,
            "status 200 in ",
        );
        let bad = run(&check(http("/", 200..=200, Some("unwell")), LONG), address).await;
        assert_bad(bad, "status 200, but the body does not hold \"unwell\"");
    }
}

#[tokio::test]
async fn garbage_is_no_answer() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\0\0\0\0\0\0\0\0\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\n:\r\n\r\n",
    ] {
        let address = serve_text(garbage.to_owned()).await;
        assert_bad(run(&check(http("/", 200..=399, None), LONG), address).await, "no HTTP answer");
    }
}

#[tokio::test]
async fn a_head_without_end_is_no_answer() {
    let address = serve(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        while stream.write_all(b"X-Filler: 0123456789abcdef\r\n").await.is_ok() {}
    })
    .await;
    assert_bad(run(&check(http("/", 200..=399, None), LONG), address).await, "no HTTP answer");
}

#[tokio::test]
async fn a_body_without_end_is_looked_at_for_64_kib() {
    for (before, expected) in [(0, true), (ANSWER_MAX - 5, true), (ANSWER_MAX - 4, false), (1 << 20, false)] {
        let address = serve(move |mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let _ = stream.write_all(&vec![b'.'; before]).await;
            let _ = stream.write_all(b"login").await;
            while stream.write_all(&[b'.'; 4096]).await.is_ok() {}
        })
        .await;
        let result = run(&check(http("/", 200..=399, Some("login")), LONG), address).await;
        assert_eq!(result.is_ok(), expected, "{before}: {result:?}");
    }
}

#[tokio::test]
async fn a_body_that_stops_halfway_fails() {
    let address = serve_text("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall is".to_owned()).await;
    let result = run(&check(http("/", 200..=399, Some("well")), LONG), address).await;
    assert_bad(result, "connection closed before the answer");
    // Without a string to look for, the head has said everything.
    assert_good(run(&check(http("/", 200..=399, None), LONG), address).await, "status 200 in ");
}

#[test]
fn only_the_routers_own_trouble_is_local() {
    for (errno, local) in [(libc::EMFILE, true), (libc::EADDRNOTAVAIL, true), (libc::ECONNREFUSED, false)] {
        assert_eq!(Failure::Connect(io::Error::from_raw_os_error(errno)).is_local(), local, "{errno}");
        assert!(!Failure::Broken(io::Error::from_raw_os_error(errno)).is_local());
    }
}

#[test]
fn excerpts_are_short_and_printable() {
    assert_eq!(excerpt(b"a\"\r\n\xff"), r#""a\"\r\n\xff""#);
    assert_eq!(excerpt(&[b'x'; 41]), format!("\"{}\"…", "x".repeat(40)));
}

/// A server on a free loopback port that treats each connection with `handler`.
async fn serve<F, Handled>(mut handler: F) -> SocketAddrV4
where
    F: FnMut(TcpStream) -> Handled + Send + 'static,
    Handled: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = address_of(&listener);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handler(stream));
        }
    });
    address
}

/// A server that reads a request, says `answer` and closes.
async fn serve_text(answer: String) -> SocketAddrV4 {
    serve(move |mut stream| {
        let answer = answer.clone();
        async move {
            read_request(&mut stream).await;
            // A check that has seen enough may be gone by now.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await
}

/// Reads up to the empty line that ends a request.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap() > 0 {}
    String::from_utf8(request).unwrap()
}

/// Waits as long as the test lasts.
async fn hang() {
    std::future::pending().await
}

fn address_of(listener: &TcpListener) -> SocketAddrV4 {
    match listener.local_addr().unwrap() {
        std::net::SocketAddr::V4(address) => address,
        std::net::SocketAddr::V6(address) => panic!("{address} is not IPv4"),
    }
}

fn check(probe: Probe, timeout: Duration) -> Check {
    Check { probe, port: None, interval: LONG, timeout, rise: 1, fall: 1 }
}

fn expect_prefix(send: &str, prefix: &str) -> Probe {
    Probe::SendExpect { send: send.into(), expect: Expect::Prefix(prefix.into()) }
}

fn expect_regex(send: &str, regex: &str) -> Probe {
    Probe::SendExpect { send: send.into(), expect: Expect::Regex(Regex::new(regex).unwrap()) }
}

fn http(path: &str, status: std::ops::RangeInclusive<u16>, body: Option<&str>) -> Probe {
    Probe::Http { path: path.into(), host: None, status, body: body.map(str::to_owned) }
}

fn assert_good(result: Result<String, Failure>, start: &str) {
    let good = result.unwrap();
    assert!(good.starts_with(start), "{good}");
}

fn assert_bad(result: Result<String, Failure>, text: &str) {
    assert_eq!(result.unwrap_err().to_string(), text);
}
