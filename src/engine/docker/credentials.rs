//! Who Invigil is to a registry: what `docker login` and Docker's credential helpers have for the user that it
//! runs as. In: an image's reference. Out: credentials for one pull. Keeps nothing.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError as Trouble, DockerCredential};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::Access;
use crate::resource::reference::ImageReference;

/// What Docker's config file calls the registry of images without one.
const HUB: &str = "https://index.docker.io/v1/";

/// What is wrong where the config file cannot be read.
const DAMAGED: &str = "Docker's config.json is damaged";

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

/// Why registries were asked without a login though the config file has something for them, by their hosts.
#[derive(Default)]
pub(super) struct Troubles(BTreeMap<String, String>);

impl Troubles {
    /// Keeps what is told of one registry.
    pub(super) fn note(&mut self, host: &str, trouble: Option<String>) {
        self.0.extend(trouble.map(|trouble| (host.to_owned(), trouble)));
    }

    /// What a refusal ends with: nothing where there was no trouble.
    pub(super) fn words(&self) -> String {
        let each = self.0.iter().map(|(host, why)| format!(" (asked {host} without a login: {why})"));
        each.collect()
    }
}

/// What Docker's config file has for the registry of an image. It is read each time: a login needs no restart.
pub(super) async fn of(access: &Access, reference: &ImageReference) -> Credentials {
    of_registry(access, reference.domain()).await
}

/// The same for a registry by its host: `docker.io`, `10.0.0.7:5000`.
pub(super) async fn of_registry(access: &Access, host: &str) -> Credentials {
    let registry = match host {
        "docker.io" => HUB.to_owned(),
        host => host.to_owned(),
    };
    let Some(file) = access.config_file() else { return Credentials::default() };
    let config = match tokio::fs::read(&file).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Credentials::default(),
        read => read.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()),
    };
    let answer = match config {
        Some(config) => look_up(config, &registry).await,
        None => Err(Some(DAMAGED.to_owned())),
    };
    match answer {
        Ok(credential) => Credentials { sent: Some(sent(credential, registry)), trouble: None },
        Err(trouble) => Credentials { sent: None, trouble },
    }
}

/// The registry's own helper, else what the file itself has, else the helper for all: Docker's order. Without an
/// error's words there simply are none.
async fn look_up(mut config: Value, registry: &str) -> Result<DockerCredential, Option<String>> {
    let name = |helper: &Value| helper.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    let (own, store) = (name(&config["credHelpers"][registry]), name(&config["credsStore"]));
    if let Some(helper) = own {
        return ask(&format!("docker-credential-{helper}"), registry, HELPER).await;
    }
    // The library would run a helper itself, and could not end one that hangs.
    if let Some(config) = config.as_object_mut() {
        config.retain(|key, _| key == "auths");
    }
    match docker_credential::get_credential_from_reader(config.to_string().as_bytes(), registry) {
        Ok(credential) => Ok(credential),
        Err(Trouble::NoCredentialConfigured) => match store {
            Some(store) => ask(&format!("docker-credential-{store}"), registry, HELPER).await,
            None => Err(None),
        },
        Err(_) => Err(Some(DAMAGED.to_owned())),
    }
}

/// What a credential helper answers. One that takes too long is ended. What it says may hold a secret.
async fn ask(program: &str, registry: &str, patience: Duration) -> Result<DockerCredential, Option<String>> {
    let talk = async {
        let mut helper = Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = helper.stdin.take() {
            input.write_all(registry.as_bytes()).await?;
        }
        helper.wait_with_output().await
    };
    let output = match timeout(patience, talk).await {
        Ok(Ok(output)) => output,
        Ok(Err(_)) => return Err(Some("the credential helper cannot be run".to_owned())),
        Err(_) => {
            return Err(Some(format!(
                "the credential helper does not answer within {} s",
                patience.as_secs()
            )));
        }
    };
    if !output.status.success() {
        let unknown = String::from_utf8_lossy(&output.stdout).contains("credentials not found");
        return Err((!unknown).then(|| format!("the credential helper {program} failed")));
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| Some("the credential helper's answer cannot be read".to_owned()))?;
    Ok(match answer.username.as_str() {
        "<token>" => DockerCredential::IdentityToken(answer.secret),
        _ => DockerCredential::UsernamePassword(answer.username, answer.secret),
    })
}

/// A credential helper's answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    /// A helper that does this.
    fn helper(dir: &Path, script: &str) -> String {
        let path = dir.join("docker-credential-test");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    #[tokio::test]
    async fn a_helper_is_asked_for_the_registry_and_one_that_hangs_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let asked = |script: String| {
            let program = helper(dir.path(), &script);
            async move { ask(&program, "r.example", Duration::from_secs(1)).await }
        };
        let answer = r#"read asked; echo "{\"ServerURL\": \"$asked\", \"Username\": \"u-$asked\", \"Secret\": \"s\"}""#;
        assert_eq!(
            asked(answer.to_owned()).await,
            Ok(DockerCredential::UsernamePassword("u-r.example".to_owned(), "s".to_owned()))
        );
        assert_eq!(
            asked("cat >/dev/null; echo credentials not found in it; exit 1".to_owned()).await,
            Err(None)
        );
        assert_eq!(
            asked("cat >/dev/null; echo hunter2".to_owned()).await,
            Err(Some("the credential helper's answer cannot be read".to_owned()))
        );
        let id = dir.path().join("id");
        let told = asked(format!("echo $$ > {}; exec sleep 600", id.display())).await;
        assert_eq!(told, Err(Some("the credential helper does not answer within 1 s".to_owned())));
        let process = format!("/proc/{}/cmdline", std::fs::read_to_string(id).unwrap().trim());
        for _ in 0..100 {
            // A process that has ended and was not waited for yet has no words.
            if std::fs::read(&process).unwrap_or_default().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the helper goes on");
    }

    #[tokio::test]
    async fn a_registrys_own_helper_comes_before_what_the_file_has_and_is_asked_for_no_other() {
        let config = serde_json::json!({
            "auths": {"r.example": {"auth": "dTpw"}, "other.example": {"auth": "dTpw"}},
            "credHelpers": {"r.example": "none-such", "empty.example": ""},
        });
        let cannot = Err(Some("the credential helper cannot be run".to_owned()));
        assert_eq!(look_up(config.clone(), "r.example").await, cannot);
        assert_eq!(
            look_up(config.clone(), "other.example").await,
            Ok(DockerCredential::UsernamePassword("u".to_owned(), "p".to_owned()))
        );
        assert_eq!(look_up(config, "empty.example").await, Err(None));
    }

    #[tokio::test]
    async fn what_the_file_itself_has_needs_no_helper() {
        let config = serde_json::json!({
            "auths": {"r.example": {"auth": "dTpw"}},
            "credsStore": "none-such",
        });
        assert_eq!(
            look_up(config.clone(), "r.example").await,
            Ok(DockerCredential::UsernamePassword("u".to_owned(), "p".to_owned()))
        );
        assert_eq!(
            look_up(config, "other.example").await,
            Err(Some("the credential helper cannot be run".to_owned()))
        );
        assert_eq!(look_up(serde_json::json!({}), "r.example").await, Err(None));
        assert_eq!(
            look_up(serde_json::json!({"auths": {"r.example": {"auth": "!"}}}), "r.example").await,
            Err(Some(DAMAGED.to_owned()))
        );
    }
}
