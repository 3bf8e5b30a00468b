//! Every field of a network, likewise. Subnets are of a range that nobody else here takes, written `NET`.

use futures_util::{StreamExt, stream};
use invigil::resource::network::NetworkSpec;
use serde_json::Value;

use super::rows::{Row, row};
use crate::support::{Host, docker, is_left_out};

const ROWS: &[Row] = &[
    row(
        "internal",
        "internal: true",
        "{{.Internal}}",
        "true",
        "internal: false",
        "internal   true -> false",
        "false",
    ),
    row(
        "attachable",
        "attachable: true",
        "{{.Attachable}}",
        "true",
        "attachable: false",
        "attachable   true -> false",
        "false",
    ),
    row(
        "ipv6",
        "ipv6: true, subnets: [{subnet: 'fd99:NET6::/64'}]",
        "{{.EnableIPv6}}",
        "true",
        "ipv6: false",
        "ipv6                    true -> false\n  subnets.fd99:NET6::/64   fd99:NET6::/64 -> (none)",
        "false",
    ),
    row(
        "options",
        "options: {com.docker.network.driver.mtu: '1400'}",
        "{{json .Options}}",
        r#"{"com.docker.network.driver.mtu":"1400"}"#,
        "options: {com.docker.network.driver.mtu: '1300'}",
        "options.com.docker.network.driver.mtu   1400 -> 1300",
        r#"{"com.docker.network.driver.mtu":"1300"}"#,
    ),
    row(
        "subnets.subnet",
        "subnets: [{subnet: NET.16/28}]",
        "{{(index .IPAM.Config 0).Subnet}}",
        "NET.16/28",
        "subnets: [{subnet: NET.32/28}]",
        "subnets.NET.16/28   NET.16/28 -> (none)\n  subnets.NET.32/28   (none) -> NET.32/28",
        "NET.32/28",
    ),
    row(
        "subnets.gateway",
        "subnets: [{subnet: NET.48/28, gateway: NET.50}]",
        "{{(index .IPAM.Config 0).Gateway}}",
        "NET.50",
        "subnets: [{subnet: NET.48/28, gateway: NET.51}]",
        "subnets.NET.48/28.gateway   NET.50 -> NET.51",
        "NET.51",
    ),
    row(
        "subnets.ipRange",
        "subnets: [{subnet: NET.64/26, ipRange: NET.80/28}]",
        "{{(index .IPAM.Config 0).IPRange}}",
        "NET.80/28",
        "subnets: [{subnet: NET.64/26, ipRange: NET.96/28}]",
        "subnets.NET.64/26.ipRange   NET.80/28 -> NET.96/28",
        "NET.96/28",
    ),
    row(
        "subnets.auxAddresses",
        "subnets: [{subnet: NET.128/28, auxAddresses: {router: NET.130}}]",
        "{{(index .IPAM.Config 0).AuxiliaryAddresses}}",
        "map[router:NET.130]",
        "subnets: [{subnet: NET.128/28, auxAddresses: {router: NET.131}}]",
        "subnets.NET.128/28.auxAddresses.router   NET.130 -> NET.131",
        "map[router:NET.131]",
    ),
    row(
        "ipam.options",
        "ipam: {options: {pool: a}}",
        "{{.IPAM.Options}}",
        "map[pool:a]",
        "ipam: {options: {pool: b}}",
        "ipam.options.pool   a -> b",
        "map[pool:b]",
    ),
    row(
        "labels",
        "labels: {room: '101'}",
        "{{.Labels.room}}",
        "101",
        "labels: {room: '102'}",
        "labels.room   101 -> 102",
        "102",
    ),
];

/// Fields of which this machine has no second value that works: that they reach the engine is seen by its refusal, in
/// `lifecycle` and below.
const REFUSED: [&str; 2] = ["driver", "ipam.driver"];

/// The range of this run, with both ends of one length, so that what a plan aligns is the same in every run.
fn here(text: &str) -> String {
    let run = 100 + std::process::id() % 100;
    text.replace("NET6", &run.to_string()).replace("NET", &format!("10.99.{run}"))
}

fn write(host: &Host, spec: &str) {
    let spec = here(spec);
    host.write(
        "net.yaml",
        &format!("apiVersion: invigil/v1\nkind: Network\nmetadata: {{name: '@net'}}\nspec: {{{spec}}}\n"),
    );
}

async fn walk(row: &'static Row) {
    let host = Host::new("netfield").await;
    let seen = || docker(&["network", "inspect", "--format", row.format, &host.name("net")]);
    write(&host, row.set);
    host.apply().await;
    assert_eq!(seen(), here(row.seen), "{}: set", row.name);
    write(&host, row.change);
    let plan = format!("network/@net  replace\n  {}\n\nPlan: 1 to replace; 0 unchanged.\n", row.plan);
    assert_eq!(host.apply().await, here(&plan), "{}: changed", row.name);
    assert_eq!(seen(), here(row.seen_then), "{}: after the change", row.name);
    write(&host, "");
    host.apply().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_network_is_set_seen_changed_and_taken_away() {
    if is_left_out("every_field_of_a_network_is_set_seen_changed_and_taken_away") {
        return;
    }
    let walks = stream::iter(ROWS).map(|row| async move { (row.name, tokio::spawn(walk(row)).await) });
    let ended: Vec<_> = walks.buffer_unordered(4).collect().await;
    let failed: Vec<&str> = ended.iter().filter(|(_, end)| end.is_err()).map(|(name, _)| *name).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_of_addresses_that_no_engine_has_is_told() {
    if is_left_out("a_driver_of_addresses_that_no_engine_has_is_told") {
        return;
    }
    let host = Host::new("ipam").await;
    write(&host, "ipam: {driver: nosuch}");
    let (outcomes, _) = host.try_apply().await;
    let why = outcomes.failed.values().next().expect("it is refused");
    assert!(why.contains("nosuch"), "{why}");
}

#[test]
fn every_field_of_a_network_has_a_row() {
    let schema = Value::from(schemars::schema_for!(NetworkSpec));
    let keys = |properties: &Value, before: &str| -> Vec<String> {
        let properties = properties.as_object().expect("fields");
        properties.keys().map(|key| format!("{before}{key}")).collect()
    };
    let mut fields = keys(&schema["properties"], "");
    for (parent, part) in [("subnets", "Subnet"), ("ipam", "Ipam")] {
        fields.retain(|field| field != parent);
        fields.extend(keys(&schema["$defs"][part]["properties"], &format!("{parent}.")));
    }
    assert!(fields.len() > 10, "{fields:?}");
    for field in fields {
        let tried = ROWS.iter().any(|row| row.name == field) || REFUSED.contains(&&*field);
        assert!(tried, "{field} has no row here");
    }
}
