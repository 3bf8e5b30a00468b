//! A webhook that is called: a server is told by HTTP. In: its address, and the secret that both know. Out: a message posted to
//! it as JSON, signed as the large forges sign theirs. The secret does not stand in what is told.

use std::fmt;

use super::notice::Message;
use crate::daemon::post::{HttpUrl, Poster, Undelivered};
use crate::daemon::web::{GITHUB_SIGNATURE, WebhookSecret};

/// The header with the message's own name.
const DELIVERY: &str = "x-invigil-delivery";

/// A server that is told.
pub struct Webhook {
    poster: Poster,
    secret: Option<WebhookSecret>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("url", self.poster.url()).finish_non_exhaustive()
    }
}

impl Webhook {
    /// One at an address, whose messages are signed if there is a secret.
    ///
    /// # Errors
    /// If it is to be reached by TLS, and this host trusts nobody.
    pub fn new(url: HttpUrl, secret: Option<WebhookSecret>) -> Result<Self, String> {
        Ok(Self { poster: Poster::new(url)?, secret })
    }

    /// Where it is.
    pub(super) fn place(&self) -> String {
        self.poster.url().to_string()
    }

    /// Posts a message.
    pub(super) async fn post(&self, message: &Message) -> Result<(), Undelivered> {
        let json = message.json();
        let signature = self.secret.as_ref().map(|secret| {
            let (name, before) = GITHUB_SIGNATURE;
            (name, format!("{before}{}", secret.digest_of(json.as_bytes())))
        });
        let signed = signature.iter().map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<(&str, &str)> =
            std::iter::once((DELIVERY, message.id.as_str())).chain(signed).collect();
        self.poster.post(&headers, json).await
    }
}
