//! Devices of the host. In: Docker's `--device` notations or long forms. Out: [`Device`],
//! [`DeviceWeight`], [`DeviceRate`], [`DeviceOps`], [`DeviceRequest`]. Never looks whether one exists.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::env::TextMap;
use super::notation::{NoLongForm, Notation, notation};
use super::quantity::ByteSize;

/// A device that a container may use. Shown as `/dev/snd:/dev/snd:rwm`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device {
    /// Its path on the host.
    pub host: String,
    /// Its path in the container.
    pub container: String,
    /// What the container may do with it: some of `r`, `w` and `m` (make the node), in this order.
    pub permissions: String,
}

fn device_path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.len() > 1 && !text.contains(|c: char| c.is_control() || c == ':') {
        Ok(text.to_owned())
    } else {
        Err(format!("`{}` is not a device's path", text.escape_debug()))
    }
}

impl Device {
    fn new(host: &str, container: &str, permissions: &str) -> Result<Self, String> {
        let known = permissions.chars().all(|c| "rwm".contains(c));
        if permissions.is_empty() || !known {
            return Err(format!("`{}` is not some of r, w and m", permissions.escape_debug()));
        }
        let permissions = "rwm".chars().filter(|c| permissions.contains(*c)).collect();
        Ok(Self { host: device_path(host)?, container: device_path(container)?, permissions })
    }
}

/// The long form of a device.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeviceForm {
    /// Its path on the host.
    host: String,
    /// Its path in the container; the same by default.
    container: Option<String>,
    /// Some of `r`, `w` and `m`; all by default.
    permissions: Option<String>,
}

impl Notation for Device {
    type Long = DeviceForm;
    const EXPECTED: &'static str = "a device like \"/dev/snd\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text.split(':').collect::<Vec<_>>()[..] {
            [host] => Self::new(host, host, "rwm"),
            [host, container] if container.starts_with('/') => Self::new(host, container, "rwm"),
            [host, permissions] => Self::new(host, host, permissions),
            [host, container, permissions] => Self::new(host, container, permissions),
            _ => Err(format!("`{}` is not a device (host[:container][:rwm])", text.escape_debug())),
        }
    }

    fn from_long(long: DeviceForm) -> Result<Self, String> {
        let container = long.container.as_ref().unwrap_or(&long.host);
        Self::new(&long.host, container, long.permissions.as_deref().unwrap_or("rwm"))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.host, self.container, self.permissions)
    }
}

notation!(
    Device, "Device",
    "A device of the host in Docker's notation, `host[:container][:rwm]`, or written out.",
    also DeviceForm
);

/// A rule of the devices cgroup: `c 1:3 mr`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceRule(String);

impl Notation for DeviceRule {
    type Long = NoLongForm;
    const EXPECTED: &'static str = "a rule like \"c 1:3 mr\"";

    fn parse(text: &str) -> Result<Self, String> {
        // The engine's own rule: type, major:minor, permissions.
        let number =
            |text: &str| text == "*" || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
        let fits = match text.split(' ').collect::<Vec<_>>()[..] {
            [kind, numbers, permissions] => {
                matches!(kind, "a" | "b" | "c")
                    && numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
                    && (1..=3).contains(&permissions.len())
                    && permissions.chars().all(|c| "rwm".contains(c))
            }
            _ => false,
        };
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not a rule for devices (like c 1:3 mr)", text.escape_debug()))
        }
    }

    fn from_long(long: NoLongForm) -> Result<Self, String> {
        match long {}
    }
}

impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

notation!(
    DeviceRule,
    "DeviceRule",
    "A rule of the devices cgroup: type, major:minor and permissions, like `c 1:3 mr`."
);

/// A limit for one device: its path and a number. Shown as `/dev/sda:1Mi`.
macro_rules! device_limit {
    ($type:ident, $form:ident, $value:ty, $key:ident, $name:literal, $doc:literal, $what:literal, $example:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type {
            /// The device's path on the host.
            pub path: String,
            #[doc = $what]
            pub $key: $value,
        }

        #[doc = "The long form of a limit for one device."]
        #[derive(Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(super) struct $form {
            /// The device's path on the host.
            path: String,
            #[doc = $what]
            $key: $value,
        }

        impl Notation for $type {
            type Long = $form;
            const EXPECTED: &'static str = concat!("a device and its limit like \"", $example, "\"");

            fn parse(text: &str) -> Result<Self, String> {
                let refused = || format!("`{}` is not a device and its limit (like {})", text.escape_debug(), $example);
                let (path, value) = text.split_once(':').ok_or_else(refused)?;
                let value = value.parse().map_err(|_| refused())?;
                Self::from_long($form { path: path.to_owned(), $key: value })
            }

            fn from_long(long: $form) -> Result<Self, String> {
                Ok(Self { path: device_path(&long.path)?, $key: long.$key })
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{}", self.path, self.$key)
            }
        }

        notation!($type, $name, $doc, also $form);
    };
}

device_limit!(
    DeviceWeight,
    DeviceWeightForm,
    u16,
    weight,
    "DeviceWeight",
    "A device's share of block I/O, `/dev/sda:200`, or written out.",
    "10 to 1000.",
    "/dev/sda:200"
);
device_limit!(
    DeviceRate,
    DeviceRateForm,
    ByteSize,
    rate,
    "DeviceRate",
    "The most bytes a second from or to a device, `/dev/sda:1mb`, or written out.",
    "Bytes a second.",
    "/dev/sda:1mb"
);
device_limit!(
    DeviceOps,
    DeviceOpsForm,
    u64,
    rate,
    "DeviceOps",
    "The most operations a second on a device, `/dev/sda:1000`, or written out.",
    "Operations a second.",
    "/dev/sda:1000"
);

/// Devices that a driver of the engine hands out, such as GPUs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceRequest {
    /// The driver; by default one that has the capabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// How many; -1 for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i32>,
    /// Which, instead of how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_ids: Vec<String>,
    /// What they have to be able to do; `[[gpu]]` by default where no driver is named. All of an inner list, any of the outer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Vec<String>>,
    /// The driver's options.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub options: TextMap,
}

impl DeviceRequest {
    /// The same with what it asks for where it names neither a driver nor capabilities: GPUs, as `docker run --gpus` does.
    #[must_use]
    pub fn completed(&self) -> Self {
        let mut request = self.clone();
        if request.driver.is_none() && request.capabilities.is_empty() {
            request.capabilities = vec![vec!["gpu".to_owned()]];
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_docker_reads_them() {
        for (text, shown) in [
            ("/dev/snd", "/dev/snd:/dev/snd:rwm"),
            ("/dev/sda:r", "/dev/sda:/dev/sda:r"),
            ("/dev/sda:/dev/xvdc", "/dev/sda:/dev/xvdc:rwm"),
            ("/dev/sda:/dev/xvdc:mr", "/dev/sda:/dev/xvdc:rm"),
        ] {
            assert_eq!(
                text.parse::<Device>().map(|device| device.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
        for bad in ["", "snd", "/dev/a:x", "/dev/a:/dev/b:", "/a:/b:r:w"] {
            assert!(bad.parse::<Device>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn limits_of_devices_read_back_what_they_show() {
        assert_eq!(
            "/dev/sda:1mb".parse::<DeviceRate>().map(|rate| rate.to_string()),
            Ok("/dev/sda:1Mi".to_owned())
        );
        assert_eq!("/dev/sda:200".parse::<DeviceWeight>().map(|weight| weight.weight), Ok(200));
        assert_eq!(
            "/dev/sda:fast".parse::<DeviceOps>(),
            Err("`/dev/sda:fast` is not a device and its limit (like /dev/sda:1000)".to_owned())
        );
        assert!("c 1:3 mr".parse::<DeviceRule>().is_ok());
        assert!("x 1:3 mr".parse::<DeviceRule>().is_err());
    }
}
