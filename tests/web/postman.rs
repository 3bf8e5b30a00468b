//! A mail server of a test's own: one real conversation of SMTP after the other, in the clear or by TLS. Out: the mails that
//! it was given, and how.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A login that is good.
pub const USER: &str = "invigil";
pub const PASSWORD: &str = "canary-of-the-mail";

/// A mail, and what was said before it.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    pub is_by_tls: bool,
    pub is_logged_in: bool,
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
}

/// How the server is spoken to.
#[derive(Debug, Clone)]
pub enum Tls {
    None,
    Starttls(Arc<ServerConfig>),
    Implicit(Arc<ServerConfig>),
}

pub struct Postman {
    pub address: SocketAddr,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl Postman {
    pub fn new(tls: Tls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&mails);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Whoever breaks off has sent nothing more.
                let _ = converse(stream, &tls, &kept);
            }
        });
        Self { address, mails }
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().expect("a lock").clone()
    }
}

fn converse(mut stream: TcpStream, tls: &Tls, mails: &Mutex<Vec<Mail>>) -> io::Result<()> {
    match tls {
        Tls::None => greet(&mut stream).and_then(|()| talk(&mut stream, false, false, mails))?,
        Tls::Implicit(config) => {
            let mut stream = secured(stream, config);
            greet(&mut stream).and_then(|()| talk(&mut stream, true, false, mails))?
        }
        Tls::Starttls(config) => {
            greet(&mut stream)?;
            // After that, the client speaks first.
            talk(&mut stream, false, true, mails)? && talk(&mut secured(stream, config), true, false, mails)?
        }
    };
    Ok(())
}

fn secured(stream: TcpStream, config: &Arc<ServerConfig>) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).expect("TLS"), stream)
}

fn greet(stream: &mut impl Write) -> io::Result<()> {
    say(stream, "220 postman ESMTP")
}

fn say(stream: &mut impl Write, text: &str) -> io::Result<()> {
    stream.write_all(format!("{text}\r\n").as_bytes())?;
    stream.flush()
}

/// A line, byte by byte: what follows may be TLS.
fn line(stream: &mut impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// What follows a greeting. Says whether it goes on by TLS.
fn talk(
    stream: &mut (impl Read + Write),
    is_by_tls: bool,
    offers_tls: bool,
    mails: &Mutex<Vec<Mail>>,
) -> io::Result<bool> {
    let mut mail = Mail { is_by_tls, ..Mail::default() };
    loop {
        let told = line(stream)?;
        let word = told.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "EHLO" => {
                let more = if offers_tls { "STARTTLS" } else { "AUTH PLAIN" };
                say(stream, &format!("250-postman\r\n250-{more}\r\n250 8BITMIME"))?;
            }
            "STARTTLS" if offers_tls => {
                say(stream, "220 go on")?;
                return Ok(true);
            }
            "AUTH" => {
                let said = told.split(' ').nth(2).unwrap_or_default();
                mail.is_logged_in = said == STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
                // As talkative as a server can be.
                let refused = format!("535 5.7.8 who is {said}?");
                say(stream, if mail.is_logged_in { "235 you are" } else { &refused })?;
            }
            "MAIL" => {
                mail.from = told;
                say(stream, "250 ok")?;
            }
            "RCPT" => {
                mail.to.push(told);
                say(stream, "250 ok")?;
            }
            "DATA" => {
                say(stream, "354 go on")?;
                let mut lines = Vec::new();
                while lines.last().is_none_or(|last| last != ".") {
                    lines.push(line(stream)?);
                }
                mail.text = lines.join("\n");
                mails.lock().expect("a lock").push(mail.clone());
                say(stream, "250 kept")?;
            }
            "QUIT" => {
                say(stream, "221 bye")?;
                return Ok(false);
            }
            _ => say(stream, "500 what?")?,
        }
    }
}
