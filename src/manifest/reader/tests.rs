use std::collections::BTreeMap;

use serde::Deserialize;

use super::read;
use crate::manifest::parse;
use crate::resource::violation::FieldPath;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    image: String,
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    state: Option<State>,
    #[serde(default)]
    read_only: bool,
    cpus: Option<f64>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Port {
    container: u16,
    host: Option<i32>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Running,
    Stopped,
    After { seconds: u8 },
}

fn spec(text: &str) -> Result<Spec, Vec<String>> {
    let mut documents = parse::read(text);
    read(&mut documents[0].root, &FieldPath::root().key("spec")).whole().map_err(|faults| {
        let shown = faults.iter().map(|fault| {
            let hint = fault.hint.as_ref().map(|hint| format!(" [{hint}]")).unwrap_or_default();
            format!("{} {}: {}{hint}", fault.position, fault.path, fault.message)
        });
        shown.collect()
    })
}

fn refused(text: &str) -> Vec<String> {
    spec(text).expect_err("a fault")
}

#[test]
fn every_form_of_value_is_read() {
    let text = "image: nginx\nports: [{container: 80, host: -1}]\nenv: {A: \"1.10\", B: yes, 3: \"null\"}\nreadOnly: true\n\
                cpus: 1\nstate: {after: {seconds: 3}}\n";
    let env =
        [("3", "null"), ("A", "1.10"), ("B", "yes")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(
        spec(text),
        Ok(Spec {
            image: "nginx".to_owned(),
            ports: vec![Port { container: 80, host: Some(-1) }],
            env: env.into(),
            state: Some(State::After { seconds: 3 }),
            read_only: true,
            cpus: Some(1.0),
        })
    );
    assert_eq!(
        spec("image: 0x1F\nstate: stopped\ncpus:\n").map(|spec| (spec.image, spec.state)),
        Ok(("0x1F".to_owned(), Some(State::Stopped)))
    );
}

#[test]
fn nothing_is_not_a_text() {
    for nothing in ["", " ~", " null"] {
        assert_eq!(
            refused(&format!("image:{nothing}\n"))[0].split_once(' ').map(|(_, rest)| rest),
            Some("spec.image: expected a text, found nothing [write a value, or leave the field out]")
        );
    }
}

#[test]
fn a_number_is_not_a_text_unless_it_is_quoted() {
    assert_eq!(
        refused("image: 1.10\n"),
        ["1:8 spec.image: expected a text, found a number [put it in quotes]"]
    );
    assert_eq!(spec("image: '1.10'\n").map(|spec| spec.image), Ok("1.10".to_owned()));
}

#[test]
fn all_faults_are_told_at_once_and_no_consequence_of_one() {
    assert_eq!(
        refused(
            "imagee: x\nports: [{container: 70000}, {hots: 1, container: x}, 5, {}]\nreadOnly: yes\nenv: [a]\nstate: runing\n"
        ),
        [
            "1:1 spec.imagee: unknown field `imagee` [did you mean `image`?]",
            "2:21 spec.ports[0].container: 70000 is out of range (0-65535)",
            "2:30 spec.ports[1].hots: unknown field `hots` [did you mean `host`?]",
            "2:50 spec.ports[1].container: expected a whole number, found a text",
            "2:54 spec.ports[2]: expected a mapping, found a number",
            "2:57 spec.ports[3]: the field `container` is missing",
            "3:11 spec.readOnly: expected true or false, found a text",
            "4:1 spec.env: expected a mapping, found a list",
            "5:8 spec.state: unknown value `runing` (expected one of running, stopped, after) [did you mean `running`?]",
            "1:1 spec: the field `image` is missing",
        ]
    );
}

#[test]
fn options_with_values_are_checked_too() {
    assert_eq!(
        refused("image: x\nstate: {after: {seconds: 999}}\n"),
        ["2:26 spec.state.after.seconds: 999 is out of range (0-255)"]
    );
    assert_eq!(
        refused("image: x\nstate: [running]\n"),
        ["2:1 spec.state: expected one of running, stopped, after, found a list"]
    );
    assert_eq!(refused("image: x\nstate: {running: 1}\n"), ["2:18 spec.state.running: this takes no value"]);
}

#[test]
fn law_12_a_misplaced_text_is_not_repeated() {
    for text in
        ["image: x\nports: hunter2\n", "image: x\nreadOnly: hunter2\n", "image: [hunter2]\n", "hunter2\n"]
    {
        let faults = refused(text).join("\n");
        assert!(!faults.contains("hunter2"), "{faults}");
    }
}

#[test]
fn a_struct_is_not_written_as_a_list() {
    assert_eq!(refused("[nginx, []]\n"), ["1:1 spec: expected a mapping, found a list"]);
}
