//! The webhook: a forge says that something was pushed. In: a request, and the secret that both know. Out: whether it is
//! believed; the repository is fetched at once then. Of what it says nothing is used or kept.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::{Body as Incoming, Bytes};
use hyper::{HeaderMap, Request, Response, StatusCode};

use super::reply::{Body, sentence};
use crate::daemon::git::Following;
use crate::resource::digest::{Hmac, hmac_hex};

/// Where it is.
pub(super) const WEBHOOK_PATH: &str = "/v1/webhook";

/// The most bytes that are read of what a forge says: GitHub sends no more.
const BODY_MAX: usize = 25 << 20;
/// The shortest secret that is one.
const SECRET_MIN: usize = 16;
/// The header that has the body's HMAC-SHA256 in hexadecimal digits, and what precedes it there, as GitHub has it.
pub const GITHUB_SIGNATURE: (&str, &str) = ("x-hub-signature-256", "sha256=");
/// The same, and Forgejo's and Gitea's.
const SIGNATURES: [(&str, &str); 3] =
    [GITHUB_SIGNATURE, ("x-forgejo-signature", ""), ("x-gitea-signature", "")];
/// The header that has the secret itself: GitLab's.
const TOKEN: &str = "x-gitlab-token";

/// What a forge, or whoever is notified, and this host know, and nobody else.
#[derive(Clone)]
pub struct WebhookSecret(Arc<[u8]>);

impl WebhookSecret {
    /// The text of a file, without the line's end.
    ///
    /// # Errors
    /// If it cannot be read, or is so short that it can be guessed.
    pub fn read(file: &Path) -> io::Result<Self> {
        let text = fs::read(file)?;
        let secret = text.trim_ascii();
        if secret.len() < SECRET_MIN {
            return Err(io::Error::other(format!("a secret has {SECRET_MIN} characters at least")));
        }
        Ok(Self(secret.into()))
    }

    /// What shows that a body is from who knows it: the HMAC-SHA256, in hexadecimal digits.
    pub fn digest_of(&self, body: &[u8]) -> String {
        hmac_hex(&self.0, body)
    }

    /// Whether two texts are the same. How long that takes tells nothing of either: it is their digests that are compared.
    fn sees_the_same(&self, one: &[u8], other: &[u8]) -> bool {
        hmac_hex(&self.0, one) == hmac_hex(&self.0, other)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

/// Whom a forge wakes.
#[derive(Debug)]
pub struct Hook {
    secret: WebhookSecret,
    git: Arc<Following>,
}

impl Hook {
    /// A repository's, with its forge's secret.
    pub fn new(secret: WebhookSecret, git: Arc<Following>) -> Self {
        Self { secret, git }
    }

    /// Hears a request.
    pub(super) async fn hear<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: Incoming<Data = Bytes> + Unpin,
    {
        let heard = match signature(request.headers()) {
            Some(Signed::Token(token)) => Ok(self.secret.sees_the_same(token, &self.secret.0)),
            Some(Signed::Digest(digest)) => {
                let digest = digest.to_ascii_lowercase();
                let computed = self.digest(request.into_body()).await;
                computed.map(|computed| self.secret.sees_the_same(&digest, computed.as_bytes()))
            }
            None => Ok(false),
        };
        match heard {
            Ok(true) => {
                self.git.fetch_now();
                sentence(StatusCode::ACCEPTED, "the repository is fetched")
            }
            Ok(false) => {
                sentence(StatusCode::UNAUTHORIZED, "this is not signed with the secret of this webhook")
            }
            Err(refused) => refused,
        }
    }

    /// The digest of a body, none of which is kept.
    async fn digest<B: Incoming<Data = Bytes> + Unpin>(&self, mut body: B) -> Result<String, Response<Body>> {
        let mut hmac = Hmac::new(&self.secret.0);
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let broken = |_| sentence(StatusCode::BAD_REQUEST, "this broke off");
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            length += data.len();
            if length > BODY_MAX {
                return Err(sentence(StatusCode::PAYLOAD_TOO_LARGE, "this is more than a forge says"));
            }
            hmac.update(&data);
        }
        Ok(hmac.hex())
    }
}

/// How a request shows that it knows the secret.
enum Signed<'r> {
    Digest(&'r [u8]),
    Token(&'r [u8]),
}

fn signature(headers: &HeaderMap) -> Option<Signed<'_>> {
    let digests = SIGNATURES.iter().filter_map(|(name, before)| {
        headers.get(*name)?.as_bytes().strip_prefix(before.as_bytes()).map(Signed::Digest)
    });
    digests.chain(headers.get(TOKEN).map(|token| Signed::Token(token.as_bytes()))).next()
}
