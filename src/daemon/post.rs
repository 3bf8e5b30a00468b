//! What is posted to a server by HTTP, or HTTPS with whoever is vouched for by those whom this host trusts. In: an address, headers
//! and a body. Out: that it was taken, or why not. Goes where it was told and nowhere else: a redirection is a failure. The
//! address's path, which may be a secret, does not stand in what is told.

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

use crate::resource::printable::printable;

/// How long it may take until the answer has begun.
const ANSWER: Duration = Duration::from_secs(30);

/// Why something did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// In a sentence, without secrets.
    pub(in crate::daemon) why: String,
    /// Whether it may arrive another time.
    pub(in crate::daemon) is_transient: bool,
}

impl Undelivered {
    /// It may arrive another time.
    pub(in crate::daemon) fn for_now(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_transient: true }
    }

    /// The same message is refused again.
    pub(in crate::daemon) fn for_ever(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_transient: false }
    }
}

impl std::fmt::Display for Undelivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

/// Where a server takes what is posted to it.
#[derive(Clone)]
pub struct HttpUrl {
    uri: Uri,
    host: String,
    port: u16,
    is_tls: bool,
}

impl FromStr for HttpUrl {
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
            return Err("an address has no user and no password here".to_owned());
        }
        if text.contains('#') {
            return Err("an address has no `#` here".to_owned());
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

impl HttpUrl {
    /// The address of something below this one.
    pub(super) fn below(&self, path: &str) -> Self {
        let mut parts = self.uri.clone().into_parts();
        let (above, query) =
            parts.path_and_query.as_ref().map_or(("", None), |all| (all.path(), all.query()));
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        parts.path_and_query = format!("{}/{path}{query}", above.trim_end_matches('/')).parse().ok();
        Self { uri: Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone()), ..self.clone() }
    }
}

/// Without its path, which may be known to two only.
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}", self.uri.scheme_str().unwrap_or_default())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What posts to one address.
pub(super) struct Poster {
    url: HttpUrl,
    tls: Option<TlsConnector>,
}

impl Poster {
    /// One that posts to an address.
    ///
    /// # Errors
    /// If it is to be reached by TLS, and this host trusts nobody.
    pub(super) fn new(url: HttpUrl) -> Result<Self, String> {
        let tls = if url.is_tls { Some(trusting()?) } else { None };
        Ok(Self { url, tls })
    }

    /// Where that is.
    pub(super) const fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// Posts JSON, with these headers besides.
    pub(super) async fn post(&self, headers: &[(&str, &str)], json: String) -> Result<(), Undelivered> {
        let within =
            Undelivered::for_now(format!("{} does not answer within {} s", self.url, ANSWER.as_secs()));
        timeout(ANSWER, self.ask(headers, json)).await.unwrap_or(Err(within))
    }

    async fn ask(&self, headers: &[(&str, &str)], json: String) -> Result<(), Undelivered> {
        let url = &self.url;
        let request =
            self.request(headers, json).map_err(|error| Undelivered::for_ever(error.to_string()))?;
        let told = |error: &dyn std::error::Error| {
            Undelivered::for_now(format!("{url} cannot be reached: {}", printable(&caused(error))))
        };
        let stream = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(|error| told(&error))?;
        match &self.tls {
            None => self.exchange(stream, request).await,
            Some(connector) => {
                let name = ServerName::try_from(url.host.clone()).map_err(|error| told(&error))?;
                let stream = connector.connect(name, stream).await.map_err(|error| told(&error))?;
                self.exchange(stream, request).await
            }
        }
    }

    async fn exchange<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<(), Undelivered>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let url = &self.url;
        let told = |error: hyper::Error| {
            Undelivered::for_now(format!("{url} broke off: {}", printable(&caused(&error))))
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
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

    fn request(
        &self,
        headers: &[(&str, &str)],
        json: String,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let path = self.url.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.url.uri.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::post(path)
            .header(HOST, authority)
            .header(USER_AGENT, concat!("invigil/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::new(json.into()))
    }
}

/// What an answer means.
fn judge(url: &HttpUrl, code: StatusCode) -> Result<(), Undelivered> {
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
    fn an_address_is_told_without_its_path() {
        let url = |text: &str| text.parse::<HttpUrl>();
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
            "an address has no user and no password here"
        );
        assert_eq!(url("https://example.org:99999/").unwrap_err(), "a port is a number from 1 to 65535");
    }

    #[test]
    fn something_below_an_address_keeps_what_else_it_has() {
        let below = |text: &str| text.parse::<HttpUrl>().unwrap().below("v1/traces").uri.to_string();
        assert_eq!(below("http://localhost:4318"), "http://localhost:4318/v1/traces");
        assert_eq!(below("https://example.org/otlp/?key=1"), "https://example.org/otlp/v1/traces?key=1");
    }

    #[test]
    fn what_a_server_refuses_is_not_sent_again_and_what_it_cannot_take_now_is() {
        let url: HttpUrl = "https://example.org/canary".parse().unwrap();
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
