//! Mail, through SMTP. In: a server, who writes to whom, and a login. Out: a message as a mail of plain text. A password goes over
//! TLS, or not off this host; it stands in nothing that is told.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransport, Error};
use lettre::{AsyncTransport, Tokio1Executor};
use tokio::time::timeout;

use super::notice::Message;
use crate::daemon::post::Undelivered;
use crate::resource::printable::printable;

/// How long a whole conversation may take.
const CONVERSATION: Duration = Duration::from_mins(1);
/// How long the server may take for one answer.
const ANSWER: Duration = Duration::from_secs(30);

/// How the way to the server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte on.
    Implicit,
    /// TLS once the server has said that it can, and nothing without it.
    StartTls,
    /// Not at all.
    Nothing,
}

impl Security {
    /// Where servers listen for it: RFC 8314 and RFC 5321.
    const fn port(self) -> u16 {
        match self {
            Self::Implicit => 465,
            Self::StartTls => 587,
            Self::Nothing => 25,
        }
    }
}

/// A server for mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServer {
    host: String,
    port: Option<u16>,
}

impl FromStr for MailServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "expected a server's name, and a port if it is not the usual one, like mail.example.org:587"
                .to_owned()
        };
        let bare = |text: &str| text.trim_start_matches('[').trim_end_matches(']').to_owned();
        if bare(text).parse::<IpAddr>().is_ok() {
            return Ok(Self { host: bare(text), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?)),
            None => (text, None),
        };
        let host = bare(host);
        let is_name = !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
        if is_name || host.parse::<IpAddr>().is_ok() { Ok(Self { host, port }) } else { Err(wrong()) }
    }
}

impl MailServer {
    /// Whether what is said to it does not leave this host.
    fn is_here(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// An address of mail, with a name before it or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAddress(Mailbox);

impl FromStr for MailAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| "expected an address like exam@example.org or Exams <exam@example.org>".to_owned();
        text.parse().map(Self).map_err(wrong)
    }
}

/// Who the server lets send mail.
#[derive(Clone)]
pub struct MailLogin {
    /// Their name there.
    pub user: String,
    /// Their password.
    pub password: String,
}

impl fmt::Debug for MailLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailLogin").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Whom to write to, and by which way.
#[derive(Debug, Clone)]
pub struct Post {
    /// The server.
    pub server: MailServer,
    /// How the way to it is secured.
    pub security: Security,
    /// Who writes.
    pub from: MailAddress,
    /// To whom.
    pub to: Vec<MailAddress>,
    /// Who the server lets send mail, if it asks.
    pub login: Option<MailLogin>,
}

/// People who are told by mail.
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    place: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// What nobody is to read.
    hidden: Vec<String>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Mail {
    /// A way to people, as this host's `host`.
    ///
    /// # Errors
    /// If a password would leave this host in the clear, or TLS cannot be spoken.
    pub fn new(post: Post, host: &str) -> Result<Self, String> {
        let Post { server, security, from, to, login } = post;
        if security == Security::Nothing && login.is_some() && !server.is_here() {
            return Err(format!("a password would go to {} without TLS, to be read by anybody", server.host));
        }
        let tls = || TlsParameters::new(server.host.clone()).map_err(|error| told(&error, &[]));
        let tls = match security {
            Security::Implicit => Tls::Wrapper(tls()?),
            Security::StartTls => Tls::Required(tls()?),
            Security::Nothing => Tls::None,
        };
        let port = server.port.unwrap_or(security.port());
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
            .port(port)
            .tls(tls)
            .timeout(Some(ANSWER))
            .hello_name(ClientId::Domain(domain(host)));
        let mut hidden = Vec::new();
        if let Some(MailLogin { user, password }) = login {
            // As the mechanisms PLAIN and LOGIN say it.
            hidden.push(STANDARD.encode(format!("\0{user}\0{password}")));
            hidden.push(STANDARD.encode(&password));
            hidden.push(password.clone());
            transport = transport.credentials(Credentials::new(user, password));
        }
        Ok(Self {
            transport: transport.build(),
            place: format!("{}:{port}", server.host),
            from: from.0,
            to: to.into_iter().map(|to| to.0).collect(),
            hidden,
        })
    }

    /// Where it is.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Sends a message.
    pub(super) async fn send(&self, message: &Message) -> Result<(), Undelivered> {
        let mail = self.mail(message).map_err(|error| Undelivered::for_ever(error.to_string()))?;
        let place = &self.place;
        match timeout(CONVERSATION, self.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let why = format!("{place}: {}", told(&error, &self.hidden));
                Err(if error.is_permanent() { Undelivered::for_ever(why) } else { Undelivered::for_now(why) })
            }
            Err(_) => {
                let seconds = CONVERSATION.as_secs();
                Err(Undelivered::for_now(format!("{place} does not take a mail within {seconds} s")))
            }
        }
    }

    fn mail(&self, message: &Message) -> Result<lettre::Message, lettre::error::Error> {
        let Message { id, time, host, owner, title, text, .. } = message;
        let text = format!(
            "{text}\n\n-- \nInvigil of owner {owner} on {host}, {time}\n`invigil status` says how everything stands.\n"
        );
        let mail = lettre::Message::builder()
            .from(self.from.clone())
            .subject(format!("[invigil] {title}"))
            // The same for each try: who gets it twice sees one.
            .message_id(Some(format!("<{id}@{}>", domain(host))))
            .header(ContentType::TEXT_PLAIN);
        let mut mail = self.to.iter().fold(mail, |mail, to| mail.to(to.clone())).body(text)?;
        // RFC 3834: nobody's absence is answered to it.
        let by_a_machine = HeaderName::new_from_ascii_str("Auto-Submitted");
        mail.headers_mut().insert_raw(HeaderValue::new(by_a_machine, "auto-generated".to_owned()));
        Ok(mail)
    }
}

/// A host's name as a domain: what is none in it is left out.
fn domain(host: &str) -> String {
    let name: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// What went wrong, without what nobody is to read: a server may repeat what it was told.
fn told(error: &Error, hidden: &[String]) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    printable(&without(&text, hidden)).into_owned()
}

fn without(text: &str, hidden: &[String]) -> String {
    hidden
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret, "(hidden)"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::daemon::notification::notice::Sender;

    fn post(server: &str, security: Security, login: Option<MailLogin>) -> Post {
        let server = server.parse().unwrap();
        let (from, to) =
            ("Invigil <invigil@example.org>".parse().unwrap(), "slq@example.org".parse().unwrap());
        Post { server, security, from, to: vec![to], login }
    }

    fn login() -> MailLogin {
        MailLogin { user: "exam".to_owned(), password: "canary-of-the-mail".to_owned() }
    }

    #[test]
    fn a_server_is_a_name_or_an_address_and_a_port() {
        let read = |text: &str| text.parse().map(|MailServer { host, port }| format!("{host} {port:?}"));
        assert_eq!(read("mail.example.org").unwrap(), "mail.example.org None");
        assert_eq!(read("mail.example.org:2525").unwrap(), "mail.example.org Some(2525)");
        assert_eq!(read("[::1]:25").unwrap(), "::1 Some(25)");
        assert_eq!(read("::1").unwrap(), "::1 None");
        for wrong in ["", ":25", "mail.example.org:0", "mail.example.org:x", "smtp://mail.example.org", "a b"]
        {
            assert!(read(wrong).unwrap_err().starts_with("expected a server's name"), "{wrong}");
        }
    }

    #[test]
    fn law_12_a_password_leaves_this_host_by_tls_alone() {
        let refused =
            Mail::new(post("mail.example.org", Security::Nothing, Some(login())), "exam-1").unwrap_err();
        assert_eq!(refused, "a password would go to mail.example.org without TLS, to be read by anybody");
        for here in ["localhost", "127.0.0.1", "[::1]:25"] {
            assert!(Mail::new(post(here, Security::Nothing, Some(login())), "exam-1").is_ok(), "{here}");
        }
        assert!(Mail::new(post("mail.example.org", Security::Nothing, None), "exam-1").is_ok());
    }

    #[test]
    fn law_12_what_a_server_repeats_of_a_login_is_hidden() {
        let mail = Mail::new(post("localhost", Security::Nothing, Some(login())), "exam-1").unwrap();
        let said = format!(
            "535 no: canary-of-the-mail, {}, {}",
            STANDARD.encode("canary-of-the-mail"),
            STANDARD.encode("\0exam\0canary-of-the-mail")
        );
        assert_eq!(without(&said, &mail.hidden), "535 no: (hidden), (hidden), (hidden)");
        assert!(!format!("{mail:?} {:?}", login()).contains("canary"));
    }

    #[test]
    fn a_mail_is_plain_text_in_utf_8_that_nothing_answers_to_by_itself() {
        let mail = Mail::new(post("localhost", Security::Nothing, None), "exam-1").unwrap();
        let sender = Sender { host: "考场-1".to_owned(), owner: "default".to_owned() };
        let mut message = Message::test(&sender, Timestamp::UNIX_EPOCH);
        message.text = "container/web failed: 第8题".to_owned();
        let written = String::from_utf8(mail.mail(&message).unwrap().formatted()).unwrap();
        let id = format!("Message-ID: <{}@-1>", message.id);
        for line in [
            "From: Invigil <invigil@example.org>",
            "To: slq@example.org",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain; charset=utf-8",
            &id,
        ] {
            assert!(written.lines().any(|told| told == line), "{line}\n{written}");
        }
        assert!(written.is_ascii(), "{written}");
    }
}
