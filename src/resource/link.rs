//! What a container is told of others: host names, links, volumes. In: Docker's notations or long
//! forms. Out: [`ExtraHost`], [`Link`], [`VolumesFrom`], [`MacAddress`].

use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::name::Name;
use super::notation::{NoLongForm, Notation, notation};

/// A line of the container's `/etc/hosts`. Shown as `db:10.0.0.5`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// The address; `None` is the host itself, Docker's `host-gateway`.
    pub address: Option<IpAddr>,
}

/// Docker's word for the address of the host as containers reach it.
const HOST_GATEWAY: &str = "host-gateway";

impl ExtraHost {
    fn new(name: &str, address: &str) -> Result<Self, String> {
        let fits = !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if !fits {
            return Err(format!("`{}` is not a host name", name.escape_debug()));
        }
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let address = if address == HOST_GATEWAY {
            None
        } else {
            let ip = bare.parse().map_err(|_| {
                format!("`{}` is neither an address nor {HOST_GATEWAY}", address.escape_debug())
            })?;
            Some(ip)
        };
        Ok(Self { name: name.to_owned(), address })
    }
}

/// The long form of a host's name.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExtraHostForm {
    /// The name.
    name: String,
    /// The address, or `host-gateway` for the host itself.
    address: String,
}

impl Notation for ExtraHost {
    type Long = ExtraHostForm;
    const EXPECTED: &'static str = "a host like \"db:10.0.0.5\"";

    fn parse(text: &str) -> Result<Self, String> {
        // Compose writes `=` as well.
        let (name, address) = text
            .split_once(['=', ':'])
            .ok_or_else(|| format!("`{}` is not a host (name:address)", text.escape_debug()))?;
        Self::new(name, address)
    }

    fn from_long(long: ExtraHostForm) -> Result<Self, String> {
        Self::new(&long.name, &long.address)
    }
}

impl fmt::Display for ExtraHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{}:{address}", self.name),
            None => write!(f, "{}:{HOST_GATEWAY}", self.name),
        }
    }
}

notation!(
    ExtraHost, "ExtraHost",
    "A further line of `/etc/hosts`: `name:address`, or written out. The address `host-gateway` is the host itself.",
    also ExtraHostForm
);

/// Another container that this one knows by a name, on the engine's default bridge. Shown as `db:database`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The other container.
    pub container: Name,
    /// What it is called here.
    pub alias: String,
}

impl Link {
    fn new(container: &str, alias: &str) -> Result<Self, String> {
        if alias.is_empty()
            || !alias.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        {
            return Err(format!("`{}` is not an alias", alias.escape_debug()));
        }
        Ok(Self { container: container.parse()?, alias: alias.to_owned() })
    }
}

/// The long form of a link.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LinkForm {
    /// The other container.
    container: String,
    /// What it is called here; its own name by default.
    alias: Option<String>,
}

impl Notation for Link {
    type Long = LinkForm;
    const EXPECTED: &'static str = "a link like \"db:database\"";

    fn parse(text: &str) -> Result<Self, String> {
        let (container, alias) = text.split_once(':').unwrap_or((text, text));
        Self::new(container, alias)
    }

    fn from_long(long: LinkForm) -> Result<Self, String> {
        Self::new(&long.container, long.alias.as_deref().unwrap_or(&long.container))
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.container, self.alias)
    }
}

notation!(Link, "Link", "A link in Docker's notation, `container[:alias]`, or written out.", also LinkForm);

/// A container whose volumes this one mounts too. Shown as `db:ro`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumesFrom {
    /// The other container.
    pub container: Name,
    /// Whether this one may only read them.
    pub read_only: bool,
}

/// The long form of it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VolumesFromForm {
    /// The other container.
    container: Name,
    /// Whether this one may only read them.
    #[serde(default)]
    read_only: bool,
}

impl Notation for VolumesFrom {
    type Long = VolumesFromForm;
    const EXPECTED: &'static str = "a container like \"db\" or \"db:ro\"";

    fn parse(text: &str) -> Result<Self, String> {
        let (container, mode) = text.split_once(':').unwrap_or((text, "rw"));
        let read_only = match mode {
            "rw" => false,
            "ro" => true,
            other => return Err(format!("`{}` is neither ro nor rw", other.escape_debug())),
        };
        Ok(Self { container: container.parse()?, read_only })
    }

    fn from_long(long: VolumesFromForm) -> Result<Self, String> {
        Ok(Self { container: long.container, read_only: long.read_only })
    }
}

impl fmt::Display for VolumesFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.container)?;
        if self.read_only { f.write_str(":ro") } else { Ok(()) }
    }
}

notation!(VolumesFrom, "VolumesFrom", "A container's name, `NAME:ro`, or written out.", also VolumesFromForm);

/// An Ethernet address, in lower case: `02:42:ac:11:00:02`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(String);

impl Notation for MacAddress {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "an address like \"02:42:ac:11:00:02\"";

    fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let octets: Vec<&str> = lower.split(':').collect();
        let fits = octets.len() == 6
            && octets.iter().all(|octet| octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit()));
        // The lowest bit of the first octet says that an address is a group's (IEEE 802).
        let is_groups = || u8::from_str_radix(octets[0], 16).is_ok_and(|octet| octet & 1 == 1);
        if !fits {
            Err(format!("`{}` is not an Ethernet address", text.escape_debug()))
        } else if is_groups() {
            Err(format!("`{lower}` is a multicast address, which no container can have"))
        } else {
            Ok(Self(lower))
        }
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

notation!(MacAddress, "MacAddress", "An Ethernet address, like `02:42:ac:11:00:02`.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_links_and_volumes_read_back_what_they_show() {
        for (text, shown) in [
            ("db:10.0.0.5", "db:10.0.0.5"),
            ("v6:[::1]", "v6:::1"),
            ("v6:::1", "v6:::1"),
            ("h=host-gateway", "h:host-gateway"),
        ] {
            assert_eq!(text.parse::<ExtraHost>().map(|host| host.to_string()), Ok(shown.to_owned()));
        }
        assert_eq!("db".parse::<Link>().map(|link| link.to_string()), Ok("db:db".to_owned()));
        assert_eq!("db:ro".parse::<VolumesFrom>().map(|from| from.to_string()), Ok("db:ro".to_owned()));
        assert_eq!(
            "02:42:AC:11:00:02".parse::<MacAddress>().map(|mac| mac.to_string()),
            Ok("02:42:ac:11:00:02".to_owned())
        );
        assert!("db:x".parse::<VolumesFrom>().is_err());
        assert!("db:10.0.0".parse::<ExtraHost>().is_err());
        assert!("02:42:ac:11:00".parse::<MacAddress>().is_err());
    }
}
