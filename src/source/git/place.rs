//! Where a repository is, and what of it is meant. In: texts from flags and files. Out: types that `git` cannot take for
//! options, or why a text is none. A URL is shown without its password, always.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use crate::resource::env::without_passwords;
use crate::resource::printable::is_obeyed;

/// A repository's address.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    given: String,
    /// The same without anything of the login.
    bare: String,
    login: Option<Login>,
}

/// Who asks. `git` is told by its environment: what stands in arguments, everybody on the host can read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// The scheme and the host that it is for.
    pub(super) at: String,
    pub(super) user: String,
    /// None if a helper of the host's configuration has it.
    pub(super) password: Option<String>,
}

impl Url {
    /// As `git` takes it.
    pub(super) fn bare(&self) -> &str {
        &self.bare
    }

    pub(super) const fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_passwords(&self.given))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.starts_with('-') || text.contains(|c: char| is_obeyed(c) || c == ' ') {
            return Err("this is no address of a repository");
        }
        let names_program = |c: char| c.is_alphanumeric() || "+-.".contains(c);
        if text.split_once("::").is_some_and(|(helper, _)| helper.chars().all(names_program)) {
            return Err("an address that names a program (`ext::`) is not supported");
        }
        let bare = || Self { given: text.to_owned(), bare: text.to_owned(), login: None };
        match text.split_once("://") {
            Some((scheme @ ("https" | "http"), rest)) => Self::web(text, scheme, rest),
            Some(("ssh" | "git", rest)) => {
                let host = rest.split('/').next().unwrap_or_default();
                if host.rsplit_once('@').is_some_and(|(login, _)| login.contains(':')) {
                    return Err("a password in such an address helps nobody: ssh asks for a key");
                }
                Ok(bare())
            }
            Some(("file", _)) => Ok(bare()),
            Some(_) => Err("expected https://, ssh://, git://, http://, file://, HOST:PATH or a path"),
            // `user@host:path`, and a path of this host.
            None if text.starts_with('/')
                || text.split_once(':').is_some_and(|(host, _)| !host.contains('/')) =>
            {
                Ok(bare())
            }
            None => Err("expected an address, or a path that begins with /"),
        }
    }
}

impl Url {
    fn web(given: &str, scheme: &str, rest: &str) -> Result<Self, &'static str> {
        if rest.contains(['?', '#']) {
            return Err("an address of a repository has no `?` and no `#`");
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (login, host) = authority.rsplit_once('@').map_or((None, authority), |(a, b)| (Some(a), b));
        let at = format!("{scheme}://{host}");
        let bare = format!("{at}{path}");
        let login = match login.filter(|login| !login.is_empty()) {
            None => None,
            Some(login) => {
                let (user, password) = login.split_once(':').map_or((login, None), |(a, b)| (a, Some(b)));
                let password = password.map(decoded).transpose()?;
                Some(Login { at, user: decoded(user)?, password })
            }
        };
        Ok(Self { given: given.to_owned(), bare, login })
    }
}

/// What `%40` and its like stand for.
fn decoded(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "what follows a `%` in the login is no character";
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().ok_or(WRONG)?, rest.next().ok_or(WRONG)?];
        let digits = std::str::from_utf8(&digits).map_err(|_| WRONG)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| WRONG)?);
    }
    let text = String::from_utf8(bytes).map_err(|_| WRONG)?;
    // Each would be a line of its own for who is asked for the login.
    if text.contains(is_obeyed) { Err(WRONG) } else { Ok(text) }
}

/// A branch or tag, or a full name (`refs/heads/main`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

impl Reference {
    pub(super) fn is_full(&self) -> bool {
        self.0.starts_with("refs/")
    }

    pub(super) fn as_branch(&self) -> String {
        if self.is_full() { self.0.clone() } else { format!("refs/heads/{}", self.0) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Reference {
    type Err = String;

    /// The rules of `git check-ref-format`.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |c: char| c.is_whitespace() || is_obeyed(c) || "~^:?*[\\".contains(c);
        let is_lock = |part: &str| part.rsplit_once('.').is_some_and(|(_, last)| last == "lock");
        let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || is_lock(part);
        let is_bad = text.starts_with('-')
            || text.contains(bad)
            || text.contains("..")
            || text.contains("@{")
            || text.ends_with('.')
            || text == "@"
            || text.split('/').any(bad_part);
        if is_bad { Err("this is no branch or tag".to_owned()) } else { Ok(Self(text.to_owned())) }
    }
}

/// A directory of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubDirectory(PathBuf);

impl SubDirectory {
    /// The path from the repository's root; empty for the root.
    pub(super) fn as_path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for SubDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.as_os_str().is_empty() { f.write_str(".") } else { self.0.display().fmt(f) }
    }
}

impl FromStr for SubDirectory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        let is_inside =
            path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if text.contains(is_obeyed) || !is_inside {
            return Err("expected a directory of the repository, without `..`".to_owned());
        }
        Ok(Self(path.components().filter(|part| matches!(part, Component::Normal(_))).collect()))
    }
}
