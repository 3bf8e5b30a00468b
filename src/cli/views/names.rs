//! What is meant by a name on the command line. In: lists as the engine gives them, and names as people write them.
//! Out: the documents that are meant, or the nearest name.

use anyhow::Result;
use serde_json::Value;

use crate::cli::report::Unknown;
use crate::engine::{Filters, Found, Look, Question};
use crate::manifest::suggestion::did_you_mean;
use crate::resource::label;
use crate::resource::name::{Kind, Name, Owner, ResourceId};
use crate::resource::reference::ImageReference;

/// How many digits of an id are enough.
const ID_MIN: usize = 4;

pub(super) fn text<'a>(document: &'a Value, key: &str) -> &'a str {
    document[key].as_str().unwrap_or_default()
}

pub(super) fn texts<'a>(document: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    document[key].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Everything of a kind.
pub(super) async fn list(engine: &impl Look, kind: Kind) -> Result<Vec<Value>> {
    let question = Question::List { kind, all: false, size: false, filters: Filters::new() };
    Ok(documents(engine.look(&question).await?))
}

/// The documents in an answer to a list. That of volumes is in an object.
pub(super) fn documents(mut answer: Value) -> Vec<Value> {
    let list = if answer.is_object() { answer["Volumes"].take() } else { answer };
    match list {
        Value::Array(documents) => documents,
        _ => Vec::new(),
    }
}

/// What a listed thing is called: a container without the slash and without the names that links give it, an
/// image by its first name.
pub(super) fn name_of(kind: Kind, document: &Value) -> &str {
    match kind {
        Kind::Container => {
            let names = texts(document, "Names").map(|name| name.trim_start_matches('/'));
            names.into_iter().find(|name| !name.contains('/')).unwrap_or_default()
        }
        Kind::Image => references(document).next().unwrap_or_else(|| text(document, "Id")),
        Kind::Network | Kind::Volume => text(document, "Name"),
    }
}

/// Whether a tag or digest of an image is a name for people: neither `<none>` nor the mark of any Invigil.
pub(super) fn is_name(name: &str) -> bool {
    let is_mark = |reference: ImageReference| label::is_mark(&reference);
    !name.starts_with("<none>") && !name.parse().is_ok_and(is_mark)
}

/// The names of an image: its tags without the marks of any Invigil, else its digests.
pub(super) fn references(image: &Value) -> impl Iterator<Item = &str> {
    let mut tags = texts(image, "RepoTags").filter(|name| is_name(name)).peekable();
    let digests = tags.peek().is_none().then(|| texts(image, "RepoDigests").filter(|name| is_name(name)));
    tags.chain(digests.into_iter().flatten())
}

/// Which resource of an owner's a listed thing is. An image has a mark, the others a label.
pub(super) fn resource(kind: Kind, document: &Value, owner: &Owner) -> Option<Name> {
    if kind == Kind::Image {
        let marked =
            texts(document, "RepoTags").filter_map(|tag| label::marked_image(owner, &tag.parse().ok()?));
        // Where it is a manifest's too, that is what it is called.
        return marked.min_by_key(label::is_pulled_for_containers);
    }
    let labels = &document["Labels"];
    let id: ResourceId = text(labels, label::RESOURCE).parse().ok()?;
    (text(labels, label::OWNER) == owner.as_str() && id.kind == kind).then_some(id.name)
}

/// The one that is meant by a name: by its own name, by that of its resource, or by the beginning of its id.
/// `container/web` is `web`.
///
/// # Errors
/// If nothing bears the name, or several do.
pub(super) fn choose<'a>(
    kind: Kind,
    listed: &'a [Value],
    wanted: &str,
    owner: &Owner,
) -> Result<&'a Value, Unknown> {
    let name = wanted.strip_prefix(kind.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(wanted);
    let bears = |document: &&Value| match kind {
        Kind::Image => {
            let wanted = name.parse::<ImageReference>().ok();
            let tags = texts(document, "RepoTags").chain(texts(document, "RepoDigests"));
            wanted.is_some_and(|wanted| {
                tags.into_iter().any(|tag| tag.parse().is_ok_and(|tag: ImageReference| tag == wanted))
            })
        }
        _ => name_of(kind, document) == name,
    };
    let is_resource =
        |document: &&Value| resource(kind, document, owner).is_some_and(|resource| resource.as_str() == name);
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let begins = |document: &&Value| {
        let id = text(document, "Id");
        digits.len() >= ID_MIN && id.strip_prefix("sha256:").unwrap_or(id).starts_with(digits)
    };
    let mut found: Vec<&Value> = listed.iter().filter(bears).collect();
    if found.is_empty() {
        found = listed.iter().filter(is_resource).collect();
        // An image that is replaced keeps its mark until it is removed.
        if kind == Kind::Image {
            found = found.into_iter().max_by_key(|image| image["Created"].as_i64()).into_iter().collect();
        }
    }
    if found.is_empty() {
        found = listed.iter().filter(begins).collect();
    }
    match found[..] {
        [one] => Ok(one),
        [] => {
            let names: Vec<&str> = match kind {
                Kind::Image => listed.iter().flat_map(references).collect(),
                _ => listed.iter().map(|document| name_of(kind, document)).collect(),
            };
            // A name without a tag means `latest`, and another one may be there.
            let tagged =
                names.iter().find(|other| other.rsplit_once(':').is_some_and(|(own, _)| own == name));
            let hint =
                tagged.filter(|_| kind == Kind::Image).map(|tagged| format!("did you mean `{tagged}`?"));
            let hint = hint.or_else(|| did_you_mean(name, names.iter().copied()));
            Err(Unknown { message: format!("there is no {kind} `{name}`"), hint })
        }
        _ => Err(Unknown {
            message: format!("`{name}` is the name or the beginning of the id of several {kind}s"),
            hint: Some("write more of the id".to_owned()),
        }),
    }
}

/// The containers that are meant by names.
///
/// # Errors
/// As [`choose`]'s.
pub(super) async fn containers(engine: &impl Look, names: &[String], owner: &Owner) -> Result<Vec<Found>> {
    let listed = list(engine, Kind::Container).await?;
    names.iter().map(|name| found(choose(Kind::Container, &listed, name, owner)?)).collect()
}

/// A listed container.
pub(super) fn found(document: &Value) -> Result<Found> {
    let id = text(document, "Id").parse().map_err(anyhow::Error::msg)?;
    Ok(Found { id, name: name_of(Kind::Container, document).to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn owner() -> Owner {
        "default".parse().expect("an owner")
    }

    #[test]
    fn a_container_is_found_by_its_name_its_resource_and_its_id() {
        let ours = json!({"io.invigil.owner": "default", "io.invigil.resource": "container/web"});
        let listed = [
            json!({"Id": "aabb11", "Names": ["/other/alias", "/seat-01"]}),
            json!({"Id": "aabb22", "Names": ["/web-old"], "Labels": ours}),
        ];
        let name = |wanted: &str| {
            choose(Kind::Container, &listed, wanted, &owner())
                .map(|one| name_of(Kind::Container, one).to_owned())
        };
        for (wanted, found) in [
            ("seat-01", "seat-01"),
            ("container/seat-01", "seat-01"),
            ("web", "web-old"),
            ("container/web", "web-old"),
            ("aabb1", "seat-01"),
        ] {
            assert_eq!(name(wanted).expect("a container"), found);
        }
        let told = |wanted: &str| {
            let unknown = name(wanted).expect_err("no container");
            (unknown.message, unknown.hint.unwrap_or_default())
        };
        assert_eq!(
            told("sat-01"),
            ("there is no container `sat-01`".into(), "did you mean `seat-01`?".into())
        );
        assert_eq!(told("aabb").1, "write more of the id");
        assert_eq!(told("alias").1, "");
    }

    #[test]
    fn an_image_is_found_by_each_of_its_names() {
        let mark = "io.invigil.owner/default/exam:3f2a91c0d7be";
        let listed = [
            json!({"Id": "sha256:3f2a91c0d7be", "RepoTags": [mark, "exam-2018:latest"], "Created": 1}),
            json!({"Id": "sha256:4f2a91c0d7be", "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]}),
        ];
        for wanted in
            ["exam-2018", "exam-2018:latest", "image/exam", "exam", "3f2a", "sha256:3f2a91c0d7be", mark]
        {
            let found = choose(Kind::Image, &listed, wanted, &owner()).expect("an image");
            assert_eq!(name_of(Kind::Image, found), "exam-2018:latest", "{wanted}");
        }
        assert_eq!(name_of(Kind::Image, &listed[1]), "sha256:4f2a91c0d7be");
        let unknown = choose(Kind::Image, &listed, "exam-2018:latst", &owner()).expect_err("no image");
        assert_eq!(unknown.hint.as_deref(), Some("did you mean `exam-2018:latest`?"));
        let untagged = [json!({"Id": "sha256:5f2a91c0d7be", "RepoTags": ["busybox:static"]})];
        let unknown = choose(Kind::Image, &untagged, "busybox", &owner()).expect_err("no image");
        assert_eq!(unknown.hint.as_deref(), Some("did you mean `busybox:static`?"));
    }
}
