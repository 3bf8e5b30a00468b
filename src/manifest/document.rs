//! One document. In: a tree. Out: a manifest, or what is wrong with it and, as far as it can be known,
//! which resource it is about. Never looks at other documents.

use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::diagnostic::Diagnostic;
use super::kinds::ManifestKind;
use super::parse::FAULTS_MAX;
use super::reader;
use super::suggestion::did_you_mean;
use super::tree::{self, Fault, Node, Value};
use super::unread::Unread;
use super::{Manifest, Origin, Places, Spec};
use crate::problemset::set::ProblemSet;
use crate::problemset::spec::ProblemSetSpec;
use crate::resource::container::ContainerSpec;
use crate::resource::image::ImageSpec;
use crate::resource::name::{Name, ResourceId};
use crate::resource::network::NetworkSpec;
use crate::resource::violation::{FieldPath, Segment, Severity, Violation};
use crate::resource::volume::VolumeSpec;

/// The versions of the manifests' language.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(super) enum ApiVersion {
    /// The only one.
    #[serde(rename = "invigil/v1")]
    V1,
}

/// What a manifest says about the resource itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Metadata {
    /// The resource's name: its identity, together with its kind. A container bears it on the engine.
    pub name: Name,
    /// Whether a container of this name that no Invigil made is taken over: one that Invigil makes takes its
    /// place, with its anonymous volumes. A network is used as it is, never changed and never removed.
    /// Otherwise it is a conflict, and left alone.
    #[serde(default)]
    pub adopt: bool,
    /// What a container of ours was called: it is renamed, and stays. Its manifest of that name goes in the same commit. The
    /// line may be taken away once the container bears its new name.
    #[serde(default)]
    pub previous_name: Option<Name>,
    /// Whether the resource is left as it is, whatever the manifest says, until this line is taken away.
    #[serde(default)]
    pub suspend: bool,
}

/// A document but for its spec.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    metadata: Metadata,
    #[serde(rename = "spec", default)]
    _spec: Option<IgnoredAny>,
}

/// What stands under `spec`.
enum Written<T> {
    /// This, as far as it can be read.
    Spec(T),
    /// Nothing.
    Absent,
    /// What cannot be read.
    Unread,
}

/// The file a document stands in.
pub(super) struct File<'a> {
    pub name: &'a Arc<str>,
    pub base_dir: &'a Arc<Path>,
    pub checkout: Option<&'a Arc<Path>>,
}

/// What became of one document.
pub(super) struct Draft<'t> {
    /// The tree, to place what turns out to be wrong later.
    pub root: Node<'t>,
    /// Where the document begins.
    pub origin: Origin,
    /// Which resource it is about; `None` if that cannot be known.
    pub id: Option<ResourceId>,
    /// The manifest; `None` if the document is invalid.
    pub manifest: Option<Manifest>,
    /// What can be read of the spec of an invalid document, where anything can.
    partial: Option<Spec>,
    /// What cannot be read.
    unread: Unread,
}

impl Draft<'_> {
    /// The spec, of an invalid document as far as it can be read.
    pub fn spec(&self) -> Option<&Spec> {
        self.manifest.as_ref().map(|manifest| &manifest.spec).or(self.partial.as_ref())
    }

    /// Whether a field of the spec as it was read is all there.
    pub fn is_read(&self, field: &FieldPath) -> bool {
        !self.unread.lacks(&self.unread.written(field))
    }

    /// Whether it may be meant for Invigil: it names a resource, and says of no other language that it is in that.
    pub fn may_be_ours(&self) -> bool {
        let version = self.root.get("apiVersion").and_then(Node::text).unwrap_or_default();
        self.id.is_some() && (version.is_empty() || version.starts_with("invigil"))
    }

    /// The resource, for people.
    pub fn shown(&self) -> String {
        self.id.as_ref().map_or_else(|| "another manifest".to_owned(), ResourceId::to_string)
    }

    /// A diagnostic about a field of this document.
    pub fn diagnostic(
        &self,
        path: &FieldPath,
        severity: Severity,
        message: String,
        hint: Option<String>,
    ) -> Diagnostic {
        let path = self.unread.written(path);
        let (file, position) = (self.origin.file.clone(), self.root.place(&path));
        Diagnostic { file, position, path, severity, message, other: None, hint }
    }

    /// Where the resource is named.
    pub fn place_of_name(&self) -> Origin {
        let name = FieldPath::root().key("metadata").key("name");
        Origin { file: self.origin.file.clone(), position: self.root.place(&name) }
    }
}

/// Reads a document. What is wrong goes to `diagnostics`.
pub(super) fn read<'t>(
    document: tree::Document<'t>,
    file: &File<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Draft<'t> {
    let tree::Document { mut root, faults, broken_off } = document;
    let origin = Origin { file: file.name.clone(), position: root.position };
    let id = identify(&root, &faults);
    let mut findings = Findings { faults, violations: Vec::new() };
    let parts = if broken_off { Parts::default() } else { findings.parts(&mut root) };
    let is_whole = findings.faults.is_empty();
    let refused = findings.violations.iter().any(|violation| violation.severity == Severity::Error);
    let unread = if is_whole { Some(Unread::default()) } else { Unread::of(&root) };
    findings.conclude(&root, unread.as_ref());
    diagnostics.extend(findings.faults.drain(..).map(|fault| {
        let fault = Fault { path: without_key(fault.path), ..fault };
        Diagnostic::of_fault(file.name.clone(), fault)
    }));
    diagnostics.extend(findings.violations.into_iter().take(FAULTS_MAX).map(
        |Violation { path, severity, message, hint, .. }| Diagnostic {
            file: file.name.clone(),
            position: root.place(&path),
            path,
            severity,
            message,
            other: None,
            hint,
        },
    ));
    let (manifest, partial) = match parts {
        Parts { kind: Some(kind), metadata: Some(metadata), spec: Some(spec) } if is_whole && !refused => {
            let manifest = Manifest {
                id: ResourceId::new(kind.resource(), metadata.name),
                adopt: metadata.adopt,
                suspend: metadata.suspend,
                previous_name: metadata.previous_name,
                spec,
                origin: origin.clone(),
                base_dir: file.base_dir.clone(),
                checkout: file.checkout.cloned(),
                places: Places::of(&root),
            };
            (Some(manifest), None)
        }
        parts => (None, parts.spec.filter(|_| unread.is_some())),
    };
    Draft { root, origin, id, manifest, partial, unread: unread.unwrap_or_default() }
}

/// The parts of a document, as far as they can be read.
#[derive(Default)]
struct Parts {
    kind: Option<ManifestKind>,
    metadata: Option<Metadata>,
    spec: Option<Spec>,
}

/// The resource that a document names, valid or not.
fn identify(root: &Node<'_>, faults: &[Fault]) -> Option<ResourceId> {
    let repeated = |fault: &Fault| matches!(fault.path.segments().first(), Some(Segment::Key(key)) if key == "kind" || key == "metadata");
    if faults.iter().any(repeated) {
        return None;
    }
    let kind = ManifestKind::of(root.get("kind")?.text()?)?;
    let name = root.get("metadata")?.get("name").filter(|name| !name.is_null())?.text()?.parse().ok()?;
    Some(ResourceId::new(kind.resource(), name))
}

/// Hides what stands inside an item's key: a misspelt key may have the answer for a field's name
/// (law 12). The position still leads there.
fn without_key(path: FieldPath) -> FieldPath {
    match path.segments() {
        [Segment::Key(spec), Segment::Key(items), Segment::Index(_), Segment::Key(key), _, ..]
            if spec == "spec" && items == "items" && key == "key" =>
        {
            path.segments().iter().take(4).cloned().collect()
        }
        _ => path,
    }
}

/// The most violations of one document that are looked at beside its faults.
const CONCLUDED_MAX: usize = 20 * FAULTS_MAX;

/// What is wrong with a document.
struct Findings {
    faults: Vec<Fault>,
    violations: Vec<Violation>,
}

impl Findings {
    /// Places the violations, and drops those that may be there only for what is `unread`; all, if that is too much.
    fn conclude(&mut self, root: &Node<'_>, unread: Option<&Unread>) {
        let Some(unread) = unread else { return self.violations.clear() };
        self.violations.truncate(CONCLUDED_MAX);
        self.violations.retain_mut(|violation| {
            violation.path = unread.written(&violation.path);
            let is_hidden = |field: &FieldPath| {
                let field = unread.written(field);
                unread.hides(&field, root.at(&field).is_some())
            };
            !unread.holds(&violation.path) && !violation.concluded_from.iter().any(is_hidden)
        });
    }

    /// The parts of a document, as they can be read, also beside faults: the rules that they break are told with those.
    fn parts(&mut self, root: &mut Node<'_>) -> Parts {
        if !matches!(root.value, Value::Mapping(_)) {
            let message = "a manifest is a mapping".to_owned();
            let hint = Some("it begins with `apiVersion: invigil/v1`".to_owned());
            self.faults.push(Fault { position: root.position, path: FieldPath::root(), message, hint });
            return Parts::default();
        }
        let kind = self.kind(root);
        let envelope: Option<Envelope> = self.value(root, &FieldPath::root());
        let metadata = envelope.map(|envelope| envelope.metadata);
        let Some(kind) = kind else { return Parts { metadata, ..Parts::default() } };
        let spec = match kind {
            ManifestKind::ProblemSet => self.problem_set(root, metadata.as_ref()),
            ManifestKind::Image => self.checked(root, ImageSpec::check, |spec| Spec::Image(Box::new(spec))),
            ManifestKind::Network => self.checked(root, NetworkSpec::check, Spec::Network),
            ManifestKind::Volume => self.checked(root, VolumeSpec::check, Spec::Volume),
            ManifestKind::Container => {
                self.checked(root, ContainerSpec::check, |spec| Spec::Container(Box::new(spec)))
            }
        };
        let adopts = metadata.as_ref().is_some_and(|metadata| metadata.adopt);
        if adopts && !matches!(kind, ManifestKind::Container | ManifestKind::Network) {
            let path = FieldPath::root().key("metadata").key("adopt");
            self.violations.push(Violation::error(
                path,
                format!("only a Container or a Network is adopted, not a {kind}"),
            ));
        }
        let renames = metadata.as_ref().is_some_and(|metadata| metadata.previous_name.is_some());
        if renames && kind != ManifestKind::Container {
            let path = FieldPath::root().key("metadata").key("previousName");
            self.violations
                .push(Violation::error(path, format!("only a Container is renamed, not a {kind}")));
        }
        Parts { kind: Some(kind), metadata, spec }
    }

    /// The kind; `None` if it is unknown, which is told, or missing, which the envelope tells.
    fn kind(&mut self, root: &Node<'_>) -> Option<ManifestKind> {
        let node = root.get("kind")?;
        let word = node.text().filter(|_| !node.is_null());
        if let Some(kind) = word.and_then(ManifestKind::of) {
            return Some(kind);
        }
        let kinds = ManifestKind::ALL.map(ManifestKind::as_str);
        let message = match word {
            Some(word) => format!("unknown kind `{word}` (expected one of {})", kinds.join(", ")),
            None => format!("expected one of {}", kinds.join(", ")),
        };
        let hint = word.and_then(|word| did_you_mean(word, kinds));
        let path = FieldPath::root().key("kind");
        self.faults.push(Fault { position: root.place(&path), path, message, hint });
        None
    }

    /// A value as far as it can be read.
    fn value<T: DeserializeOwned>(&mut self, node: &mut Node<'_>, at: &FieldPath) -> Option<T> {
        let read = reader::read(node, at);
        self.faults.extend(read.faults);
        read.value
    }

    /// What stands under `spec`, as far as it can be read.
    fn spec<T: DeserializeOwned>(&mut self, root: &mut Node<'_>) -> Written<T> {
        let path = FieldPath::root().key("spec");
        if root.get("spec").is_none() && Unread::of(root).is_none_or(|unread| unread.hides(&path, false)) {
            return Written::Unread;
        }
        match root.at_mut(&path) {
            Some(spec) if spec.refused => Written::Unread,
            Some(spec) if !spec.is_null() => self.value(spec, &path).map_or(Written::Unread, Written::Spec),
            _ => Written::Absent,
        }
    }

    fn checked<T: DeserializeOwned + Default>(
        &mut self,
        root: &mut Node<'_>,
        check: fn(&T) -> Vec<Violation>,
        spec: impl FnOnce(T) -> Spec,
    ) -> Option<Spec> {
        let value = match self.spec(root) {
            Written::Spec(value) => value,
            Written::Absent => T::default(),
            Written::Unread => return None,
        };
        self.place_under_spec(check(&value));
        Some(spec(value))
    }

    fn problem_set(&mut self, root: &mut Node<'_>, metadata: Option<&Metadata>) -> Option<Spec> {
        let spec: ProblemSetSpec = match self.spec(root) {
            Written::Spec(spec) => spec,
            Written::Absent => {
                self.violations.push(Violation::error(FieldPath::root(), "the field `spec` is missing"));
                return None;
            }
            Written::Unread => return None,
        };
        // A name that cannot be read is told as such.
        let name = metadata.map_or("exam", |metadata| metadata.name.as_str());
        let (set, violations) = ProblemSet::new(name, &spec);
        self.place_under_spec(violations);
        Some(Spec::ProblemSet(Box::new(set?)))
    }

    fn place_under_spec(&mut self, violations: Vec<Violation>) {
        let spec = FieldPath::root().key("spec");
        let placed = violations.into_iter().map(|violation| Violation {
            path: spec.join(&violation.path),
            concluded_from: violation.concluded_from.iter().map(|field| spec.join(field)).collect(),
            ..violation
        });
        self.violations.extend(placed);
    }
}
