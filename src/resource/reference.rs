//! Image references and ids. In: text from manifests and engines. Out: [`ImageReference`], [`ImageId`].

use std::fmt;
use std::str::FromStr;

use super::name::is_path_component;
use super::notation::{NoLongForm, Notation, notation};

/// The registry of references that name none.
const DEFAULT_DOMAIN: &str = "docker.io";
/// Its former name, which Docker still takes for it.
const FORMER_DEFAULT_DOMAIN: &str = "index.docker.io";
/// Where the default registry keeps repositories of one component.
const DEFAULT_NAMESPACE: &str = "library";
/// The repository that an image's id would be a tag of.
const ID_AS_PATH: &str = "library/sha256";

/// A reference to an image by repository and tag, or by repository and digest; normalised, so that
/// `nginx`, `nginx:latest` and `docker.io/library/nginx:latest` are equal. Shown in the short form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    domain: String,
    path: String,
    version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Version {
    Tag(String),
    Digest(String),
}

impl ImageReference {
    /// A reference from parts that are known to be valid.
    pub(super) fn tagged(domain: &str, path: &str, tag: &str) -> Self {
        Self { domain: domain.to_owned(), path: path.to_owned(), version: Version::Tag(tag.to_owned()) }
    }

    /// The registry, `docker.io` where none was named.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether no registry but Docker's own is named.
    pub fn is_on_the_hub(&self) -> bool {
        self.domain == DEFAULT_DOMAIN
    }

    /// The same repository's image of a digest.
    #[must_use]
    pub fn at_digest(&self, digest: &ImageId) -> Self {
        Self { version: Version::Digest(digest.as_str().to_owned()), ..self.clone() }
    }

    /// The repository's path within the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag; `None` where a digest pins the image.
    pub fn tag(&self) -> Option<&str> {
        match &self.version {
            Version::Tag(tag) => Some(tag),
            Version::Digest(_) => None,
        }
    }

    /// The repository in its short form, without tag or digest.
    pub fn repository(&self) -> String {
        let whole = || format!("{}/{}", self.domain, self.path);
        if self.domain != DEFAULT_DOMAIN {
            return whole();
        }
        match self.path.split_once('/') {
            // Without its registry it would read as a reference to another one.
            Some((first, _)) if names_a_registry(first) => whole(),
            Some((DEFAULT_NAMESPACE, name)) if !name.contains('/') => name.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// Whether `text` is a tag (the distribution grammar's `tag`).
    pub fn is_tag(text: &str) -> bool {
        (1..=128).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    }
}

/// Whether the first component of a reference is a registry (Docker's rule).
fn names_a_registry(component: &str) -> bool {
    component.contains(['.', ':']) || component == "localhost"
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        label.starts_with(|c: char| c.is_ascii_alphanumeric())
            && label.ends_with(|c: char| c.is_ascii_alphanumeric())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let number = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    host.split('.').all(label) && port.is_none_or(number)
}

impl Notation for ImageReference {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "an image like \"nginx:1.15\"";

    fn parse(text: &str) -> Result<Self, String> {
        let refused = |why: &str| Err(format!("`{}` is not an image reference: {why}", text.escape_debug()));
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        let (domain, path) = match name.split_once('/') {
            Some((FORMER_DEFAULT_DOMAIN, rest)) => (DEFAULT_DOMAIN, rest),
            Some((first, rest)) if names_a_registry(first) => (first, rest),
            _ => (DEFAULT_DOMAIN, name),
        };
        let path = if domain == DEFAULT_DOMAIN && !path.contains('/') {
            format!("{DEFAULT_NAMESPACE}/{path}")
        } else {
            path.to_owned()
        };
        // No engine takes one for a repository.
        if text.parse::<ImageId>().is_ok() || (domain == DEFAULT_DOMAIN && path == ID_AS_PATH) {
            return refused("it is an image's id: name a tag or NAME@DIGEST, which other hosts know too");
        }
        if !is_domain(domain) {
            return refused("its registry is no host name");
        }
        if !path.split('/').all(is_path_component) {
            return refused(if path.chars().any(char::is_uppercase) {
                "a repository is written in lower case"
            } else {
                "a repository has lower-case letters and digits, separated by `.`, `_`, `-` or `/`"
            });
        }
        if path.len() + domain.len() > 255 {
            return refused("it has more than 255 characters");
        }
        if tag.is_some_and(|tag| !Self::is_tag(tag)) {
            return refused("its tag is not one (letters, digits, `_`, `.` and `-`, at most 128)");
        }
        let version = match digest {
            Some(digest) if digest.starts_with(ImageId::ALGORITHM) && digest.parse::<ImageId>().is_ok() => {
                Version::Digest(digest.to_owned())
            }
            Some(_) => return refused("its digest is not sha256: and 64 hexadecimal digits"),
            None => Version::Tag(tag.unwrap_or("latest").to_owned()),
        };
        Ok(Self { domain: domain.to_owned(), path, version })
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Version::Tag(tag) => write!(f, "{}:{tag}", self.repository()),
            Version::Digest(digest) => write!(f, "{}@{digest}", self.repository()),
        }
    }
}

notation!(ImageReference, "ImageReference", "An image: `nginx:1.15`, `registry:5000/team/app@sha256:...`.");

/// The id of an image as its engine names it: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct ImageId(String);

impl ImageId {
    const ALGORITHM: &'static str = "sha256:";

    /// The id that content with this SHA-256 has.
    pub fn of(content: &[u8]) -> Self {
        Self(format!("{}{}", Self::ALGORITHM, super::digest::sha256_hex(content)))
    }

    /// The same of content that was hashed as it came.
    pub fn of_hashed(content: super::digest::Sha256Sum) -> Self {
        Self(format!("{}{}", Self::ALGORITHM, content.hex()))
    }

    /// The id with its algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.0[Self::ALGORITHM.len()..]
    }

    /// The first 12 digits, as Docker abbreviates ids.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

impl FromStr for ImageId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Podman leaves the algorithm out.
        let digits = text.strip_prefix(Self::ALGORITHM).unwrap_or(text);
        if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(Self(format!("{}{digits}", Self::ALGORITHM)))
        } else {
            Err(format!("`{}` is not an image id", text.escape_debug()))
        }
    }
}

impl fmt::Display for ImageId {
    /// Abbreviated, as in a plan: `sha256:3f2a91c0d7be`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::ALGORITHM, self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_spellings_are_one_reference() {
        let short: ImageReference = "nginx".parse().expect("a reference");
        assert_eq!("docker.io/library/nginx:latest".parse(), Ok(short.clone()));
        assert_eq!(short.to_string(), "nginx:latest");
        let registry: ImageReference = "10.20.29.45/myproject/basechain:1.1".parse().expect("a reference");
        assert_eq!(registry.to_string(), "10.20.29.45/myproject/basechain:1.1");
        let port: ImageReference = "127.0.0.1:5000/app".parse().expect("a reference");
        assert_eq!(port.to_string(), "127.0.0.1:5000/app:latest");
    }

    #[test]
    fn a_reference_reads_back_what_it_shows() {
        for (text, shown) in [
            ("docker.io/nginx", "nginx:latest"),
            ("index.docker.io/library/nginx:1", "nginx:1"),
            ("library/team/app", "library/team/app:latest"),
            ("docker.io/a.b/c", "docker.io/a.b/c:latest"),
            ("docker.io/localhost/c", "docker.io/localhost/c:latest"),
            ("docker.io/library/a.b", "a.b:latest"),
        ] {
            let reference: ImageReference = text.parse().expect(text);
            assert_eq!(reference.to_string(), shown, "{text}");
            assert_eq!(shown.parse(), Ok(reference), "{text}");
        }
    }

    #[test]
    fn hostile_references_are_refused() {
        let bare_digest = format!("nginx@{}", "ab".repeat(32));
        for bad in [
            &bare_digest,
            "a.b:+80/c",
            "Nginx",
            "a b",
            "../x",
            "a:b:c",
            "x@sha256:1",
            "x?y=1",
            "-x/y",
            "a//b",
            "x:\u{1b}",
        ] {
            assert!(bad.parse::<ImageReference>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "Nginx".parse::<ImageReference>(),
            Err("`Nginx` is not an image reference: a repository is written in lower case".to_owned())
        );
        let digits = "ab".repeat(32);
        let shorter = "library/sha256:3f2a91c0d7be".to_owned();
        let longer = format!("docker.io/library/sha256:{digits}");
        for id in [format!("sha256:{digits}"), digits.clone(), shorter, longer] {
            let refused = id.parse::<ImageReference>().expect_err("an id");
            assert!(refused.contains("is an image's id: name a tag"), "{refused}");
        }
        assert!(format!("nginx@sha256:{digits}").parse::<ImageReference>().is_ok());
    }
}
