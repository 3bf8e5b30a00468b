//! A webhook that is called: a server is told by HTTP. In: its address, and the secret that both know. Out: a message posted to
//! it as JSON, signed as the large forges sign theirs. Goes where it was told and nowhere else: a redirection is a failure.
//! Neither the secret nor the address's path, which may be one, stands in what is told.

use std::fmt;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::delivery::Undelivered;
use super::notice::Message;
use crate::daemon::web::{GITHUB_SIGNATURE, WebhookSecret};
use crate::resource::printable::printable;

/// How long it may take until the answer has begun.
const ANSWER: Duration = Duration::from_secs(30);
/// The header with the message's own name.
const DELIVERY: &str = "x-invigil-delivery";

/// Where a webhook is.
#[derive(Clone)]
pub struct WebhookUrl {
    uri: Uri,
    host: String,
    port: u16,
    is_tls: bool,
}

impl FromStr for WebhookUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected an address like https://example.org/hook".to_owned();
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err(
                "an address of a webhook has no user and no password; what is signed needs none".to_owned()
            );
        }
        if text.contains('#') {
            return Err("an address of a webhook has no `#`".to_owned());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match (authority.port_u16(), authority.port()) {
            (Some(port), _) => port,
            (None, None) if authority.as_str() == authority.host() => {
                if is_tls {
                    443
                } else {
                    80
                }
            }
            _ => return Err("a port is a number from 1 to 65535".to_owned()),
        };
        Ok(Self { uri, host, port, is_tls })
    }
}

/// Without its path, which may be known to two only.
impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}", self.uri.scheme_str().unwrap_or_default())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A server that is told.
pub struct Webhook {
    url: WebhookUrl,
    secret: Option<WebhookSecret>,
    tls: Option<TlsConnector>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Webhook {
    /// One at an address, whose messages are signed if there is a secret.
    ///
    /// # Errors
    /// If it is to be reached by TLS, and this host trusts nobody.
    pub fn new(url: WebhookUrl, secret: Option<WebhookSecret>) -> Result<Self, String> {
        let tls = if url.is_tls { Some(trusting()?) } else { None };
        Ok(Self { url, secret, tls })
    }

    /// Where it is.
    pub(super) fn place(&self) -> String {
        self.url.to_string()
    }

    /// Posts a message.
    pub(super) async fn post(&self, message: &Message) -> Result<(), Undelivered> {
        let within =
            Undelivered::for_now(format!("{} does not answer within {} s", self.url, ANSWER.as_secs()));
        timeout(ANSWER, self.ask(message)).await.unwrap_or(Err(within))
    }

    async fn ask(&self, message: &Message) -> Result<(), Undelivered> {
        let url = &self.url;
        let told = |error: &dyn std::error::Error| {
            Undelivered::for_now(format!("{url} cannot be reached: {}", printable(&caused(error))))
        };
        let stream = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(|error| told(&error))?;
        match &self.tls {
            None => self.exchange(stream, message).await,
            Some(connector) => {
                let name = ServerName::try_from(url.host.clone()).map_err(|error| told(&error))?;
                let stream = connector.connect(name, stream).await.map_err(|error| told(&error))?;
                self.exchange(stream, message).await
            }
        }
    }

    async fn exchange<S>(&self, stream: S, message: &Message) -> Result<(), Undelivered>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let url = &self.url;
        let told = |error: hyper::Error| {
            Undelivered::for_now(format!("{url} broke off: {}", printable(&caused(&error))))
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
        let request = self.request(message).map_err(|error| Undelivered::for_ever(error.to_string()))?;
        let mut answer = pin!(sender.send_request(request));
        // Of what it says nothing is read but the code; the connection is driven for as long as that is waited for.
        let answered = tokio::select! {
            biased;
            answered = &mut answer => answered,
            ended = connection => {
                ended.map_err(told)?;
                answer.await
            }
        };
        let code = answered.map_err(told)?.status();
        judge(url, code)
    }

    fn request(&self, message: &Message) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let body = message.json();
        let path = self.url.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.url.uri.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::post(path)
            .header(HOST, authority)
            .header(USER_AGENT, concat!("invigil/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(DELIVERY, &message.id);
        if let Some(secret) = &self.secret {
            let (name, before) = GITHUB_SIGNATURE;
            request = request.header(name, format!("{before}{}", secret.digest_of(body.as_bytes())));
        }
        request.body(Full::new(body.into()))
    }
}

/// What an answer means.
fn judge(url: &WebhookUrl, code: StatusCode) -> Result<(), Undelivered> {
    let told = format!("{url} answers {code}");
    match code {
        code if code.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Err(Undelivered::for_now(told))
        }
        code if code.is_client_error() || code.is_redirection() => Err(Undelivered::for_ever(told)),
        _ => Err(Undelivered::for_now(told)),
    }
}

/// TLS with whoever is vouched for by those whom this host trusts.
fn trusting() -> Result<TlsConnector, String> {
    let mut signers = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    signers.add_parsable_certificates(found.certs);
    if signers.is_empty() {
        return Err("this host trusts no signer of certificates: it has none (ca-certificates), or SSL_CERT_FILE names others".to_owned());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(signers)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An error with what caused it.
fn caused(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", caused(cause)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_webhook_is_told_without_its_path() {
        let url = |text: &str| text.parse::<WebhookUrl>();
        let shown = |text: &str| url(text).map(|url| format!("{url} {} {}", url.host, url.port));
        assert_eq!(
            shown("https://example.org/T0/canary?token=canary").unwrap(),
            "https://example.org example.org 443"
        );
        assert_eq!(shown("http://[::1]:8080").unwrap(), "http://[::1]:8080 ::1 8080");
        assert!(!format!("{:?}", url("https://example.org/canary").unwrap()).contains("canary"));
        for wrong in ["example.org/hook", "ftp://example.org/hook", "https://", "https:///hook", "/hook", ""]
        {
            assert_eq!(
                url(wrong).unwrap_err(),
                "expected an address like https://example.org/hook",
                "{wrong}"
            );
        }
        assert_eq!(
            url("https://slq:hunter2@example.org/").unwrap_err(),
            "an address of a webhook has no user and no password; what is signed needs none"
        );
        assert_eq!(url("https://example.org:99999/").unwrap_err(), "a port is a number from 1 to 65535");
    }

    #[test]
    fn what_a_server_refuses_is_not_sent_again_and_what_it_cannot_take_now_is() {
        let url: WebhookUrl = "https://example.org/canary".parse().unwrap();
        let judged = |code: u16| judge(&url, StatusCode::from_u16(code).unwrap());
        assert_eq!(judged(204), Ok(()));
        for (code, again) in [(301, false), (404, false), (401, false), (429, true), (408, true), (503, true)]
        {
            let undelivered = judged(code).unwrap_err();
            assert_eq!(undelivered.is_transient, again, "{code}");
            assert!(
                undelivered.why.starts_with(&format!("https://example.org answers {code}")),
                "{undelivered}"
            );
        }
    }
}
