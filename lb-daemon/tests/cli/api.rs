//! Client and server over a socket.

use std::{net::Shutdown, os::unix::net::UnixStream as BlockingStream, time::Duration};

use lb_daemon::api::{
    client::{Client, ClientError},
    server::{self, ApiError},
    types::{Failover, Failure, ServerAction, ServerChange},
};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::oneshot,
};

use crate::{
    fake::{Fake, Running},
    fixture,
};

#[tokio::test]
async fn every_question_has_its_answer() {
    let connections = fixture::many_connections();
    let running = Running::start(Fake { connections: connections.clone(), ..Fake::default() });
    let client = running.client();
    assert_eq!(client.status().await.unwrap(), fixture::pair());
    assert_eq!(client.stats().await.unwrap(), fixture::stats());
    assert_eq!(client.connections().await.unwrap(), connections);
}

#[tokio::test]
async fn every_command_arrives() {
    let running = Running::start(Fake::default());
    let client = running.client();
    assert_eq!(client.failover(&Failover::default()).await.unwrap().message, "did failover");
    assert_eq!(client.reload().await.unwrap().message, "did reload");
    client.change_server(&change("rs1", ServerAction::Weight(5))).await.unwrap();
    client.change_server(&change("10.0.1.2:80", ServerAction::Drain)).await.unwrap();
    assert_eq!(
        running.commands(),
        ["failover", "reload", "Weight(5) rs1 in all", "Drain 10.0.1.2:80 in all"]
    );
}

#[tokio::test]
async fn a_refusal_keeps_its_status_and_words() {
    let cases = [
        (ApiError::bad_request("weight 70000 is over 65535"), 400),
        (ApiError::not_found("no real server rs9"), 404),
        (ApiError::conflict("this router is standby"), 409),
        (ApiError::internal("map SERVICES: update failed"), 500),
    ];
    for (error, expected) in cases {
        let running = Running::start(Fake::refusing(error.clone()));
        for refusal in [
            running.client().status().await.unwrap_err(),
            running.client().reload().await.unwrap_err(),
            running.client().change_server(&change("rs9", ServerAction::Enable)).await.unwrap_err(),
        ] {
            assert_refused(&refusal, expected, &error.message);
        }
    }
}

#[tokio::test]
async fn an_oversized_body_is_refused_before_the_backend() {
    let running = Running::start(Fake::default());
    let change = change(&"x".repeat(100_000), ServerAction::Drain);
    let error = running.client().change_server(&change).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 413, .. }), "{error:?}");
    assert!(running.commands().is_empty());
}

#[tokio::test]
async fn what_is_no_command_is_a_bad_request() {
    let running = Running::start(Fake::default());
    for body in ["", "{", "[]", r#"{"server":"rs1"}"#, r#"{"server":"rs1","action":{"weight":-1}}"#] {
        let (status, failure) = raw(&running, "POST", "/v1/server", body).await;
        assert_eq!(status, 400, "{body:?}: {}", failure.error);
        assert!(!failure.error.is_empty(), "{body:?}");
    }
    assert!(running.commands().is_empty());
}

#[tokio::test]
async fn unknown_routes_and_methods_are_answered_in_json() {
    let running = Running::start(Fake::default());
    let failure = |error: &str| Failure { error: error.to_owned() };
    assert_eq!(raw(&running, "GET", "/v1/nothing", "").await, (404, failure("no such route: /v1/nothing")));
    assert_eq!(
        raw(&running, "GET", "/v1/reload", "").await,
        (405, failure("GET is not a method of /v1/reload"))
    );
    assert!(running.commands().is_empty());
}

#[tokio::test]
async fn no_daemon_is_told_from_a_dead_one_and_a_silent_one() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("lbd.sock");
    let client = Client::new(&socket).with_timeout(Duration::from_millis(50));
    assert!(matches!(client.status().await, Err(ClientError::NotRunning(path)) if path == socket));

    let listener = UnixListener::bind(&socket).unwrap();
    assert!(matches!(client.status().await, Err(ClientError::Silent { .. })), "nobody accepts");

    // Closed would not be enough: a process that another test is starting may hold a copy until it executes.
    SockRef::from(&listener).shutdown(Shutdown::Both).unwrap();
    drop(listener);
    assert!(matches!(client.status().await, Err(ClientError::NotRunning(_))), "the socket is stale");
}

#[tokio::test]
async fn an_answer_of_another_kind_is_a_protocol_error() {
    for answer in [
        "",
        "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 502 Bad\r\n\r\n<html>",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("lbd.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Closing a socket with unread data resets it; the request comes in one piece.
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let error = Client::new(&socket).status().await.unwrap_err();
        assert!(matches!(error, ClientError::Protocol { .. }), "{answer:?}: {error:?}");
        assert!(error.to_string().contains("lbd.sock"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_client_that_never_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lbd.sock");
    let listener = server::bind(&path).unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(server::serve(listener, Fake::default(), async { stopped.await.unwrap() }));
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"GET /v1/status HTTP/1.1\r\n").await.unwrap();
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    assert!(BlockingStream::connect(&path).is_err(), "nobody listens any more");
}

fn change(server: &str, action: ServerAction) -> ServerChange {
    ServerChange { server: server.to_owned(), service: None, action }
}

fn assert_refused(error: &ClientError, expected_status: u16, expected_message: &str) {
    let ClientError::Refused { status, message } = error else { panic!("{error:?}") };
    assert_eq!((*status, message.as_str()), (expected_status, expected_message));
}

/// A request as another program would send it.
async fn raw(running: &Running, method: &str, path: &str, body: &str) -> (u16, Failure) {
    let mut stream = UnixStream::connect(running.socket()).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body:?}")))
}
