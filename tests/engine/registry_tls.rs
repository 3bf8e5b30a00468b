//! A registry with a certificate of one's own, as a school has it: the engine trusts who signed it once that one's
//! certificate lies where Docker looks for it. Never leaves anything there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::registry::{PASSWORD, Registry, apply, login_at};
use crate::support::{BUSYBOX, Host, docker, forget_failed_push, run};

/// Where engines look for the certificates of who signs registries' ones.
const CERTIFICATES: &str = "/etc/docker/certs.d";

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output().expect("openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const KEY: [&str; 7] =
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// Somebody who signs certificates: `ca.crt` and `ca.key` in a directory.
fn authority() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let own = ["-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=exam"];
    openssl(directory.path(), &[&KEY[..], &own].concat());
    directory
}

/// Writes `tls.crt` and `tls.key` for a registry at an address.
fn sign(authority: &Path, directory: &Path, address: &str) {
    let signer = |name: &str| authority.join(name).to_str().expect("a path").to_owned();
    let (certificate, key, name) =
        (signer("ca.crt"), signer("ca.key"), format!("subjectAltName=IP:{address}"));
    let own = ["-keyout", "tls.key", "-out", "tls.crt", "-days", "2", "-subj", "/CN=registry"];
    let by = ["-CA", &certificate, "-CAkey", &key];
    let of = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", &name];
    openssl(directory, &[&KEY[..], &own, &by, &of].concat());
}

/// What the engine trusts as long as this is there.
struct Trusted {
    directory: PathBuf,
    /// Whether nobody had such a directory before.
    is_first: bool,
}

impl Trusted {
    fn new(registry: &str, authority: &Path) -> Self {
        let is_first = !Path::new(CERTIFICATES).exists();
        let trusted = Self { directory: Path::new(CERTIFICATES).join(registry), is_first };
        fs::create_dir_all(&trusted.directory).expect("a directory: the tests run as root");
        fs::copy(authority.join("ca.crt"), trusted.directory.join("ca.crt")).expect("a copy");
        trusted
    }
}

impl Drop for Trusted {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
        if self.is_first {
            // Not where somebody else has put something there meanwhile.
            let _ = fs::remove_dir(CERTIFICATES);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_a_certificate_of_ones_own_is_used_once_its_signer_is_known() {
    let host = Host::new("tls").await;
    // Addresses that begin with 127 need no certificate.
    docker(&["network", "create", &host.name("net")]);
    // Podman gives the network its address with its first container.
    docker(&[
        "run",
        "-d",
        "--name",
        &host.name("up"),
        "--network",
        &host.name("net"),
        BUSYBOX,
        "sleep",
        "1000",
    ]);
    let gateway = "{{(index .IPAM.Config 0).Gateway}}";
    let address = docker(&["network", "inspect", "--format", gateway, &host.name("net")]);
    let (ours, others) = (authority(), authority());
    let registry = Registry::start_at(&address, |directory| sign(ours.path(), directory, &address));
    let login = login_at(&registry.at(), PASSWORD);
    let tag = registry.image("exam/app:1");
    host.container("c", &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    host.apply().await;
    let facts = || host.inspect("c", "{{.Id}} {{.State.StartedAt}}");
    let before = facts();
    host.write(
        "app.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec: {{build: {{dockerfileInline: \"FROM {BUSYBOX}\\nRUN echo 1 > /version\"}}, tags: \
             ['{tag}'], push: true}}\n"
        ),
    );
    let why = format!(
        "{tag}: the engine does not know who signed the registry's certificate: put the signer's into {CERTIFICATES}/{}/ca.crt\n",
        registry.at()
    );
    let (code, said) = apply(&host, login.path());
    assert!(code == Some(1) && said.contains(&format!("push {why}")), "{said}");
    {
        let _wrong = Trusted::new(&registry.at(), others.path());
        forget_failed_push(&tag);
        let (code, said) = apply(&host, login.path());
        assert!(code == Some(1) && said.contains(&format!("push {why}")), "{said}");
    }
    let trusted = Trusted::new(&registry.at(), ours.path());
    forget_failed_push(&tag);
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = apply(&host, login.path());
    assert_eq!((code, said.contains("Nothing to do; 2 unchanged.")), (Some(0), true), "{said}");
    assert_eq!(facts(), before);

    // On a host that has only the registry.
    host.remove("app.yaml");
    let mark = format!("io.invigil.owner/{}/*", host.prefix);
    let marks = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", &mark]);
    // Podman tells of the image's other tags too.
    let marks: Vec<&str> = marks.lines().filter(|tag| tag.starts_with("io.invigil.owner/")).collect();
    docker(&[&["rmi", &tag][..], &marks].concat());
    host.container("c", &format!("{{image: '{tag}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    drop(trusted);
    let (code, said) = apply(&host, login.path());
    assert!(code == Some(1) && said.contains(&format!("pull {why}")), "{said}");
    assert_eq!(facts(), before);
    let _trusted = Trusted::new(&registry.at(), ours.path());
    let (code, said) = apply(&host, login.path());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(docker(&["exec", &host.name("c"), "cat", "/version"]), "1");
    docker(&["rm", "-f", &host.name("c")]);
    run(&["rmi", &tag]);
}
