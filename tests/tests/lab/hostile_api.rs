//! Whatever comes over the API's socket while the router works: an answer that says what is wrong, and nothing else
//! happens.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use lb_daemon::api::types::Failure;
use lb_tests::lab::{
    R1,
    load::{Load, Plan, record::Summary},
};

use crate::support::{NAT, pair};

/// Connections that somebody opens and then forgets.
const FORGOTTEN: usize = 100;

#[test]
fn requests_that_make_no_sense_disturb_nothing() {
    let Some(mut lab) = pair() else { return };
    let socket = lab.routers[R1].socket();
    let load = Load::start(lab.client().unwrap(), Plan::steady(NAT, 100)).unwrap();
    let forgotten: Vec<UnixStream> = (0..FORGOTTEN)
        .map(|_| {
            let mut stream = UnixStream::connect(&socket).unwrap();
            stream.write_all(b"POST /v1/server HTTP/1.1\r\nContent-Le").unwrap();
            stream
        })
        .collect();
    let deep = format!("{{\"x\":{}", "[".repeat(10_000));
    let long = format!(r#"{{"server":"{}","action":"drain"}}"#, "n".repeat(20_000));
    let cases: [(&str, &str, &str, u16, &str); 9] = [
        ("GET", "/", "", 404, "no such route: /"),
        ("GET", "/v1/../../etc/passwd", "", 404, "no such route: /v1/"),
        ("DELETE", "/v1/status", "", 405, "DELETE is not a method of /v1/status"),
        ("GET", "/v1/failover", "", 405, "GET is not a method of /v1/failover"),
        ("POST", "/v1/server", "", 400, "Failed to parse the request body as JSON"),
        ("POST", "/v1/server", &deep, 400, "Failed to parse the request body as JSON"),
        (
            "POST",
            "/v1/server",
            r#"{"server":"n1","action":"explode"}"#,
            400,
            "Failed to deserialize the JSON",
        ),
        (
            "POST",
            "/v1/server",
            r#"{"server":"n1","action":{"weight":65536}}"#,
            400,
            "weight 65536 is out of range",
        ),
        ("POST", "/v1/server", &long, 413, "Failed to buffer the request body"),
    ];
    for (method, path, body, status, error) in cases {
        let answer = request(&socket, method, path, body);
        assert_eq!(answer.0, status, "{method} {path}: {answer:?}");
        assert!(answer.1.starts_with(error), "{method} {path}: {answer:?}");
        assert!(!answer.1.contains('\n'), "one line: {answer:?}");
    }
    // No HTTP at all: refused by the parser of HTTP, which knows no JSON.
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00"[..], &[0xff; 5000], b"GET /v1/status\r\n\r\n", b"\r\n\r\n\r\n"]
    {
        let answer = exchange(&socket, garbage, true);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }

    assert!(lab.routers[R1].is_running() && lab.routers[R1].is_active());
    drop(forgotten);
    let summary = Summary::of(&load.finish().unwrap());
    assert!(summary.requests > 0 && summary.failed() == 0, "{summary:?}");
    let services = lab.routers[R1].status().unwrap().services;
    assert!(services.iter().flat_map(|service| &service.reals).all(|real| real.state == "up"));
}

/// Status and reason of the answer to a request.
fn request(socket: &Path, method: &str, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n");
    let fields = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    let answer = exchange(socket, format!("{head}{fields}{body}").as_bytes(), false);
    let (head, body) = answer.split_once("\r\n\r\n").expect("the answer is HTTP");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("it has a status");
    let failure: Failure = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    (status, failure.error)
}

/// Everything that comes back for `bytes`, after which the sender may end. The daemon may have closed the connection
/// before it has read them all.
fn exchange(socket: &Path, bytes: &[u8], ends: bool) -> String {
    let mut stream = UnixStream::connect(socket).expect("lbd listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("the time is not zero");
    let _ = stream.write_all(bytes);
    if ends {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
