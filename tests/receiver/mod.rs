//! A server that is told things by HTTP. In: what a program posts to it. Out: all of it, and answers as the test wants them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long something may take to arrive; far more than it does.
const PATIENCE: Duration = Duration::from_secs(90);

/// What was posted.
#[derive(Debug, Clone)]
pub struct Posted {
    /// The first line, and the headers in small letters.
    pub head: String,
    pub body: String,
}

impl Posted {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

#[derive(Debug, Default)]
struct State {
    posted: Mutex<Vec<Posted>>,
    /// How many requests are answered with a refusal from now on.
    refused: AtomicUsize,
    /// How many were begun.
    asked: AtomicUsize,
}

/// A server for as long as the test runs.
#[derive(Debug)]
pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<State>,
}

impl Receiver {
    /// One that takes nothing: it never answers.
    pub fn silent() -> Self {
        Self::answering(false)
    }

    fn answering(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State::default());
        let kept = Arc::clone(&state);
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                kept.asked.fetch_add(1, Ordering::SeqCst);
                if answers {
                    let state = Arc::clone(&kept);
                    std::thread::spawn(move || answer(stream, &state));
                } else {
                    held.push(stream);
                }
            }
        });
        Self { address, state }
    }

    /// One that refuses so many requests first, and takes all others.
    pub fn refusing(count: usize) -> Self {
        let receiver = Self::answering(true);
        receiver.state.refused.store(count, Ordering::SeqCst);
        receiver
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// Everything that it took.
    pub fn posted(&self) -> Vec<Posted> {
        self.state.posted.lock().expect("a lock").clone()
    }

    /// The first that holds a text in its body, once it is there.
    pub fn until(&self, part: &str) -> Posted {
        self.until_again(part, 1)
    }

    /// The one that does so for this time.
    pub fn until_again(&self, part: &str, time: usize) -> Posted {
        let begun = Instant::now();
        loop {
            let mut holding = self.posted().into_iter().filter(|posted| posted.body.contains(part));
            if let Some(posted) = holding.nth(time - 1) {
                return posted;
            }
            assert!(begun.elapsed() < PATIENCE, "{part}: not in {PATIENCE:?}\n{:#?}", self.posted());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn answer(mut stream: TcpStream, state: &State) {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    let (head, from) = loop {
        match stream.read(&mut part) {
            Ok(length @ 1..) => bytes.extend_from_slice(&part[..length]),
            _ => return,
        }
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&bytes[..at]).into_owned(), at + 4);
        }
    };
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: Vec<String> =
        headers.map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase())).collect();
    let posted = Posted { head: format!("{first}\n{}", headers.join("\n")), body: String::new() };
    let length: usize =
        posted.header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    while bytes.len() < from + length {
        match stream.read(&mut part) {
            Ok(read @ 1..) => bytes.extend_from_slice(&part[..read]),
            _ => return,
        }
    }
    let body = String::from_utf8_lossy(&bytes[from..]).into_owned();
    let is_refused =
        state.refused.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    let code = if is_refused {
        "503 Service Unavailable"
    } else {
        state.posted.lock().expect("a lock").push(Posted { body, ..posted });
        "204 No Content"
    };
    let _ = stream.write_all(format!("HTTP/1.1 {code}\r\nConnection: close\r\n\r\n").as_bytes());
}
