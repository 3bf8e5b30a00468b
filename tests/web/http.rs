//! A client of one request a connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take; far more than any does.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub body: String,
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, &[("Host", &address.to_string())])
}

pub fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(address, method, path, headers, "")
}

/// A request with a body, answered without chunks.
pub fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let length = (!body.is_empty()).then(|| ("Content-Length", body.len().to_string()));
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).chain(length);
    let headers: String = headers
        .flat_map(|(name, value)| [name.to_owned(), ": ".to_owned(), value, "\r\n".to_owned()])
        .collect();
    let head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}");
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
    Answer { code, body: body.to_owned() }
}
