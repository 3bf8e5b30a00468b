use std::path::PathBuf;

use proptest::prelude::*;

use super::{Manifests, Spec};
use crate::source::{Content, Extent, ManifestFile, Refusal, RootIdentity, Snapshot};

fn snapshot(files: &[(&str, &str)]) -> Snapshot {
    let file = |(path, text): &(&str, &str)| ManifestFile {
        path: PathBuf::from(path),
        base_dir: PathBuf::from("/srv"),
        content: Content::Text((*text).to_owned()),
    };
    let identity = RootIdentity { device: 1, inode: 2 };
    Snapshot::new(PathBuf::from("/srv"), identity, Extent::Directory, files.iter().map(file).collect())
}

/// Files that stand where their paths say.
fn placed(files: &[(&str, &str)]) -> Manifests {
    let file = |(path, text): &(&str, &str)| ManifestFile {
        path: PathBuf::from(path),
        base_dir: PathBuf::from("/srv").join(path).parent().expect("a directory").to_owned(),
        content: Content::Text((*text).to_owned()),
    };
    let identity = RootIdentity { device: 1, inode: 2 };
    let files = files.iter().map(file).collect();
    Manifests::parse(&Snapshot::new(PathBuf::from("/srv"), identity, Extent::Directory, files))
}

fn built(name: &str, context: &str) -> String {
    format!(
        "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: {name}}}\nspec: {{build: {{context: {context}}}, tags: ['{name}:1']}}\n"
    )
}

#[test]
fn what_is_in_a_build_context_is_the_builders_and_no_manifest() {
    let (app, web) = (built("app", "./app"), container("web", ""));
    let compose = "services: {a: {}\n";
    let manifests = placed(&[
        ("image.yaml", &app),
        ("app/compose.yaml", compose),
        ("app/x/y.yml", "a: 1"),
        ("web.yaml", &web),
    ]);
    assert_eq!(told(&manifests), Vec::<String>::new());
    assert_eq!(ids(&manifests), ["image/app", "container/web"]);
    assert!(manifests.is_complete());
}

#[test]
fn law_3_a_manifest_in_a_build_context_is_an_error_and_its_resource_is_left() {
    let (app, web) = (built("app", "../app/./"), container("web", ""));
    let manifests = placed(&[("images/image.yaml", &app), ("app/web.yaml", &web)]);
    assert_eq!(
        told(&manifests),
        [
            "app/web.yaml:1:1: this manifest is in the build context of image/app, where none is read\n  hint: move it out of \
          there, or give the context a directory of its own"
        ]
    );
    assert_eq!((invalid(&manifests), manifests.is_complete()), (vec!["container/web".to_owned()], false));
}

#[test]
fn law_3_what_may_be_a_manifest_in_a_build_context_is_not_passed_over() {
    let app = built("app", "./app");
    for written in ["apiversion: invigil/v1", "apiVersion:\n  invigil/v1", "# no version"] {
        let web = container("web", "").replace("apiVersion: invigil/v1", written);
        let manifests = placed(&[("image.yaml", &app), ("app/web.yaml", &web)]);
        let told = told(&manifests).join("\n");
        assert!(told.contains("this manifest is in the build context of image/app"), "{written}: {told}");
        assert_eq!((invalid(&manifests), manifests.is_complete()), (vec!["container/web".to_owned()], false));
    }
    // Another tool's document is the builder's.
    let chart = container("web", "").replace("invigil/v1", "apps/v1");
    assert!(placed(&[("image.yaml", &app), ("app/web.yaml", &chart)]).is_complete());

    let refusal = Refusal { line: 1, column: 1, message: "this file is not UTF-8", hint: None };
    let file = |path: &str, content| ManifestFile {
        path: PathBuf::from(path),
        base_dir: PathBuf::from("/srv").join(path).parent().expect("a directory").to_owned(),
        content,
    };
    let files = vec![file("image.yaml", Content::Text(app)), file("app/web.yaml", Content::Refused(refusal))];
    let identity = RootIdentity { device: 1, inode: 2 };
    let manifests =
        Manifests::parse(&Snapshot::new(PathBuf::from("/srv"), identity, Extent::Directory, files));
    assert!(manifests.opaque && !manifests.is_complete());
    assert_eq!(
        told(&manifests),
        [
            "app/web.yaml:1:1: this file is not UTF-8\n  hint: it is in the build context of image/app: if it is no manifest, \
             give the context a directory of its own"
        ]
    );
}

#[test]
fn the_context_of_an_image_that_is_wrong_elsewhere_is_still_the_builders() {
    let app = built("app", "./app").replace("tags:", "tagz:");
    let manifests = placed(&[("image.yaml", &app), ("app/compose.yaml", "services: {a: {}\n")]);
    let told = told(&manifests);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("did you mean `tags`?"), "{told:?}");
}

#[test]
fn where_an_image_is_its_own_contexts_manifest_the_others_beside_it_are_read_too() {
    let (app, web) = (built("app", "."), container("web", ""));
    let manifests = placed(&[("app/image.yaml", &app), ("app/web.yaml", &web), ("app/compose.yaml", "a: 1")]);
    assert_eq!(ids(&manifests), ["image/app", "container/web"]);
    let told = told(&manifests).join("\n");
    assert!(
        told.contains(
            "hint: it is in the build context of image/app: if it is no manifest, give the context a directory of its own"
        ),
        "{told}"
    );
    assert!(!manifests.is_complete());
}

fn parse(files: &[(&str, &str)]) -> Manifests {
    Manifests::parse(&snapshot(files))
}

fn container(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: {name}}}\nspec: {{image: nginx, {spec}}}\n---\n"
    )
}

fn ids(manifests: &Manifests) -> Vec<String> {
    manifests.resources.iter().map(|manifest| manifest.id.to_string()).collect()
}

fn invalid(manifests: &Manifests) -> Vec<String> {
    manifests.invalid.iter().map(ToString::to_string).collect()
}

fn told(manifests: &Manifests) -> Vec<String> {
    manifests.diagnostics.iter().map(ToString::to_string).collect()
}

const EXAM: &str = r#"
apiVersion: invigil/v1
kind: ProblemSet
metadata: {name: img-test}
spec:
  title: 期中考试
  items:
    - id: "8"
      label: 第8题
      type: single_choice
      prompt: 1+1=？
      choices: [{id: A, text: "1"}, {id: B, text: "2"}]
      key: {choices: [B]}
      points: 5
---
apiVersion: invigil/v1
kind: Container
metadata: {name: seat-01, adopt: true}
spec:
  problemSet: img-test
  env: {CLOUD_PORT: "4000"}
  ports: ["18081:8080", {container: 8081, host: 18082, hostIp: 127.0.0.1, protocol: tcp}]
  networks: [exam]
  binds: [responses:/exam/responses]
---
apiVersion: invigil/v1
kind: Network
metadata: {name: exam}
spec: {internal: false, options: {com.docker.network.bridge.enable_icc: "false"}}
---
apiVersion: invigil/v1
kind: Volume
metadata: {name: responses}
"#;

#[test]
fn every_kind_is_read_in_the_order_of_its_resource() {
    let manifests = parse(&[("exam.yaml", EXAM)]);
    assert_eq!(told(&manifests), Vec::<String>::new());
    assert_eq!(ids(&manifests), ["image/img-test", "network/exam", "volume/responses", "container/seat-01"]);
    assert!(manifests.is_complete());
    let seat = &manifests.resources[3];
    assert!(seat.adopt && matches!(&seat.spec, Spec::Container(spec) if spec.ports.len() == 2));
    assert_eq!(seat.origin.to_string(), "exam.yaml:16:1");
}

#[test]
fn a_problem_set_converted_from_the_old_service_is_read() {
    let manifests = parse(&[("buildimage.yaml", include_str!("../../tests/data/buildimage.yaml"))]);
    assert_eq!(told(&manifests), Vec::<String>::new());
    assert_eq!(ids(&manifests), ["image/img-test"]);
}

#[test]
fn law_3_an_invalid_manifest_leaves_its_resource_and_lets_the_others_go_on() {
    let bad = container("bad", "portz: []");
    let manifests = parse(&[("a.yaml", &bad), ("b.yaml", &container("good", ""))]);
    assert_eq!(ids(&manifests), ["container/good"]);
    assert_eq!(invalid(&manifests), ["container/bad"]);
    assert!(!manifests.opaque && !manifests.is_complete());
}

#[test]
fn law_3_a_document_whose_resource_is_unknown_is_opaque() {
    for text in [
        "just a text\n",
        "kind: Container\nmetadata: {name: web}\nspec: {image: [\n---\nkind: Exm\nmetadata: {name: x1}\n",
        "kind: Container\nmetadata: {}\n",
        "kind: Container\nmetadata: {name: ../etc}\n",
        "kind: Container\nmetadata: {name: aa}\nmetadata: {name: bb}\n",
        "kind: Container\nmetadata: {name: aa, name: bb}\n",
        "[",
    ] {
        assert!(parse(&[("a.yaml", text)]).opaque, "{text}");
    }
    let broken = parse(&[("a.yaml", "kind: Container\nmetadata: {name: web}\nspec: {image: [\n")]);
    assert_eq!((invalid(&broken), broken.opaque), (vec!["container/web".to_owned()], false));
}

#[test]
fn law_3_a_file_that_cannot_be_a_manifest_is_opaque() {
    let refusal = Refusal { line: 1, column: 1, message: "the file is larger than 1 MiB", hint: None };
    let file = ManifestFile {
        path: PathBuf::from("big.yaml"),
        base_dir: PathBuf::from("/srv"),
        content: Content::Refused(refusal),
    };
    let manifests = Manifests::parse(&Snapshot::new(
        "/srv".into(),
        RootIdentity { device: 1, inode: 2 },
        Extent::Directory,
        vec![file],
    ));
    assert!(manifests.opaque);
    assert_eq!(told(&manifests), ["big.yaml:1:1: the file is larger than 1 MiB"]);
}

#[test]
fn law_12_no_diagnostic_shows_what_stands_in_a_key() {
    for key in [
        "{hunter2}",
        "{hunter2: 1, hunter2: 2}",
        "hunter2",
        "[hunter2]",
        "{choices: hunter2}",
        "{choices: [hunter2]}",
        "{bool: hunter2}",
    ] {
        let text = EXAM.replace("{choices: [B]}", key);
        let manifests = parse(&[("exam.yaml", &text)]);
        assert_eq!(
            invalid(&manifests),
            ["container/seat-01", "image/img-test"].map(str::to_owned).into_iter().rev().collect::<Vec<_>>(),
            "{key}"
        );
        assert!(!told(&manifests).join("\n").contains("hunter2"), "{:?}", told(&manifests));
        assert!(!format!("{manifests:?}").contains("hunter2"), "{key}");
    }
    assert!(!format!("{:?}", parse(&[("exam.yaml", EXAM)])).contains("Choices([\"B\"])"));
}

#[test]
fn what_depends_on_something_withheld_is_withheld_once() {
    let text = [
        container("db", "portz: []"),
        container("app", "dependsOn: [db, {container: db}]"),
        container("web", "networkMode: 'container:app'"),
        container("alone", ""),
    ]
    .concat();
    let manifests = parse(&[("a.yaml", &text)]);
    assert_eq!(ids(&manifests), ["container/alone"]);
    assert_eq!(
        told(&manifests)[1..],
        [
            "a.yaml:9:34: warning: spec.dependsOn[0]: container/app is left as it is, because container/db is",
            "a.yaml:14:35: warning: spec.networkMode: container/web is left as it is, because container/app is",
        ]
    );
}

#[test]
fn a_container_is_withheld_while_the_image_of_its_tag_is_invalid() {
    let image = "apiVersion: invigil/v1\nkind: Image\nmetadata: {name: base}\nspec: {tags: ['base:1'], lod: {}}\n---\n";
    let text =
        [image.to_owned(), container("web", "").replace("nginx", "base:1"), container("other", "")].concat();
    let manifests = parse(&[("a.yaml", &text)]);
    assert_eq!(ids(&manifests), ["container/other"]);
    assert_eq!(invalid(&manifests), ["image/base", "container/web"]);
}

#[test]
fn a_container_is_withheld_while_its_volume_is_invalid() {
    let volume = "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: data}\nspec: {drivr: nfs}\n---\n";
    for field in ["binds: ['data:/d']", "mounts: ['type=volume,source=data,target=/d']"] {
        let manifests = parse(&[("a.yaml", &[volume.to_owned(), container("web", field)].concat())]);
        assert_eq!(invalid(&manifests), ["volume/data", "container/web"], "{:?}", told(&manifests));
    }
}

#[test]
fn what_is_missing_may_stand_in_what_could_not_be_read() {
    let manifests = parse(&[
        ("a.yaml", &container("web", "networks: [exam]")),
        ("b.yaml", "kind: Network\nmetadata: [\n"),
    ]);
    assert_eq!(
        told(&manifests)[0],
        "a.yaml:4:33: spec.networks[0]: there is no Network `exam`\n  hint: it may stand in what could not be read"
    );
}

#[test]
fn line_ends_of_another_system_change_no_text() {
    let text = EXAM.replace("1+1=？", "|\n        1+1\n        =？\n");
    let same = |text: &str| match &parse(&[("exam.yaml", text)]).resources[0].spec {
        Spec::ProblemSet(set) => set.paper.items[0].prompt.text.clone(),
        _ => String::new(),
    };
    assert_eq!(same(&text), "1+1\n=？\n");
    assert_eq!(same(&text.replace('\n', "\r\n")), "1+1\n=？\n");
}

#[test]
fn only_containers_that_are_to_run_compete_for_ports() {
    let running = container("aa", "ports: ['80:80']");
    let stopped = container("bb", "ports: ['80:80'], state: stopped");
    let udp = container("cc", "ports: ['80:80/udp']");
    assert!(parse(&[("a.yaml", &[running.clone(), stopped, udp].concat())]).is_complete());
    let range = container("dd", "ports: ['127.0.0.1:70-90:70-90']");
    let manifests = parse(&[("a.yaml", &[running, range].concat())]);
    assert_eq!(invalid(&manifests), ["container/aa", "container/dd"]);
    assert_eq!(
        told(&manifests),
        [
            "a.yaml:9:30: spec.ports[0]: port 80 of the host is already published by container/aa (a.yaml:3:18)"
        ]
    );
}

#[test]
fn long_chains_and_long_circles_of_dependencies_are_no_trouble() {
    let chain: String =
        (0..5000).map(|n| container(&format!("c{n}"), &format!("dependsOn: [c{}]", n + 1))).collect();
    let ended = parse(&[("a.yaml", &[chain.clone(), container("c5000", "")].concat())]);
    assert!(ended.is_complete());
    let closed = parse(&[("a.yaml", &[chain, container("c5000", "dependsOn: [c0]")].concat())]);
    assert_eq!((closed.resources.len(), closed.diagnostics.len()), (0, 1));
    assert!(told(&closed)[0].contains("-> 4989 more -> container/c"), "{:?}", told(&closed));
}

#[test]
fn moving_manifests_between_files_changes_nothing_but_their_places() {
    let (aa, bb) = (container("aa", "dependsOn: [bb]"), container("bb", "ports: ['80:80']"));
    let together = parse(&[("x.yaml", &[bb.clone(), aa.clone()].concat())]);
    let apart = parse(&[("z/y.yaml", &aa), ("a.yaml", &bb)]);
    assert_eq!(ids(&together), ids(&apart));
}

#[test]
fn a_file_of_1_mib_is_read_in_seconds() {
    let mebibyte = 1 << 20;
    for piece in [
        "[", "{", "- ", "? ", "a: ", "\"", "'", "|\n", "&a ", "*a ", "!a ", "---\n", "- a\n", "a: b\n", "%",
        "\u{1b}", "第", "#\n", "]", "[]\n", "\t", "\r", ": ", "{a: 1}\n", "...\n",
    ] {
        let begin = std::time::Instant::now();
        let manifests = parse(&[("a.yaml", &piece.repeat(mebibyte / piece.len()))]);
        assert!(begin.elapsed().as_secs() < 20, "{piece:?} took {:?}", begin.elapsed());
        assert!(manifests.resources.is_empty());
    }
}

/// A quarter of the largest file, so that the test takes seconds.
const SIZE: usize = 1 << 18;

/// One piece as often as it fits, each with its number.
fn numbered(size: usize, piece: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for piece in (0..).map(piece) {
        if text.len() + piece.len() > size {
            break;
        }
        text += &piece;
    }
    text
}

fn filled(piece: &str) -> String {
    numbered(SIZE, |_| piece.to_owned())
}

#[test]
fn a_hostile_file_is_read_in_seconds_and_in_little_memory() {
    let long = "k".repeat(SIZE / 2);
    let many = |piece: &dyn Fn(usize) -> String| numbered(SIZE, piece);
    let chain = |n: usize| {
        let others = if n == 999 { many(&|k| format!("c{}, ", k % 1000)) } else { format!("c{}", n + 1) };
        container(&format!("c{n}"), &format!("dependsOn: [{others}]"))
    };
    let item = "id: a, type: single_choice, prompt: p, choices: ";
    let exam = |items: &str| {
        format!(
            "apiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {{name: exam}}\nspec: {{title: t, items: [{items}]}}\n"
        )
    };
    for (what, text) in [
        ("published ranges", container("aa", &format!("ports: [{}]", filled("'1-65535:1-65535', ")))),
        ("ranges without the host's", container("aa", &format!("ports: [{}]", filled("1-65535, ")))),
        (
            "ranges, startFirst",
            container("aa", &format!("update: {{order: startFirst}}, ports: [{}]", filled("1-65535, "))),
        ),
        (
            "one port on many addresses",
            container(
                "aa",
                &format!(
                    "ports: [{}]",
                    many(&|n| format!("'10.{}.{}.{}:80:80', ", n >> 16, n >> 8 & 255, n & 255))
                ),
            ),
        ),
        ("exposed ranges", container("aa", &format!("expose: [{}]", filled("1-65535, ")))),
        ("a long name of a field", container("aa", &format!("? {long} : 1"))),
        ("a long kind", format!("apiVersion: invigil/v1\nkind: {long}\nmetadata: {{name: aa}}\n")),
        ("a long word", container("aa", &format!("state: {long}"))),
        (
            "repeated keys under a long one",
            container("aa", &format!("? {long} : {{{}}}", numbered(SIZE / 2, |_| "a, ".to_owned()))),
        ),
        ("aliases", container("aa", &format!("dns: [{}]", filled("*a, ").replacen("*a", "&a x", 1)))),
        (
            "aliases that are missed",
            container(
                "aa",
                &format!("dependsOn: [{}]", filled("{container: *a}, ").replacen("*a", "&a x", 1)),
            ),
        ),
        ("texts of the wrong type", container("aa", &format!("dns: [{}]", filled("[], ")))),
        ("bad variables", container("aa", &format!("env: {{{}}}", many(&|n| format!("'{n} ': '', "))))),
        (
            "labels of ours",
            container("aa", &format!("labels: {{{}}}", many(&|n| format!("io.invigil.{n}: '', ")))),
        ),
        ("one target", container("aa", &format!("binds: [{}]", filled("'/a:/b', ")))),
        ("missing networks", container("aa", &format!("networks: [{}]", many(&|n| format!("n{n}, "))))),
        ("missing containers", container("aa", &format!("dependsOn: [{}]", many(&|n| format!("n{n}, "))))),
        ("a circle with many chords", (0..1000).map(chain).collect()),
        ("one resource again and again", filled(&container("aa", ""))),
        (
            "tags",
            format!(
                "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: aa}}\nspec: {{pull: {{reference: aa}}, tags: [{}]}}\n",
                many(&|n| format!("t{n}, "))
            ),
        ),
        (
            "subnets",
            format!(
                "apiVersion: invigil/v1\nkind: Network\nmetadata: {{name: aa}}\nspec: {{subnets: [{}]}}\n",
                filled("{subnet: x}, ")
            ),
        ),
        ("items", exam(&filled(&format!("{{{item}[]}}, ")))),
        (
            "choices",
            exam(&format!(
                "{{{item}[{}], key: {{choices: [{}]}}}}",
                numbered(SIZE / 2, |n| format!("{{id: i{n}, text: a}}, ")),
                numbered(SIZE / 2, |n| format!("i{n}, "))
            )),
        ),
        (
            "keys that name no choice",
            exam(&format!(
                "{{{item}[{}], key: {{choices: [{}]}}}}",
                numbered(SIZE / 2, |n| format!("{{id: i{n}, text: a}}, ")),
                numbered(SIZE / 2, |n| format!("x{n}, "))
            )),
        ),
        (
            "blanks",
            exam(&format!("{{id: a, type: fill_in_blank, prompt: p, key: {{blanks: [{}]}}}}", filled("a, "))),
        ),
    ] {
        let begin = std::time::Instant::now();
        let manifests = parse(&[("a.yaml", &text)]);
        let size: usize = told(&manifests).iter().map(String::len).sum();
        assert!(begin.elapsed().as_secs() < 10, "{what} took {:?}", begin.elapsed());
        assert!(size < 16 * SIZE, "{what}: {size} bytes are told");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        parse(&[("a.yaml", &String::from_utf8_lossy(&bytes))]);
    }

    #[test]
    fn no_damage_to_a_manifest_makes_the_reader_panic_or_says_that_all_is_well_without_reading_all(
        at in 0..EXAM.chars().count(),
        with in prop::sample::select(vec!["", "[", "]", "{", "}", ":", "- ", "\"", "'", "\n", "\t", "---\n", "&a", "*a", "!", "#", "|", "~", "\u{0}", "\u{85}", "\u{feff}"]),
        cut in 0_usize..40,
    ) {
        let text: String = EXAM.chars().take(at).chain(with.chars()).chain(EXAM.chars().skip(at + cut)).collect();
        let manifests = parse(&[("a.yaml", &text)]);
        prop_assert!(!manifests.is_complete() || !manifests.has_errors());
        for diagnostic in &manifests.diagnostics {
            prop_assert!(diagnostic.position.line <= text.lines().count() + 1);
        }
    }

    #[test]
    fn the_order_of_files_does_not_matter(order in Just(vec![0, 1, 2, 3, 4]).prop_shuffle()) {
        let texts = [
            container("aa", "ports: ['80:80']"), container("bb", "ports: ['80:80']"), container("cc", "dependsOn: [aa]"),
            container("aa", ""), container("dd", "dependsOn: [dd]"),
        ];
        let names = ["0.yaml", "1.yaml", "2.yaml", "3.yaml", "4.yaml"];
        let files = |order: &[usize]| -> Vec<String> {
            let files: Vec<(&str, &str)> = order.iter().map(|index| (names[*index], texts[*index].as_str())).collect();
            told(&parse(&files))
        };
        prop_assert_eq!(files(&order), files(&[0, 1, 2, 3, 4]));
    }
}
