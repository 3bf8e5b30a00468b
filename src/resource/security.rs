//! Security options. In: Docker's `--security-opt` notation. Out: [`SecurityOption`]. Never reads a
//! profile: whoever resolves a manifest puts its text in the place of its path.

use std::fmt;

use super::notation::{NoLongForm, Notation, notation};

/// One security option. Shown as Docker's notation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecurityOption {
    /// An `AppArmor` profile by its name, or `unconfined`.
    AppArmor(String),
    /// A part of the `SELinux` label: `user:U`, `role:R`, `type:T`, `level:L` or `disable`.
    Label(String),
    /// What the kernel refuses to do.
    Seccomp(Seccomp),
}

/// Which system calls the kernel refuses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seccomp {
    /// None.
    Unconfined,
    /// Those of the engine's own profile.
    Builtin,
    /// Those of the profile in this file.
    File(String),
    /// Those of this profile, in canonical JSON.
    Profile(String),
}

impl Notation for SecurityOption {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a security option like \"apparmor=docker-default\"";

    fn parse(text: &str) -> Result<Self, String> {
        let shown = text.escape_debug();
        if text.starts_with("no-new-privileges") {
            return Err(format!("`{shown}` is a field of its own: noNewPrivileges"));
        }
        // The colon is what Docker wrote at first.
        let (kind, value) = text
            .split_once(['=', ':'])
            .filter(|(_, value)| !value.is_empty() && !value.contains('\0'))
            .ok_or_else(|| {
                format!("`{shown}` is not a security option (apparmor=..., label=..., seccomp=...)")
            })?;
        Ok(match (kind, value) {
            ("apparmor", profile) => Self::AppArmor(profile.to_owned()),
            ("label", label) => {
                let key = label.split(':').next().unwrap_or_default();
                if !matches!(key, "user" | "role" | "type" | "level" | "disable") {
                    return Err(format!(
                        "`{shown}` is not a part of a label (user:, role:, type:, level: or disable)"
                    ));
                }
                Self::Label(label.to_owned())
            }
            ("seccomp", "unconfined") => Self::Seccomp(Seccomp::Unconfined),
            ("seccomp", "builtin") => Self::Seccomp(Seccomp::Builtin),
            ("seccomp", profile) if profile.starts_with('{') => {
                // Maps of this JSON library are sorted by key.
                let profile: serde_json::Value = serde_json::from_str(profile)
                    .map_err(|error| format!("the profile is no JSON: {error}"))?;
                Self::Seccomp(Seccomp::Profile(profile.to_string()))
            }
            ("seccomp", file) => Self::Seccomp(Seccomp::File(file.to_owned())),
            _ => {
                return Err(format!(
                    "`{shown}` is not a security option (apparmor=..., label=..., seccomp=...)"
                ));
            }
        })
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for SecurityOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppArmor(profile) => write!(f, "apparmor={profile}"),
            Self::Label(label) => write!(f, "label={label}"),
            Self::Seccomp(Seccomp::Unconfined) => f.write_str("seccomp=unconfined"),
            Self::Seccomp(Seccomp::Builtin) => f.write_str("seccomp=builtin"),
            Self::Seccomp(Seccomp::File(text) | Seccomp::Profile(text)) => write!(f, "seccomp={text}"),
        }
    }
}

notation!(
    SecurityOption,
    "SecurityOption",
    "A security option: `apparmor=PROFILE`, `label=type:TYPE`, `seccomp=unconfined`, `seccomp=./profile.json`."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_read_back_what_they_show() {
        for text in [
            "apparmor=unconfined",
            "label=type:svirt_t",
            "seccomp=unconfined",
            "seccomp=./a.json",
            "seccomp={}",
        ] {
            assert_eq!(text.parse::<SecurityOption>().map(|option| option.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(
            "no-new-privileges".parse::<SecurityOption>(),
            Err("`no-new-privileges` is a field of its own: noNewPrivileges".to_owned())
        );
        for bad in ["", "apparmor", "apparmor=", "label=x", "systempaths=unconfined"] {
            assert!(bad.parse::<SecurityOption>().is_err(), "{bad:?}");
        }
    }
}
