//! The labels and tags that say whose a resource is and what was once asked. They never answer
//! "does it match".

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::container::ContainerSpec;
use super::digest::sha256_hex;
use super::env::{TextMap, looks_secret};
use super::name::{Name, Owner};
use super::reference::{ImageId, ImageReference};
use super::violation::{FieldPath, Violation};
use super::words::without_secret_words;

/// Whose a resource is.
pub const OWNER: &str = "io.invigil.owner";
/// Which resource it is: `container/web`.
pub const RESOURCE: &str = "io.invigil.resource";
/// On containers, networks and volumes: the canonical JSON of the spec it was created from.
pub const SPEC: &str = "io.invigil.spec";
/// On containers: what no other container has, so that one which is made from an image that was committed from a
/// container of ours does not say the same as its image.
pub const MADE: &str = "io.invigil.made";
/// On imported images and problem sets: the digest of what they were made from.
pub const SOURCE: &str = "io.invigil.source";
/// What every label of ours begins with; manifests may not set such labels.
pub const PREFIX: &str = "io.invigil.";

/// The repository of the tags that mark an image as ours: the owner label's name as a host that
/// nobody can pull from or push to.
///
/// An image cannot bear our labels: a pulled one is not ours to change, and a problem set's image
/// must have the same id on every machine. The tag's own part is the image's short id, so each
/// generation of an image stays marked until it is removed, whatever happens in between.
const MARK_HOST: &str = "io.invigil.owner";

/// What our labels on something say, all together, in a digest; `None` if no Invigil's owner label is there.
///
/// An image that somebody committed from a container of ours hands its labels down. What says the same as its image
/// has it from there; what Invigil makes from such an image has labels of its own.
pub fn identity(labels: &Value) -> Option<String> {
    labels[OWNER].as_str()?;
    let ours: Vec<&Value> = [OWNER, RESOURCE, SPEC, MADE].iter().map(|key| &labels[key]).collect();
    Some(sha256_hex(serde_json::json!(ours).to_string().as_bytes()))
}

/// Where the marks of images are that were pulled for containers, under an owner: one part more than any resource's.
const PULLED: &str = "pulled/for-containers";
/// What the names begin with by which plans call such images. An image's own name is in lower case.
const PULLED_NAME: &str = "Pulled-";

/// What marks an image as `owner`'s, and which of the references to it Invigil set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Whose it is.
    pub owner: Owner,
    /// What it is there for.
    pub purpose: Purpose,
    /// The references that were set for it: with the mark, they go when it goes.
    pub set: BTreeSet<ImageReference>,
    /// What it was made on, where the manifests name it and do not describe it.
    pub base: Option<ImageReference>,
}

/// What a marked image is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// It is the resource `image/NAME`.
    Resource(Name),
    /// No manifest describes it; it was pulled because a container names it.
    Containers,
}

impl Purpose {
    /// What stands for it in a mark: the resource's name, or what no resource can be called.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Resource(name) => name.as_str(),
            Self::Containers => PULLED,
        }
    }
}

/// How many references one tag can name: a tag has at most 128 characters, 12 of which are the image's.
const NAMED_IN_A_TAG: usize = 12;
/// The same beside what the image was made on.
const NAMED_BESIDE_A_BASE: usize = 11;
/// What stands before the digest of what an image was made on. With it, nothing reads like a reference that was set.
const ON: &str = "on-";

impl Mark {
    /// The tags that say so of the image `id`: one as long as not more than a dozen references are named. After the
    /// image's short id stands a dot and a short digest for each reference, which has characters that no tag may; the
    /// first of them, after `on-`, is that of what it was made on.
    pub fn tags(&self, id: &ImageId) -> Vec<ImageReference> {
        let set: BTreeSet<String> = self.set.iter().map(named).collect();
        let set: Vec<String> = set.into_iter().collect();
        let base = self.base.as_ref().map(|base| format!("{ON}{}", named(base)));
        let name = self.purpose.as_str();
        let tag = |named: &[String]| {
            let own = [id.short()].into_iter().chain(base.as_deref());
            let parts: Vec<&str> = own.chain(named.iter().map(String::as_str)).collect();
            ImageReference::tagged(MARK_HOST, &format!("{}/{name}", self.owner), &parts.join("."))
        };
        let most = if base.is_some() { NAMED_BESIDE_A_BASE } else { NAMED_IN_A_TAG };
        if set.is_empty() { vec![tag(&[])] } else { set.chunks(most).map(tag).collect() }
    }
}

/// A mark of the same resource that no other has: of two that make an image at once, each makes it under its own, so
/// that neither leaves the other's without one. `nonce` is what only this one says, in characters of a tag.
pub fn attempt(mark: &ImageReference, nonce: &str) -> ImageReference {
    ImageReference::tagged(mark.domain(), mark.path(), nonce)
}

/// How a mark names a reference.
fn named(reference: &ImageReference) -> String {
    let mut digest = sha256_hex(reference.to_string().as_bytes());
    digest.truncate(8);
    digest
}

/// Whether a tag is a mark that names `reference`: it was set for the resource that the mark names.
pub fn is_set_by(mark: &ImageReference, reference: &ImageReference) -> bool {
    let mut names = mark.tag().filter(|_| is_mark(mark)).into_iter().flat_map(|tag| tag.split('.').skip(1));
    let reference = named(reference);
    names.any(|name| name == reference)
}

/// Whether a tag is a mark that says that its image was made on what `base` stood for.
pub fn is_on(mark: &ImageReference, base: &ImageReference) -> bool {
    let mut parts = mark.tag().filter(|_| is_mark(mark)).into_iter().flat_map(|tag| tag.split('.').skip(1));
    let base = named(base);
    parts.any(|part| part.strip_prefix(ON) == Some(base.as_str()))
}

/// The resource that a tag marks, if it is a mark of `owner`'s. An image that was pulled for containers has no
/// manifest's name, but one that says by which reference it was.
pub fn marked_image(owner: &Owner, tag: &ImageReference) -> Option<Name> {
    if tag.domain() != MARK_HOST {
        return None;
    }
    let (marked_owner, name) = tag.path().split_once('/')?;
    if marked_owner != owner.as_str() {
        return None;
    }
    if name == PULLED {
        return format!("{PULLED_NAME}{}", tag.tag()?.split('.').nth(1)?).parse().ok();
    }
    name.parse().ok()
}

/// Whether this is the name of an image that was pulled for containers.
pub fn is_pulled_for_containers(name: &Name) -> bool {
    name.as_str().starts_with(PULLED_NAME)
}

/// Whose mark a tag is, if it is one.
pub fn mark_owner(tag: &ImageReference) -> Option<&str> {
    if tag.domain() != MARK_HOST {
        return None;
    }
    tag.path().split_once('/').map(|(owner, _)| owner)
}

/// Whether a tag is a mark of any Invigil's.
pub fn is_mark(tag: &ImageReference) -> bool {
    tag.domain() == MARK_HOST
}

/// The version of the text in [`SPEC`]. A text of another version is not read: the container then counts
/// as one of which nothing is known but what it is.
const SPEC_VERSION: u32 = 1;

/// The text of the [`SPEC`] label: the canonical JSON of a spec, with the version of its form.
pub fn spec_text(spec: &impl Serialize) -> String {
    serde_json::json!({"version": SPEC_VERSION, "spec": spec}).to_string()
}

/// The same of a container, with the digests of the files that are put into it, by path, and without their
/// content, the values of its variables, or what looks secret in its program's words: labels are listed and passed on far
/// more widely than those are. That a field was set is all that comparing needs.
pub fn container_spec_text(spec: &ContainerSpec, files: &BTreeMap<String, String>) -> String {
    let mut spec = spec.clone();
    for file in &mut spec.files {
        (file.content, file.source) = (None, None);
    }
    for value in spec.env.0.values_mut() {
        value.clear();
    }
    for words in [&mut spec.entrypoint, &mut spec.command].into_iter().flatten() {
        *words = without_secret_words(words);
    }
    if let Some(test) = spec.healthcheck.as_mut().and_then(|check| check.test.as_mut()) {
        *test = test.without_secrets();
    }
    if let Some(logging) = &mut spec.logging {
        for (_, value) in logging.options.0.iter_mut().filter(|(key, _)| looks_secret(key)) {
            value.clear();
        }
    }
    serde_json::json!({"version": SPEC_VERSION, "spec": spec, "files": files}).to_string()
}

/// The spec that something was created from; `None` if the text is not one of ours.
pub fn spec_from<T: DeserializeOwned>(text: &str) -> Option<T> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    if value["version"] != SPEC_VERSION {
        return None;
    }
    serde_json::from_value(value["spec"].take()).ok()
}

/// The digests of the files that were put into a container at its creation, by path.
pub fn files_from(text: &str) -> BTreeMap<String, String> {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    serde_json::from_value(value["files"].clone()).unwrap_or_default()
}

/// Every rule that a manifest's own labels break.
pub fn check(path: &FieldPath, labels: &TextMap) -> Vec<Violation> {
    let reserved = labels.0.keys().filter(|key| key.starts_with(PREFIX));
    let empty = labels.0.keys().filter(|key| key.is_empty());
    reserved
        .map(|key| Violation::error(path.key(key), "labels that begin with io.invigil. are Invigil's own"))
        .chain(empty.map(|key| Violation::error(path.key(key), "a label needs a name")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_12_a_label_holds_no_variables_value_no_files_content_and_no_secret_argument() {
        let spec: ContainerSpec = serde_json::from_str(
            r#"{"image": "a1", "entrypoint": ["run", "--key=canary-4"], "command": ["--token", "canary-5"],
                "healthcheck": {"test": "check --password canary-6"}, "env": {"DB": "canary-1"}, "files": [{"path": "/a", "content": "canary-3"}], "logging": {"options": {"splunk-token": "canary-2", "max-size": "1m"}}}"#,
        )
        .expect("a spec");
        let digests = [("/a".to_owned(), "12ab".to_owned())].into();
        let text = container_spec_text(&spec, &digests);
        assert_eq!(files_from(&text), digests);
        assert!(!text.contains("canary"), "{text}");
        let read: ContainerSpec = spec_from(&text).expect("a spec");
        assert!(read.env.0.contains_key("DB") && text.contains("1m"));
        assert_eq!(read.command.unwrap(), ["--token", "(hidden)"]);
    }

    #[test]
    fn a_mark_reads_back_for_its_owner_only() {
        let owner: Owner = "default".parse().expect("an owner");
        let other: Owner = "other".parse().expect("an owner");
        let name: Name = "img-test".parse().expect("a name");
        let id: ImageId =
            format!("sha256:{}", "3f2a91c0d7be".repeat(6)[..64].to_owned()).parse().expect("an id");
        let purpose = Purpose::Resource(name.clone());
        let mark = Mark { owner: owner.clone(), purpose, set: BTreeSet::new(), base: None };
        let tags = mark.tags(&id);
        assert_eq!(tags[0].to_string(), "io.invigil.owner/default/img-test:3f2a91c0d7be");
        assert_eq!(marked_image(&owner, &tags[0]), Some(name));
        assert_eq!(marked_image(&other, &tags[0]), None);
    }

    #[test]
    fn the_mark_of_an_image_that_was_pulled_for_containers_is_no_resources() {
        let owner: Owner = "default".parse().expect("an owner");
        let set = ["nginx:1.14".parse().expect("a reference")].into();
        let mark = Mark { owner: owner.clone(), purpose: Purpose::Containers, set, base: None };
        let tags = mark.tags(&ImageId::of(b"an image"));
        let short = ImageId::of(b"an image").short().to_owned();
        assert_eq!(
            tags[0].to_string(),
            format!("io.invigil.owner/default/pulled/for-containers:{short}.4ba26950")
        );
        assert!(tags[0].to_string().parse() == Ok(tags[0].clone()) && is_mark(&tags[0]));
        let name = marked_image(&owner, &tags[0]).expect("a name");
        assert_eq!(name.as_str(), "Pulled-4ba26950");
        assert!(is_pulled_for_containers(&name) && !name.is_repository_component());
        let by_hand = "io.invigil.owner/default/pulled/for-containers:latest".parse().expect("a tag");
        assert_eq!(marked_image(&owner, &by_hand), None);
    }

    #[test]
    fn a_mark_says_what_its_image_was_made_on() {
        let reference = |text: &str| text.parse::<ImageReference>().expect("a reference");
        let set: BTreeSet<ImageReference> =
            (0..30).map(|number| reference(&format!("midterm:{number}"))).collect();
        let mark = Mark {
            owner: "default".parse().expect("an owner"),
            purpose: Purpose::Resource("midterm".parse().expect("a name")),
            set: set.clone(),
            base: Some(reference("server:1")),
        };
        let tags = mark.tags(&ImageId::of(b"an image"));
        assert!(tags.iter().all(|tag| tag.to_string().parse() == Ok(tag.clone())), "{tags:?}");
        assert!(tags.iter().all(|tag| is_on(tag, &reference("server:1"))));
        assert!(set.iter().all(|one| tags.iter().any(|tag| is_set_by(tag, one))));
        assert!(!tags.iter().any(|tag| is_on(tag, &reference("midterm:1"))));
        assert!(!tags.iter().any(|tag| is_set_by(tag, &reference("server:1"))));
    }

    #[test]
    fn a_mark_says_which_tags_were_set() {
        let set: BTreeSet<ImageReference> = (0..30)
            .map(|number| format!("registry:5000/team/img-test:{number}").parse().expect("a tag"))
            .collect();
        let mark = Mark {
            owner: "default".parse().expect("an owner"),
            purpose: Purpose::Resource("img-test".parse().expect("a name")),
            set: set.clone(),
            base: None,
        };
        let tags = mark.tags(&ImageId::of(b"an image"));
        assert_eq!(tags.len(), 3);
        assert!(tags.iter().all(|tag| tag.to_string().parse() == Ok(tag.clone())), "{tags:?}");
        let is_set = |reference: &ImageReference| tags.iter().any(|tag| is_set_by(tag, reference));
        assert!(set.iter().all(is_set));
        assert!(!is_set(&"registry:5000/team/img-test:30".parse().expect("a tag")));
        assert!(!is_set_by(
            &"img-test:a.ff7d0ca2".parse().expect("a tag"),
            &"midterm".parse().expect("a tag")
        ));
        assert!(is_set_by(
            &"io.invigil.owner/a1/b2:0.ff7d0ca2".parse().expect("a tag"),
            &"midterm".parse().expect("a tag")
        ));
    }
}
