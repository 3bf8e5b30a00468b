//! How an engine is reached, and with which logins its registries are asked. In: what was said, and where Docker's own client has
//! what was not. Out: an address, the directory of certificates, and the file of logins. Reads none of them.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::fields::plain;

/// Where Docker's engine listens unless said otherwise.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// What the config file is called among a unit's credentials (`LoadCredential=docker-config:...`).
const CREDENTIAL: &str = "docker-config";

/// Whether a text asks for TLS: whatever is set does, as with Docker's own program, but for `false`, which a flag and a file say.
pub fn is_wish(text: &str) -> bool {
    !["", "false"].contains(&text)
}

/// Where an engine is, and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Its address: `unix:///var/run/docker.sock`, `tcp://10.0.0.5:2376`.
    pub endpoint: String,
    /// Whether it has to prove by TLS who it is.
    pub tls_verify: bool,
    /// The directory with `ca.pem`, `cert.pem` and `key.pem`; Docker's own unless said.
    pub cert_path: Option<PathBuf>,
    /// The directory with Docker's `config.json`; what the unit was given, or the user's own, unless said.
    pub docker_config: Option<PathBuf>,
}

impl Access {
    /// An engine at an address, with nothing else said.
    pub fn at(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), tls_verify: false, cert_path: None, docker_config: None }
    }

    /// As Docker's own client has it from its variables.
    pub fn from_environment() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            endpoint: set("DOCKER_HOST")
                .map_or_else(|| DEFAULT_HOST.to_owned(), |host| plain(&host.to_string_lossy())),
            tls_verify: set("DOCKER_TLS_VERIFY").is_some_and(|text| is_wish(&text.to_string_lossy())),
            cert_path: set("DOCKER_CERT_PATH").map(PathBuf::from),
            docker_config: set("DOCKER_CONFIG").map(PathBuf::from),
        }
    }

    /// The directory with the certificates, if TLS is asked for.
    pub(super) fn certificates(&self) -> Option<PathBuf> {
        self.certificates_by(|variable| std::env::var_os(variable))
    }

    fn certificates_by(&self, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        let own = || Some(PathBuf::from(variable("HOME").filter(|home| !home.is_empty())?).join(".docker"));
        let said = self.cert_path.clone().or_else(|| self.docker_config.clone());
        self.tls_verify.then(|| said.or_else(own).unwrap_or_default())
    }

    /// The file of logins: where Docker's own client keeps what it knows, or what the unit was given in its place.
    pub(super) fn config_file(&self) -> Option<PathBuf> {
        self.config_file_by(|variable| std::env::var_os(variable))
    }

    fn config_file_by(&self, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        if let Some(directory) = &self.docker_config {
            return Some(directory.join("config.json"));
        }
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let given = set("CREDENTIALS_DIRECTORY").map(|directory| directory.join(CREDENTIAL));
        let own = || Some(set("HOME")?.join(".docker/config.json"));
        given.filter(|file| file.exists()).or_else(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(name: &str) -> Option<OsString> {
        (name == "HOME").then(|| "/root".into())
    }

    #[test]
    fn certificates_are_where_dockers_client_has_them() {
        let directory = |cert_path: Option<&str>, docker_config: Option<&str>, tls_verify| {
            let (cert_path, docker_config) = (cert_path.map(PathBuf::from), docker_config.map(PathBuf::from));
            Access { tls_verify, cert_path, docker_config, ..Access::at(DEFAULT_HOST) }.certificates_by(home)
        };
        assert_eq!(directory(Some("/c"), None, false), None, "certificates alone are no wish");
        assert_eq!(directory(Some("/c"), Some("/d"), true), Some("/c".into()));
        assert_eq!(directory(None, None, true), Some("/root/.docker".into()));
        assert_eq!(directory(None, Some("/d"), true), Some("/d".into()));
    }

    #[test]
    fn a_unit_is_given_its_logins_by_systemd_and_by_dockers_own_setting_before_that() {
        let dir = tempfile::tempdir().unwrap();
        let given = dir.path().join(CREDENTIAL);
        let unit = |name: &str| match name {
            "CREDENTIALS_DIRECTORY" => Some(dir.path().into()),
            name => home(name),
        };
        let own = Access::at(DEFAULT_HOST);
        let said = Access { docker_config: Some("/srv/docker".into()), ..own.clone() };
        let file = |access: &Access| access.config_file_by(unit);
        assert_eq!(
            file(&own),
            Some("/root/.docker/config.json".into()),
            "there are credentials, but none for registries"
        );
        std::fs::write(&given, "{}").unwrap();
        assert_eq!(file(&own), Some(given));
        assert_eq!(file(&said), Some("/srv/docker/config.json".into()));
        assert_eq!(own.config_file_by(|_| None), None);
    }
}
