use std::future::Future;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;
use crate::daemon::board::Board;
use crate::daemon::wake::channel;

fn site() -> Arc<Site> {
    let (_bell, wakes) = channel();
    let board = Arc::new(Board::new(&"exam".parse().unwrap(), &wakes, None));
    Arc::new(Site::new(board, Duration::from_mins(1), crate::daemon::glances::channel().0))
}

fn connect() -> DuplexStream {
    let (client, server) = duplex(1024);
    let site = site();
    tokio::spawn(async move { connection(server, Door::Socket, &site).await });
    client
}

async fn read_to_end(client: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = client.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn seconds(work: impl Future) -> u64 {
    let begun = Instant::now();
    work.await;
    begun.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_and_an_idle_connection_are_cut_off_after_ten_seconds() {
    let mut client = connect();
    let dripping = async {
        client.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        while client.write_all(b"a: b\r\n").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    assert!((10..=12).contains(&seconds(dripping).await));

    let mut idle = connect();
    let idling = async {
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(read_to_end(&mut idle).await.ends_with("\r\n\r\nok\n"));
    };
    assert_eq!(seconds(idling).await, 10);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answer_is_dropped_after_a_minute() {
    let mut client = connect();
    client.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(59)).await;
    client.write_all(b" ").await.unwrap();
    sleep(Duration::from_secs(3)).await;
    assert!(client.write_all(b" ").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_page_is_kept_up_to_date_for_ten_minutes_and_a_client_that_does_not_read_is_dropped_then_too() {
    let ask = b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut client = connect();
    let listening = async {
        client.write_all(ask).await.unwrap();
        let answer = read_to_end(&mut client).await;
        assert!(answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
    };
    assert!((600..=615).contains(&seconds(listening).await));

    let mut deaf = connect();
    deaf.write_all(ask).await.unwrap();
    sleep(Duration::from_secs(700)).await;
    assert!(deaf.write_all(b" ").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_too_large_is_refused() {
    let mut client = connect();
    let head = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(17 << 10));
    let (mut reader, mut writer) = tokio::io::split(&mut client);
    let mut answer = Vec::new();
    let (_, _) = tokio::join!(writer.write_all(head.as_bytes()), reader.read_to_end(&mut answer));
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_body_is_not_read_and_its_connection_ends() {
    let mut client = connect();
    let posting = async {
        client
            .write_all(b"POST /v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
            .await
            .unwrap();
        let answer = read_to_end(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{answer}");
    };
    assert_eq!(seconds(posting).await, 0);
}

#[tokio::test]
async fn who_holds_all_connections_keeps_the_next_one_waiting_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exam.sock");
    let (listener, site) = (bind(&path).unwrap(), site());
    let asking = async {
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
            client.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let mut head = [0; 15];
            client.read_exact(&mut head).await.unwrap();
            assert_eq!(&head, b"HTTP/1.1 200 OK");
            held.push(client);
        }
        let mut next = tokio::net::UnixStream::connect(&path).await.unwrap();
        next.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let waiting = timeout(Duration::from_millis(100), next.read_to_string(&mut answer)).await;
        assert!(waiting.is_err() && answer.is_empty(), "{answer}");
        held.pop();
        next.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    };
    tokio::select! {
        never = on_socket(listener, &site) => match never {},
        () = asking => {}
    }
}
