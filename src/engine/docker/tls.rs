//! TLS to an engine, as Docker's own client has it. In: a directory with `ca.pem`, `cert.pem` and `key.pem`. Out: who to trust and what to show. An engine is always verified.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};

/// What trusts the signer in `ca.pem` and shows `cert.pem`, if that is there.
///
/// # Errors
/// Which file cannot be used, in a sentence.
pub(super) fn connector(directory: &Path) -> Result<TlsConnector, String> {
    let file = |name: &str| directory.join(name);
    let certificates = |name: &str| {
        let told = |error: pem::Error| unusable(&file(name), &error);
        let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file(name))
            .map_err(told)?
            .collect::<Result<_, _>>()
            .map_err(told)?;
        if found.is_empty() {
            Err(format!("{} holds no certificate", file(name).display()))
        } else {
            Ok(found)
        }
    };
    let mut signers = RootCertStore::empty();
    for signer in certificates("ca.pem")? {
        signers.add(signer).map_err(|error| format!("{}: {error}", file("ca.pem").display()))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(signers);
    // As with Docker's client: an engine may do without knowing who asks.
    let config = if file("cert.pem").exists() || file("key.pem").exists() {
        let key = PrivateKeyDer::from_pem_file(file("key.pem"))
            .map_err(|error| unusable(&file("key.pem"), &error))?;
        config
            .with_client_auth_cert(certificates("cert.pem")?, key)
            .map_err(|error| format!("{} and key.pem: {error}", file("cert.pem").display()))?
    } else {
        config.with_no_client_auth()
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Never the file's own words: it may be a key.
fn unusable(file: &Path, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("{} cannot be read: {error}", file.display()),
        pem::Error::NoItemsFound => format!("{} holds nothing in PEM that can be used", file.display()),
        _ => format!("{} is damaged", file.display()),
    }
}

/// A connection's error, with what to do where it is about a certificate.
pub(super) fn told(error: &io::Error) -> io::Error {
    let sentence = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is not signed by the ca.pem in DOCKER_CERT_PATH".to_owned()
        }
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "its certificate is for other names than the one in DOCKER_HOST".to_owned(),
        Some(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "its certificate has expired".to_owned(),
        Some(Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown,
        )) => "it does not accept cert.pem and key.pem in DOCKER_CERT_PATH, or there are none".to_owned(),
        Some(Error::InvalidMessage(_)) => "it does not speak TLS: leave DOCKER_TLS_VERIFY out".to_owned(),
        _ => return io::Error::new(error.kind(), error.to_string()),
    };
    io::Error::new(error.kind(), sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_told_by_its_name_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let shown = dir.path().display();
        let refused = || connector(dir.path()).err().unwrap_or_default();
        assert_eq!(
            refused(),
            format!("{shown}/ca.pem cannot be read: No such file or directory (os error 2)")
        );
        std::fs::write(dir.path().join("ca.pem"), "canary\n").expect("a file");
        assert_eq!(refused(), format!("{shown}/ca.pem holds no certificate"));
        let damaged = "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n";
        std::fs::write(dir.path().join("ca.pem"), damaged).expect("a file");
        assert!(
            refused().starts_with(&format!("{shown}/ca.pem")) && !refused().contains("canary"),
            "{}",
            refused()
        );
    }
}
