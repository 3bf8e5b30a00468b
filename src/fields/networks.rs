//! Networks and the engine's documents about them. In: specs and plain JSON. Out: create bodies, specs,
//! differences. The one place that knows where the engine keeps what of a network.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Told;
use super::kept::{differences, own_labels, put_texts, text, texts};
use crate::resource::name::Name;
use crate::resource::network::{Ipam, NetworkSpec, Subnet, canonical_range};

/// The body that creates a network; `labels` are ours.
pub fn network_body(name: &Name, spec: &NetworkSpec, labels: &Value) -> Value {
    let mut body = json!({
        "Name": name.as_str(),
        // Docker 20.10 makes a second network of the same name if it is not asked to look.
        "CheckDuplicate": true,
        "Driver": spec.driver.as_deref().unwrap_or(DRIVER),
        "Options": spec.options,
        "Labels": spec.labels,
    });
    if let (Some(own), Some(ours)) = (body["Labels"].as_object_mut(), labels.as_object()) {
        own.extend(ours.clone());
    }
    for (key, flag) in
        [("Internal", spec.internal), ("Attachable", spec.attachable), ("EnableIPv6", spec.ipv6)]
    {
        if let Some(flag) = flag {
            body[key] = json!(flag);
        }
    }
    if !spec.subnets.is_empty() || spec.ipam != Ipam::default() {
        let subnets = spec.subnets.iter().map(|subnet| {
            let mut config = json!({"Subnet": subnet.subnet});
            if let Some(gateway) = subnet.gateway {
                config["Gateway"] = json!(gateway);
            }
            if let Some(range) = &subnet.ip_range {
                config["IPRange"] = json!(range);
            }
            if !subnet.aux_addresses.is_empty() {
                config["AuxiliaryAddresses"] = json!(subnet.aux_addresses);
            }
            config
        });
        body["IPAM"] = json!({
            "Driver": spec.ipam.driver.as_deref().unwrap_or(IPAM_DRIVER),
            "Options": spec.ipam.options,
            "Config": subnets.collect::<Value>(),
        });
    }
    body
}

/// What the engine takes where nothing is said.
const DRIVER: &str = "bridge";
const IPAM_DRIVER: &str = "default";

/// A network from the engine's list or an inspection.
pub fn read_network(document: &Value) -> NetworkSpec {
    let subnets = document["IPAM"]["Config"].as_array().into_iter().flatten();
    NetworkSpec {
        driver: text(&document["Driver"]),
        internal: document["Internal"].as_bool(),
        attachable: document["Attachable"].as_bool(),
        ipv6: document["EnableIPv6"].as_bool(),
        options: texts(&document["Options"]),
        subnets: subnets
            .map(|subnet| Subnet {
                subnet: text(&subnet["Subnet"]).map(|range| canonical_range(&range)).unwrap_or_default(),
                gateway: subnet["Gateway"].as_str().and_then(|gateway| gateway.parse().ok()),
                ip_range: text(&subnet["IPRange"]).map(|range| canonical_range(&range)),
                aux_addresses: address_map(&subnet["AuxiliaryAddresses"]),
            })
            .collect(),
        ipam: Ipam {
            driver: text(&document["IPAM"]["Driver"]),
            options: texts(&document["IPAM"]["Options"]),
        },
        labels: own_labels(&document["Labels"]),
    }
}

/// A network as a manifest would write it: without what the engine takes where nothing is said.
pub fn network_written(live: &NetworkSpec) -> NetworkSpec {
    let unless = |text: &Option<String>, default: &str| text.clone().filter(|text| text != default);
    NetworkSpec {
        driver: unless(&live.driver, DRIVER),
        internal: live.internal.filter(|on| *on),
        attachable: live.attachable.filter(|on| *on),
        ipv6: live.ipv6.filter(|on| *on),
        ipam: Ipam { driver: unless(&live.ipam.driver, IPAM_DRIVER), options: live.ipam.options.clone() },
        ..live.clone()
    }
}

fn address_map(value: &Value) -> BTreeMap<String, std::net::IpAddr> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(name, address)| Some((name.clone(), address.as_str()?.parse().ok()?))).collect()
}

/// What the manifest says, or said when the network was made, and the network is not.
pub fn network_differences(
    wanted: &NetworkSpec,
    created: Option<&NetworkSpec>,
    live: &NetworkSpec,
) -> Vec<Told> {
    let defaults = |field: &str| match field {
        "driver" => Some(DRIVER.to_owned()),
        "ipam.driver" => Some(IPAM_DRIVER.to_owned()),
        "internal" | "attachable" | "ipv6" => Some(false.to_string()),
        _ => None,
    };
    differences(&fields(wanted), created.map(fields).as_ref(), &fields(live), defaults)
}

fn fields(spec: &NetworkSpec) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut put =
        |field: &str, value: Option<String>| fields.extend(value.map(|value| (field.to_owned(), value)));
    put("driver", spec.driver.clone());
    put("ipam.driver", spec.ipam.driver.clone());
    for (field, flag) in [("internal", spec.internal), ("attachable", spec.attachable), ("ipv6", spec.ipv6)] {
        put(field, flag.map(|flag| flag.to_string()));
    }
    for subnet in &spec.subnets {
        let field = format!("subnets.{}", subnet.subnet);
        put(&field, Some(subnet.subnet.clone()));
        put(&format!("{field}.gateway"), subnet.gateway.map(|gateway| gateway.to_string()));
        put(&format!("{field}.ipRange"), subnet.ip_range.clone());
        for (name, address) in &subnet.aux_addresses {
            put(&format!("{field}.auxAddresses.{name}"), Some(address.to_string()));
        }
    }
    put_texts(&mut fields, "options", &spec.options);
    put_texts(&mut fields, "ipam.options", &spec.ipam.options);
    put_texts(&mut fields, "labels", &spec.labels);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> NetworkSpec {
        serde_json::from_value(value).expect("a spec")
    }

    fn all() -> NetworkSpec {
        spec(json!({
            "driver": "macvlan", "internal": true, "attachable": true, "ipv6": true, "options": {"parent": "eth0"},
            "subnets": [{
                "subnet": "172.30.0.0/16", "gateway": "172.30.0.1", "ipRange": "172.30.5.0/24",
                "auxAddresses": {"router": "172.30.0.2"},
            }],
            "ipam": {"driver": "other", "options": {"a": "b"}}, "labels": {"c": "d"},
        }))
    }

    #[test]
    fn every_field_written_is_read_back() {
        let spec = all();
        let name: Name = "exam".parse().expect("a name");
        let body = network_body(&name, &spec, &json!({"io.invigil.owner": "x"}));
        assert_eq!(body["Labels"], json!({"c": "d", "io.invigil.owner": "x"}));
        assert_eq!(read_network(&body), spec);
        assert_eq!(network_differences(&spec, Some(&spec), &read_network(&body)), []);
        assert_eq!(network_written(&spec), spec);
    }

    #[test]
    fn every_line_that_is_removed_is_seen() {
        let told: Vec<String> = network_differences(&NetworkSpec::default(), Some(&all()), &all())
            .into_iter()
            .map(|told| {
                format!(
                    "{}: {} -> {}",
                    told.field,
                    told.from.unwrap_or_default(),
                    told.to.unwrap_or_default()
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "attachable: true -> false",
                "driver: macvlan -> bridge",
                "internal: true -> false",
                "ipam.driver: other -> default",
                "ipam.options.a: b -> ",
                "ipv6: true -> false",
                "labels.c: d -> ",
                "options.parent: eth0 -> ",
                "subnets.172.30.0.0/16: 172.30.0.0/16 -> ",
                "subnets.172.30.0.0/16.auxAddresses.router: 172.30.0.2 -> ",
                "subnets.172.30.0.0/16.gateway: 172.30.0.1 -> ",
                "subnets.172.30.0.0/16.ipRange: 172.30.5.0/24 -> ",
            ]
        );
    }

    #[test]
    fn what_the_engine_chose_is_no_difference() {
        let live = spec(json!({
            "driver": "bridge", "internal": false, "attachable": false, "ipv6": false,
            "subnets": [{"subnet": "172.18.0.0/16", "gateway": "172.18.0.1"}], "ipam": {"driver": "default"},
        }));
        let plain = NetworkSpec::default();
        assert_eq!(network_written(&live), NetworkSpec { subnets: live.subnets.clone(), ..plain.clone() });
        assert_eq!(network_differences(&plain, Some(&plain), &live), []);
        assert_eq!(network_differences(&plain, None, &live), []);
        let with_subnet = spec(json!({"subnets": [{"subnet": "172.18.0.0/16"}]}));
        assert_eq!(network_differences(&with_subnet, Some(&with_subnet), &live), []);
    }
}
