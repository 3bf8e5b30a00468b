use std::fs;
use std::path::Path;

use super::*;
use crate::desired::ImageOrigin;
use crate::source::attachment::AttachmentReader;
use crate::source::directory;

/// What manifests in a directory ask for, and what is wrong with them, without the directory's own path.
fn desired(dir: &Path, manifests: &str) -> (Desired, Vec<String>) {
    fs::write(dir.join("all.yaml"), manifests).unwrap();
    let manifests = Manifests::parse(&directory::read(dir).unwrap());
    let attachments = AttachmentReader::default().read(attachments(&manifests));
    let server = ExamServer::new(b"a server");
    let (desired, diagnostics) = build(&manifests, &attachments, &server);
    let here = dir.display().to_string();
    let told =
        manifests.diagnostics.iter().chain(&diagnostics).map(|one| one.to_string().replace(&here, "@"));
    (desired, told.collect())
}

fn image(name: &str, spec: &str) -> String {
    format!("apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n")
}

fn container(name: &str, spec: &str) -> String {
    format!("apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n")
}

fn invalid(desired: &Desired) -> String {
    desired.invalid.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A builder's instructions on `base`.
fn on(base: &str, tag: &str) -> String {
    format!("{{build: {{dockerfileInline: 'FROM {base}'}}, tags: ['{tag}']}}")
}

fn digest(desired: &Desired, name: &str) -> String {
    desired.images[&name.parse::<Name>().unwrap()].source.identity()
}

#[test]
fn law_3_a_container_whose_images_archive_cannot_be_read_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let manifests = image("client", "{load: {archive: client.tar}, tags: ['client:3']}")
        + &container("seat", "{image: 'client:3'}")
        + &container("other", "{image: 'other:1'}");
    let (desired, told) = desired(dir.path(), &manifests);
    assert_eq!(
        told,
        [
            "all.yaml:4:24: spec.load.archive: @/client.tar does not exist",
            "all.yaml:6:1: warning: container/seat is left as it is, as its image is, whose manifest or files cannot be read",
        ]
    );
    assert_eq!(invalid(&desired), "image/client container/seat");
    assert_eq!(desired.containers.len(), 1);
}

#[test]
fn what_is_built_on_a_described_image_is_another_when_that_is() {
    let dir = tempfile::tempdir().unwrap();
    let manifests = |base: &str| image("app", &on("base:1", "app:1")) + &image("base", &on(base, "base:1"));
    let (first, told) = desired(dir.path(), &manifests("debian:12"));
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(first.images[&"app".parse::<Name>().unwrap()].bases, ["base".parse().unwrap()].into());
    let (same, _) = desired(dir.path(), &manifests("debian:12"));
    assert_eq!(digest(&first, "app"), digest(&same, "app"));
    let (other, _) = desired(dir.path(), &manifests("debian:13"));
    assert_ne!(digest(&first, "app"), digest(&other, "app"));
}

#[test]
fn law_3_what_may_be_built_on_an_image_that_cannot_be_read_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let app = image("app", &on("base:1", "app:1"));
    let (desired_, told) =
        desired(dir.path(), &(app.clone() + &image("base", "{load: {archive: no}, tags: ['base:1']}")));
    assert_eq!(
        told,
        [
            "all.yaml:9:24: spec.load.archive: @/no does not exist",
            "all.yaml:1:1: warning: image/app is left as it is, as an image is that it is built on",
        ]
    );
    assert_eq!(invalid(&desired_), "image/app image/base");
    // Nobody knows whether the manifest that cannot be read describes the base.
    let uncertain = |desired: &Desired| desired.images[&"app".parse::<Name>().unwrap()].uncertain;
    let (desired_, _) = desired(dir.path(), &(app.clone() + "kind: {\n"));
    assert_eq!((invalid(&desired_).as_str(), uncertain(&desired_)), ("", true));
    let (desired_, _) = desired(dir.path(), &app);
    assert_eq!((invalid(&desired_).as_str(), uncertain(&desired_)), ("", false));
}

#[test]
fn two_images_are_not_kept_in_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let kept = |base: &str, tag: &str| on(base, tag).replace("tags:", "archive: ./x.tar, tags:");
    let manifests = image("aa", &kept("debian:12", "aa:1")) + &image("bb", &kept("debian:13", "bb:1"));
    let (desired, told) = desired(dir.path(), &manifests);
    assert_eq!(told, ["all.yaml:9:62: spec.archive: image/aa is kept in @/x.tar already"]);
    assert_eq!(invalid(&desired), "image/bb");
}

#[test]
fn images_that_are_built_on_each_other_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let manifests = image("aa", &on("bb:1", "aa:1"))
        + &image("bb", &on("aa:1", "bb:1"))
        + &image("cc", &on("aa:1", "cc:1"));
    let (desired, told) = desired(dir.path(), &manifests);
    assert_eq!(told.len(), 3);
    assert_eq!(told[0], "all.yaml:4:8: spec.build: the images that it is built on lead in a circle");
    assert_eq!(invalid(&desired), "image/aa image/bb image/cc");
}

/// A problem set on a base.
fn paper(name: &str, base: &str) -> String {
    format!(
        "apiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {{name: {name}}}\nspec:\n  title: T\n  runtime: {{base: '{base}'}}\n  \
         items: [{{id: '1', type: short_answer, prompt: Q}}]\n---\n"
    )
}

#[test]
fn a_paper_on_a_described_image_is_another_when_that_is() {
    let dir = tempfile::tempdir().unwrap();
    let manifests = |base: &str| paper("exam", "base:1") + &image("base", &on(base, "base:1"));
    let (first, told) = desired(dir.path(), &manifests("debian:12"));
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(first.images[&"exam".parse::<Name>().unwrap()].bases, ["base".parse().unwrap()].into());
    assert_eq!(digest(&first, "exam"), digest(&desired(dir.path(), &manifests("debian:12")).0, "exam"));
    assert_ne!(digest(&first, "exam"), digest(&desired(dir.path(), &manifests("debian:13")).0, "exam"));
    // What a Dockerfile starts from may be a paper on a base.
    let (second, told) =
        desired(dir.path(), &(manifests("debian:12") + &image("app", &on("exam:latest", "app:1"))));
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(second.images[&"app".parse::<Name>().unwrap()].bases, ["exam".parse().unwrap()].into());
}

#[test]
fn papers_on_images_that_lead_in_a_circle_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let manifests = paper("exam", "app:1") + &image("app", &on("exam:latest", "app:1"));
    let (desired, told) = desired(dir.path(), &manifests);
    assert_eq!(
        told,
        [
            "all.yaml:12:8: spec.build: the images that it is built on lead in a circle",
            "all.yaml:6:19: spec.runtime.base: the images that it is built on lead in a circle",
        ]
    );
    assert_eq!(invalid(&desired), "image/app image/exam");
}

#[test]
fn law_3_a_paper_on_an_image_that_cannot_be_read_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let exam = paper("exam", "base:1") + &container("seat", "{problemSet: exam}");
    let (read, told) =
        desired(dir.path(), &(exam.clone() + &image("base", "{load: {archive: no}, tags: ['base:1']}")));
    assert_eq!(
        told,
        [
            "all.yaml:17:24: spec.load.archive: @/no does not exist",
            "all.yaml:1:1: warning: image/exam is left as it is, as an image is that it is built on",
            "all.yaml:9:1: warning: container/seat is left as it is, as its image is, whose manifest or files cannot be read",
        ]
    );
    assert_eq!(invalid(&read), "image/base image/exam container/seat");
    // A manifest that is wrong by itself is told where it is named.
    let (read, told) = desired(dir.path(), &(exam + &image("base", "{tags: ['base:1']}")));
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(
        told[0],
        "all.yaml:6:19: warning: spec.runtime.base: image/exam is left as it is, because image/base is"
    );
    assert_eq!(invalid(&read), "image/base image/exam container/seat");
}

#[test]
fn a_lock_says_which_image_a_paper_is_put_on() {
    let dir = tempfile::tempdir().unwrap();
    let digest = format!("sha256:{}", "3f".repeat(32));
    let lock = format!("formatVersion: 1\nimages:\n  \"base:1\": \"{digest}\"\n");
    fs::write(dir.path().join("invigil.lock"), lock).unwrap();
    let base = |manifests: &str| {
        let (desired, told) = desired(dir.path(), manifests);
        assert!(told.is_empty(), "{told:?}");
        let ImageOrigin::OnBase(image) = &desired.images[&"exam".parse::<Name>().unwrap()].source else {
            panic!("{desired:?}")
        };
        image.base.to_string()
    };
    assert_eq!(base(&paper("exam", "base:1")), format!("base@{digest}"));
    let pulled = image("base", "{pull: {reference: 'base:1'}, tags: ['mine:1']}");
    assert_eq!(base(&(paper("exam", "mine:1") + &pulled)), format!("base@{digest}"));
    let built = paper("exam", "base:1") + &image("base", &on("debian:12", "base:1"));
    assert_eq!(base(&built), "base:1");
    // What a lock is to say something of.
    let tags = || pulled_tags(&Manifests::parse(&directory::read(dir.path()).unwrap()));
    assert!(tags().is_empty());
    base(&paper("exam", "base:1"));
    assert_eq!(tags(), ["base:1".parse().unwrap()].into());
}

#[test]
fn a_container_on_an_image_of_ones_own_gets_no_restriction_that_its_manifest_does_not_name() {
    let dir = tempfile::tempdir().unwrap();
    let (desired, _) = desired(
        dir.path(),
        &(paper("exam", "base:1") + &container("seat", "{problemSet: exam, readOnly: true}")),
    );
    let spec = &desired.containers.values().next().unwrap().spec;
    assert_eq!((spec.read_only, &spec.cap_drop, spec.no_new_privileges), (Some(true), &None, None));
}
