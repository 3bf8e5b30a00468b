//! Who Invigil is to a registry: what `docker login` and Docker's credential helpers have for the user that it
//! runs as. In: an image's reference. Out: credentials for one pull. Keeps nothing.

use std::path::PathBuf;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError as Trouble, DockerCredential};

use crate::resource::reference::ImageReference;

/// What Docker's config file calls the registry of images without one.
const HUB: &str = "https://index.docker.io/v1/";

/// How long a credential helper may take.
const HELPER: Duration = Duration::from_secs(30);

/// The credentials for a pull.
#[derive(Default)]
pub(super) struct Credentials {
    /// What is sent; nothing is anonymous.
    pub(super) sent: Option<DockerCredentials>,
    /// Why nothing is sent though the config file has something. As with Docker's own client, the pull is tried
    /// all the same: many images need no login.
    pub(super) trouble: Option<String>,
}

/// What Docker's config file has for the registry of an image. It is read each time: a login needs no restart.
pub(super) async fn of(reference: &ImageReference) -> Credentials {
    // The library takes a file that is not there for one that is damaged.
    if config_file().is_none_or(|file| !file.exists()) {
        return Credentials::default();
    }
    let registry = match reference.domain() {
        "docker.io" => HUB.to_owned(),
        domain => domain.to_owned(),
    };
    let asked = registry.clone();
    let answer = tokio::task::spawn_blocking(move || docker_credential::get_credential(&asked));
    let failed = |trouble: String| Credentials { sent: None, trouble: Some(trouble) };
    match tokio::time::timeout(HELPER, answer).await {
        Ok(Ok(Ok(credential))) => Credentials { sent: Some(sent(credential, registry)), trouble: None },
        Ok(Ok(Err(trouble))) => Credentials { sent: None, trouble: told(&trouble) },
        Ok(Err(_)) => failed("looking for them was broken off".to_owned()),
        Err(_) => failed(format!("the credential helper does not answer within {} s", HELPER.as_secs())),
    }
}

/// Where Docker's own client keeps what it knows.
fn config_file() -> Option<PathBuf> {
    let set =
        |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))?;
    Some(directory.join("config.json"))
}

/// In words; nothing where there simply are no credentials. What a helper said may hold a secret.
fn told(trouble: &Trouble) -> Option<String> {
    match trouble {
        Trouble::ConfigNotFound | Trouble::NoCredentialConfigured => None,
        Trouble::HelperFailure { stdout, .. } if stdout.contains("credentials not found") => None,
        Trouble::HelperFailure { helper, .. } => Some(format!("the credential helper {helper} failed")),
        Trouble::HelperCommunicationError => Some("the credential helper cannot be run".to_owned()),
        Trouble::MalformedHelperResponse => Some("the credential helper's answer cannot be read".to_owned()),
        Trouble::ConfigReadError | Trouble::CredentialDecodingError | Trouble::CredentialMismatchError => {
            Some("Docker's config.json is damaged".to_owned())
        }
    }
}

fn sent(credential: DockerCredential, registry: String) -> DockerCredentials {
    let serveraddress = Some(registry);
    match credential {
        DockerCredential::IdentityToken(token) => {
            DockerCredentials { identitytoken: Some(token), serveraddress, ..DockerCredentials::default() }
        }
        DockerCredential::UsernamePassword(user, password) => DockerCredentials {
            username: Some(user),
            password: Some(password),
            serveraddress,
            ..DockerCredentials::default()
        },
    }
}
