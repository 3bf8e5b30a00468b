//! Platforms. In: Docker's `os/arch[/variant]`. Out: [`Platform`].

use std::fmt;

use super::notation::{NoLongForm, Notation, notation};

/// What an image is made for. Shown as `linux/arm64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform(String);

impl Platform {
    /// Docker's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The platform of an image's config, or of an engine, if it says one.
    pub fn of(os: Option<&str>, architecture: Option<&str>) -> Option<Self> {
        format!("{}/{}", os?, architecture?).parse().ok()
    }

    /// Whether the programs of one start on the other without emulation, as far as their names tell: a variant is about
    /// the processor's finer points.
    pub fn is_like(&self, other: &Self) -> bool {
        let names =
            |platform: &Self| -> Vec<String> { platform.0.split('/').take(2).map(str::to_owned).collect() };
        names(self) == names(other)
    }
}

impl Notation for Platform {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a platform like \"linux/amd64\"";

    fn parse(text: &str) -> Result<Self, String> {
        let part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-'))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if (1..=3).contains(&parts.len()) && parts.iter().all(|text| part(text)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not a platform (like linux/amd64)", text.escape_debug()))
        }
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

notation!(Platform, "Platform", "A platform: `os/arch[/variant]`, like `linux/amd64`.");
