use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::desired::{Desired, DesiredContainer};
use crate::diff::{Budget, diff};
use crate::engine::docker::answers;
use crate::fields;
use crate::plan::{Palette, Plan};
use crate::resource::container::ContainerSpec;
use crate::resource::name::Owner;

/// What Podman 4.3.1 said of a container that Invigil had made, without what says nothing.
fn told() -> Value {
    serde_json::from_str(include_str!("container.json")).unwrap()
}

/// The config of its image.
fn image_config() -> Value {
    json!({"Env": ["PATH=/bin"], "Cmd": ["sh"]})
}

fn asked(inspection: &Value) -> ContainerSpec {
    label::spec_from(inspection["Config"]["Labels"][label::SPEC].as_str().unwrap()).unwrap()
}

fn differences(inspection: &Value, spec: &ContainerSpec) -> Vec<String> {
    let live = fields::read_telling(inspection);
    let created = asked(inspection);
    let mut spec = spec.clone();
    // No label holds a variable's value.
    spec.env.0.values_mut().for_each(|value| *value = "1".to_owned());
    let image = fields::read_image(&image_config());
    let differences = fields::differences(&spec, Some(&created), &live, Some(&image), &BTreeSet::new());
    let told = differences.iter().flat_map(fields::Difference::told);
    told.map(|told| format!("{}: {:?} -> {:?}", told.field, told.from, told.to)).collect()
}

#[test]
fn law_9_what_podman_made_of_what_was_asked_for_is_no_difference() {
    let mut inspection = told();
    let spec = asked(&inspection);
    assert_ne!(differences(&inspection, &spec), Vec::<String>::new());
    container(&mut inspection, &image_config());
    assert_eq!(differences(&inspection, &spec), Vec::<String>::new());
}

#[test]
fn what_podman_tells_otherwise_than_it_was_asked_is_a_difference() {
    let mut inspection = told();
    let spec = asked(&inspection);
    inspection["HostConfig"]["Binds"][0] = json!("/etc/hostname:/h:rw,rprivate,rbind");
    inspection["HostConfig"]["CapAdd"] = json!(["NET_ADMIN", "SYS_ADMIN"]);
    inspection["HostConfig"]["PidsLimit"] = json!(9);
    inspection["HostConfig"]["Tmpfs"]["/run"] = json!("size=1k,rw,rprivate,nosuid,nodev,tmpcopyup");
    inspection["Config"]["StopSignal"] = json!("2");
    inspection["Config"]["Env"][3] = json!("A=2");
    inspection["NetworkSettings"]["Networks"]["fx-net"]["IPAddress"] = json!("10.213.91.10");
    container(&mut inspection, &image_config());
    let fields: Vec<String> = differences(&inspection, &spec)
        .iter()
        .map(|told| told.split(':').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        fields,
        ["env.A", "networks.fx-net", "binds", "tmpfs", "resources.pidsLimit", "capAdd", "stopSignal"]
    );
}

#[test]
fn a_container_that_somebody_else_made_is_read_too() {
    let mut inspection = told();
    inspection["Config"]["Labels"] = json!({});
    container(&mut inspection, &image_config());
    let host = &inspection["HostConfig"];
    assert_eq!(host["NetworkMode"], "fx-net");
    assert_eq!(host["Binds"], json!(["/etc/hostname:/h:ro", "/srv:/s:rslave", "fx-data:/data:ro"]));
    assert_eq!(host["Tmpfs"], json!({"/m": "size=1048576", "/run": "size=64k"}));
    let config = &inspection["Config"];
    assert_eq!((&config["Env"], &config["StopSignal"]), (&json!(["PATH=/bin", "A=1"]), &json!("SIGKILL")));
}

#[test]
fn a_network_is_what_was_asked_for() {
    let mut document: Value = serde_json::from_str(include_str!("network.json")).unwrap();
    let spec: NetworkSpec = label::spec_from(document["Labels"][label::SPEC].as_str().unwrap()).unwrap();
    network(&mut document);
    assert_eq!(fields::network_differences(&spec, Some(&spec), &fields::read_network(&document)), []);
}

#[test]
fn what_podman_loses_is_refused() {
    let refused = |spec: Value| {
        let spec: ContainerSpec = serde_json::from_value(spec).unwrap();
        refused_container(&fields::create_body(&spec))
    };
    assert_eq!(refused(json!({"image": "a1", "hostname": "seat"})), None);
    assert_eq!(
        refused(json!({"image": "a1", "domainname": "exam", "runtime": "runc", "links": ["db:db"]}))
            .as_deref(),
        Some("Podman has no domainname, no runtime, no links")
    );
    assert_eq!(refused_network(&json!({"Options": {"mtu": "1400"}})), None);
    let lost = json!({"Options": {"com.docker.network.bridge.enable_icc": "false"}});
    assert_eq!(
        refused_network(&lost).as_deref(),
        Some("Podman has no options.com.docker.network.bridge.enable_icc")
    );
}

#[test]
fn what_docker_does_where_nothing_is_said_is_asked_for() {
    let mounts = json!([
        {"Type": "bind", "Source": "/etc", "Target": "/e"},
        {"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 448}},
    ]);
    assert_eq!(
        completed(&json!({"HostConfig": {"Mounts": mounts}})),
        json!({
            "StopTimeout": 10,
            "HostConfig": {
                "Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/e"}],
                "Tmpfs": {"/m": "mode=700,size=1024"},
            },
        })
    );
    assert_eq!(completed(&json!({"StopTimeout": 0, "HostConfig": {}}))["StopTimeout"], 0);
}

#[test]
fn each_change_of_an_import_stands_by_itself() {
    let tag = "exam/app:1".parse().unwrap();
    let changes = ["LABEL a=b".to_owned(), "CMD sh".to_owned()];
    assert_eq!(
        import("-", &tag, &changes),
        "/images/create?fromSrc=-&repo=exam%2Fapp%3A1&changes=LABEL%20a%3Db&changes=CMD%20sh"
    );
}

#[test]
fn events_are_asked_for_and_told_by_their_names() {
    let asked = Filters::from([("event".to_owned(), ["die".to_owned(), "start".to_owned()].into())]);
    assert_eq!(json!(filters(&asked)), json!({"event": ["died", "start"]}));
    let mut told = json!({"Type": "container", "Action": "remove", "status": "remove"});
    happening(&mut told);
    assert_eq!((&told["Action"], &told["status"]), (&json!("destroy"), &json!("destroy")));
}

#[test]
fn of_a_period_that_is_over_what_came_later_is_left_out() {
    assert_eq!(end("1530866400.5"), ("", Some(1_530_866_400.5)));
    assert_eq!(end("99999999999"), ("99999999999", None));
    assert_eq!(end(""), ("", None));
    let event = json!({"timeNano": 1_530_866_400_500_000_000_u64});
    assert!(is_until(&event, None) && is_until(&event, Some(1_530_866_400.5)));
    assert!(!is_until(&event, Some(1_530_866_400.25)));
}

/// By its digest Podman removes an image with all of its tags.
#[test]
fn law_8_a_mark_is_known_by_its_tag_alone() {
    let digest = format!("sha256:{}", "0f".repeat(32));
    let mut document = json!({
        "RepoTags": ["docker.io/library/backup:1", "localhost/busybox:static"],
        "RepoDigests": [format!("io.invigil.owner/default/web@{digest}"), format!("localhost/busybox@{digest}")],
    });
    image(&mut document);
    assert_eq!(
        document,
        json!({"RepoTags": ["backup:1", "busybox:static"], "RepoDigests": [format!("busybox@{digest}")]})
    );
}

#[test]
fn answers_of_any_form_are_read() {
    let any =
        [json!(null), json!(1), json!("x"), json!([1]), json!({"Config": 1}), json!({"HostConfig": []})];
    let deep = json!({
        "Config": {"Labels": 1, "Env": [1], "Healthcheck": [], "StopSignal": "999"},
        "HostConfig": {"Binds": [1, "a"], "Tmpfs": [], "PortBindings": {"80/tcp": [1]}, "Ulimits": [1], "Devices": [1], "LogConfig": 1},
        "NetworkSettings": {"Networks": {"podman": 1}}, "Mounts": {"a": 1}, "State": 1,
    });
    for document in any.iter().chain([&deep]) {
        for form in [listed, image, happening, network] {
            form(&mut document.clone());
        }
        container(&mut document.clone(), document);
    }
}

/// An engine without a call that changes limits takes a new container.
#[test]
fn another_limit_takes_a_new_container_where_the_engine_cannot_change_it() {
    let mut inspection = told();
    container(&mut inspection, &image_config());
    let mut listed = inspection.clone();
    listed["Labels"] = inspection["Config"]["Labels"].clone();
    let id = inspection["Id"].as_str().unwrap();
    let owner: Owner = "fixture".parse().unwrap();
    let answers = json!({
        "containers": [listed],
        "inspections": {id: inspection},
        "images": [{"Id": inspection["Image"], "RepoTags": ["busybox:static"]}],
        "configs": {inspection["Image"].as_str().unwrap(): image_config()},
    });
    let mut spec = asked(&inspection);
    spec.env.0.insert("A".to_owned(), "1".to_owned());
    spec.resources.memory = Some("65Mi".parse().unwrap());
    let reference = spec.image.clone().unwrap();
    let wanted = DesiredContainer { spec, files: Vec::new(), image: None, reference, adopt: false };
    let desired = Desired {
        containers: BTreeMap::from([("fx-web".parse().unwrap(), Box::new(wanted))]),
        ..Desired::default()
    };
    let mut observed = answers::read(&answers, &owner).unwrap();
    let mut plan = |desired: &Desired, cannot_update: bool| {
        observed.cannot_update = cannot_update;
        let changes = diff(desired, &observed, &owner, Budget::default());
        Plan::new(changes, &owner, &BTreeMap::new()).to_text(&Palette::default())
    };
    let limit = "\n  resources.memory       64Mi -> 65Mi\n  resources.memorySwap   128Mi -> 130Mi\n";
    assert_eq!(
        plan(&desired, false).split_once("\n\n").unwrap().0,
        format!("container/fx-web  update in place{}", limit.trim_end())
    );
    assert_eq!(
        plan(&desired, true).split_once("\n\n").unwrap().0,
        format!("container/fx-web  replace{}", limit.trim_end())
    );
    // So does another address: it is not told.
    let mut desired = desired;
    for wanted in desired.containers.values_mut() {
        wanted.spec.resources = asked(&inspection).resources;
        wanted.spec.networks[0].ipv4_address = Some("10.213.91.10".parse().unwrap());
    }
    assert!(plan(&desired, false).starts_with("container/fx-web  update in place\n  networks.fx-net "));
    assert!(plan(&desired, true).starts_with("container/fx-web  replace\n  networks.fx-net "));
}
