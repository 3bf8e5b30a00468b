//! `invigil notify test`: who is told, by which way, and what is said of whom does not take it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::postman::{PASSWORD, Postman, Tls, USER};
use crate::receiver::Receiver;

/// A host with a configuration, and files beside it.
struct Configured {
    home: tempfile::TempDir,
}

impl Configured {
    fn new(text: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        fs::write(home.path().join("config.yaml"), text).expect("a file");
        Self { home }
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.home.path().join(name), text).expect("a file");
        self
    }

    /// A script, written by another process: what this one has open for writing, a fork of it has open for a moment, too.
    fn script(self, name: &str, text: &str) -> Self {
        let path = self.home.path().join(name);
        let arguments = ["-c", "printf '%s' \"$1\" > \"$0\"; chmod 755 \"$0\""];
        let made = Command::new("sh").args(arguments).arg(path).arg(format!("#!/bin/sh\n{text}\n")).status();
        assert!(made.expect("sh").success());
        self
    }

    /// A test message to everybody. The exit code, what stands on stdout, and what on stderr, with DIR for the directory.
    fn test(&self) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
            .args(["notify", "test", "--config", "config.yaml"])
            .current_dir(self.home.path())
            .env("SSL_CERT_FILE", self.home.path().join("ca.crt"))
            .output()
            .expect("invigil");
        let directory = self.home.path().display().to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&directory, "DIR");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// Somebody who signs certificates, whom the program is to trust, and a server's one.
    fn certificates(&self) -> Arc<ServerConfig> {
        let home = self.home.path();
        let key = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ];
        let own = ["-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=exam"];
        openssl(home, &[&key[..], &own].concat());
        let own = [
            "-keyout", "tls.key", "-out", "tls.crt", "-subj", "/CN=mail", "-CA", "ca.crt", "-CAkey", "ca.key",
        ];
        let of = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:localhost"];
        openssl(home, &[&key[..], &own, &of].concat());
        let certificate = CertificateDer::from_pem_file(home.join("tls.crt")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(home.join("tls.key")).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key);
        Arc::new(config.expect("a server"))
    }
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output().expect("openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A configuration with mail by a server.
fn mail(postman: &Postman, host: &str, tls: &str) -> String {
    let port = postman.address.port();
    format!(
        "notify:\n  mail:\n    server: {host}:{port}\n    tls: {tls}\n    from: Invigil <invigil@example.org>\n    \
         to: [slq@example.org, 监考 <room-2@example.org>]\n    username: {USER}\n    passwordFile: password\n"
    )
}

#[test]
fn everybody_is_told_once_and_who_does_not_take_it_is_named() {
    let (taking, refusing) = (Receiver::refusing(0), Receiver::refusing(1));
    let text = |receiver: &Receiver| {
        format!("notify:\n  webhook: {{url: 'http://{}/canary'}}\n  program: page-me\n", receiver.address)
    };
    let told = Configured::new(&text(&taking)).script("page-me", "echo heard; exit 0").test();
    assert_eq!(told.0, Some(0), "{told:?}");
    assert!(told.1.contains(&format!("http://{}", taking.address)), "{told:?}");
    assert_eq!(told.1.matches("sent\n").count(), 2, "{told:?}");
    assert!(told.2.contains("heard"), "what it said: {told:?}");
    let message = taking.until("This is a test").json();
    assert_eq!((&message["test"], &message["owner"]), (&true.into(), &"default".into()));

    let told = Configured::new(&text(&refusing)).script("page-me", "cat >&2; exit 3").test();
    assert_eq!(told.0, Some(1), "{told:?}");
    let refused = format!("not sent: http://{} answers 503 Service Unavailable\n", refusing.address);
    assert!(told.1.contains(&refused), "{told:?}");
    assert!(told.1.contains("not sent: DIR/page-me ends with exit code 3: {\""), "{told:?}");
    assert!(!format!("{told:?}").contains("canary"), "{told:?}");
}

#[test]
fn mail_goes_by_a_real_conversation_with_tls_and_a_login() {
    for implicit in [false, true] {
        // The certificates are made where the configuration will be.
        let configured = Configured::new("").file("password", &format!("{PASSWORD}\n"));
        let config = configured.certificates();
        let postman = Postman::new(if implicit { Tls::Implicit(config) } else { Tls::Starttls(config) });
        let tls = if implicit { "implicit" } else { "starttls" };
        let configured = configured.file("config.yaml", &mail(&postman, "localhost", tls));
        let told = configured.test();
        assert_eq!(told.0, Some(0), "{told:?}");
        let mails = postman.mails();
        assert_eq!(mails.len(), 1);
        let mail = &mails[0];
        assert!(mail.is_by_tls && mail.is_logged_in, "{mail:?}");
        assert_eq!(mail.from, "MAIL FROM:<invigil@example.org>");
        assert_eq!(mail.to, ["RCPT TO:<slq@example.org>", "RCPT TO:<room-2@example.org>"]);
        assert!(mail.text.contains("\nAuto-Submitted: auto-generated\n"), "{mail:?}");
        assert!(mail.text.contains("This is a test: whoever reads it"), "{mail:?}");
        assert!(!mail.text.contains("canary"), "{mail:?}");

        // For another name than the certificate's, nothing is said.
        let told = configured.file("config.yaml", &self::mail(&postman, "127.0.0.1", tls)).test();
        assert_eq!(told.0, Some(1), "{told:?}");
        assert!(told.1.contains("certificate"), "{told:?}");
        assert_eq!(postman.mails().len(), 1);
    }
}

#[test]
fn law_12_a_password_that_is_refused_is_not_told_though_the_server_repeats_it() {
    let postman = Postman::new(Tls::None);
    let configured =
        Configured::new(&mail(&postman, "127.0.0.1", "none")).file("password", "canary-of-a-mistake");
    let told = configured.test();
    assert_eq!(told.0, Some(1), "{told:?}");
    assert!(told.1.contains("(535)") && told.1.contains("who is (hidden)?"), "{told:?}");
    assert!(!format!("{told:?}").contains("canary"), "{told:?}");
    assert!(postman.mails().is_empty());
}

#[test]
fn a_server_that_offers_no_tls_is_told_nothing_where_tls_is_wanted() {
    let postman = Postman::new(Tls::None);
    let configured = Configured::new(&mail(&postman, "localhost", "starttls")).file("password", PASSWORD);
    configured.certificates();
    let told = configured.test();
    assert_eq!(told.0, Some(1), "{told:?}");
    assert!(postman.mails().is_empty());
}

#[test]
fn what_belongs_together_is_asked_for() {
    let says = |text: &str, told: &str| {
        let configured = Configured::new(text).file("secret", "short").file("text", "no program");
        let (code, out, error) = configured.test();
        assert_eq!((code, out.as_str()), (Some(1), ""), "{error}");
        assert!(error.starts_with(told), "{error}");
    };
    says("", "error: nobody is to be notified\nhint: say who: ");
    says(
        "notify: {webhook: {secretFile: secret}}",
        "error: there is a secret for messages to a webhook, but no webhook\n",
    );
    says(
        "notify: {webhook: {url: 'http://localhost/', secretFile: secret}}",
        "error: while reading the secret for messages, DIR/secret\n  caused by: a secret has 16 characters at least\n",
    );
    says(
        "notify: {webhook: {url: 'http://localhost/', urlFile: secret}}",
        "error: a webhook's address is given, and a file with one\n",
    );
    says(
        "notify: {webhook: {urlFile: secret}}",
        "error: while reading the webhook's address, DIR/secret\n  caused by: expected an address like https://example.org/hook\n",
    );
    says(
        "notify: {mail: {to: b@example.org}, program: text}",
        "error: mail is to be written, but there is no server that sends it\n",
    );
    says(
        "notify: {mail: {server: localhost}}",
        "error: there is a server for mail, but nobody who writes, or nobody to",
    );
    says(
        "notify: {mail: {server: localhost, from: a@example.org, to: b@example.org, username: exam}}",
        "error: of a login for mail there is only one half\n",
    );
    says(
        "notify: {mail: {server: mail.example.org, tls: none, from: a@example.org, to: b@example.org, username: exam, passwordFile: secret}}",
        "error: while setting up mail\n  caused by: a password would go to mail.example.org without TLS, to be read by anybody\n",
    );
    says("notify: {program: text}", "error: DIR/text is no program: it cannot be run\n");
    says(
        "notify: {mail: {server: 'smtp://x', to: nobody}, events: [fail], webhook: {url: example.org}, hourly: 0}",
        "config.yaml:1:25: notify.mail.server: expected a server's name, and a port if it is not the usual one, like mail.example.org:587\n\
         config.yaml:1:41: notify.mail.to: expected an address like exam@example.org or Exams <exam@example.org>\n",
    );
}
