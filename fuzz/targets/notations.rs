//! Every notation of a manifest's fields, short and long: what is read shows as a text that reads back as
//! the same value.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use invigil::observed::EngineId;
use invigil::resource::bind::Bind;
use invigil::resource::container::Capability;
use invigil::resource::device::{Device, DeviceOps, DeviceRate, DeviceRule, DeviceWeight};
use invigil::resource::duration::Duration;
use invigil::resource::env::{TextMap, looks_secret, parse_env_file, without_password};
use invigil::resource::exposed::ExposedPorts;
use invigil::resource::link::{ExtraHost, Link, MacAddress, VolumesFrom};
use invigil::resource::mount::{ContainerPath, Mode, Mount};
use invigil::resource::name::{Name, Owner, ResourceId};
use invigil::resource::namespace::{IpcMode, PidMode};
use invigil::resource::network::{NetworkAttachment, NetworkMode};
use invigil::resource::platform::Platform;
use invigil::resource::port::{PortMapping, PortRange, Protocol};
use invigil::resource::printable::printable;
use invigil::resource::quantity::{ByteSize, CpuSet, Cpus, MemorySwap};
use invigil::resource::reference::{ImageId, ImageReference};
use invigil::resource::restart::RestartPolicy;
use invigil::resource::security::SecurityOption;
use invigil::resource::tmpfs::Tmpfs;
use invigil::resource::ulimit::Ulimit;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads the input as each notation, and as each long form.
///
/// # Panics
/// If a value does not read back from what it shows.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.trim_start().starts_with(['{', '[', '"', '-', '0', '1']) {
        long_forms(text);
    }
    short_forms(text);
    assert!(!printable(text).contains(char::is_control));
    let _ = (parse_env_file(text), looks_secret(text), without_password(text));
}

fn short_forms(text: &str) {
    short::<ByteSize>(text);
    short::<Cpus>(text);
    short::<MemorySwap>(text);
    short::<CpuSet>(text);
    short::<Duration>(text);
    short::<PortMapping>(text);
    short::<PortRange>(text);
    short::<ExposedPorts>(text);
    short::<Bind>(text);
    short::<Mount>(text);
    short::<Tmpfs>(text);
    short::<Mode>(text);
    short::<ContainerPath>(text);
    short::<Device>(text);
    short::<DeviceRule>(text);
    short::<DeviceWeight>(text);
    short::<DeviceRate>(text);
    short::<DeviceOps>(text);
    short::<ExtraHost>(text);
    short::<Link>(text);
    short::<VolumesFrom>(text);
    short::<MacAddress>(text);
    short::<Ulimit>(text);
    short::<RestartPolicy>(text);
    short::<NetworkMode>(text);
    short::<IpcMode>(text);
    short::<PidMode>(text);
    short::<SecurityOption>(text);
    short::<Capability>(text);
    short::<Platform>(text);
    short::<ImageReference>(text);
    short::<Name>(text);
    short::<ResourceId>(text);
    short::<Owner>(text);
    let _ = (text.parse::<ImageId>(), text.parse::<EngineId>(), text.parse::<Protocol>());
}

fn long_forms(text: &str) {
    long::<ByteSize>(text);
    long::<Cpus>(text);
    long::<MemorySwap>(text);
    long::<CpuSet>(text);
    long::<PortMapping>(text);
    long::<ExposedPorts>(text);
    // A bind's long form says more than the short one can.
    let _ = serde_json::from_str::<Bind>(text).map(|bind| short::<Bind>(&bind.to_string()));
    long::<Mount>(text);
    long::<Device>(text);
    long::<DeviceWeight>(text);
    long::<DeviceRate>(text);
    long::<DeviceOps>(text);
    long::<ExtraHost>(text);
    long::<Link>(text);
    long::<VolumesFrom>(text);
    long::<Ulimit>(text);
    long::<RestartPolicy>(text);
    long::<SecurityOption>(text);
    written::<NetworkAttachment>(text);
    written::<TextMap>(text);
}

fn short<T: FromStr<Err = String> + Display + Debug + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string().parse(), Ok(value), "{text:?}"),
        // It is shown to people (law 13).
        Err(sentence) => assert!(!sentence.contains(char::is_control), "{text:?}: {sentence:?}"),
    }
}

fn long<T: DeserializeOwned + FromStr<Err = String> + Display + Debug + PartialEq>(text: &str) {
    if let Ok(value) = serde_json::from_str::<T>(text) {
        assert_eq!(value.to_string().parse(), Ok(value), "{text:?}");
    }
}

fn written<T: DeserializeOwned + Serialize + Debug + PartialEq>(text: &str) {
    if let Ok(value) = serde_json::from_str::<T>(text) {
        let written = serde_json::to_string(&value).expect("it can be written");
        assert_eq!(serde_json::from_str::<T>(&written).expect("it reads back"), value, "{text:?}");
    }
}
