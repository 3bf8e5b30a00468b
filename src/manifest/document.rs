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
    /// Whether the resource is left as it is, whatever the manifest says, until this line is taken away.
    #[serde(default)]
    pub suspend: bool,
}

/// A whole document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope<T> {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    metadata: Metadata,
    // Without `default`, a missing `spec` would be an error for a Volume, which needs none.
    #[serde(default = "none")]
    spec: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

/// The file a document stands in.
pub(super) struct File<'a> {
    pub name: &'a Arc<str>,
    pub base_dir: &'a Arc<Path>,
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
}

impl Draft<'_> {
    /// A diagnostic about a field of this document.
    pub fn diagnostic(
        &self,
        path: FieldPath,
        severity: Severity,
        message: String,
        hint: Option<String>,
    ) -> Diagnostic {
        let (file, position) = (self.origin.file.clone(), self.root.place(&path));
        Diagnostic { file, position, path, severity, message, hint }
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
    let parts = if broken_off { None } else { findings.parts(&mut root) };
    diagnostics.extend(findings.faults.drain(..).map(|fault| Diagnostic {
        file: file.name.clone(),
        position: fault.position,
        path: without_key(fault.path),
        severity: Severity::Error,
        message: fault.message,
        hint: fault.hint,
    }));
    let refused = findings.violations.iter().any(|violation| violation.severity == Severity::Error);
    diagnostics.extend(findings.violations.into_iter().take(FAULTS_MAX).map(
        |Violation { path, severity, message, hint }| Diagnostic {
            file: file.name.clone(),
            position: root.place(&path),
            path,
            severity,
            message,
            hint,
        },
    ));
    let manifest = parts.filter(|_| !refused).map(|(kind, metadata, spec)| Manifest {
        id: ResourceId::new(kind.resource(), metadata.name),
        adopt: metadata.adopt,
        suspend: metadata.suspend,
        spec,
        origin: origin.clone(),
        base_dir: file.base_dir.clone(),
        places: Places::of(&root),
    });
    Draft { root, origin, id, manifest }
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

/// What is wrong with a document.
struct Findings {
    faults: Vec<Fault>,
    violations: Vec<Violation>,
}

impl Findings {
    /// The parts of a document; `None` after a fault.
    fn parts(&mut self, root: &mut Node<'_>) -> Option<(ManifestKind, Metadata, Spec)> {
        if !matches!(root.value, Value::Mapping(_)) {
            let message = "a manifest is a mapping".to_owned();
            let hint = Some("it begins with `apiVersion: invigil/v1`".to_owned());
            self.faults.push(Fault { position: root.position, path: FieldPath::root(), message, hint });
            return None;
        }
        let Some(kind) = self.kind(root) else {
            // What is wrong around the spec can be told without knowing the kind.
            self.envelope::<IgnoredAny>(root);
            return None;
        };
        let (metadata, spec) = match kind {
            ManifestKind::ProblemSet => self.problem_set(root)?,
            ManifestKind::Image => {
                self.checked(root, ImageSpec::check, |spec| Spec::Image(Box::new(spec)))?
            }
            ManifestKind::Network => self.checked(root, NetworkSpec::check, Spec::Network)?,
            ManifestKind::Volume => self.checked(root, VolumeSpec::check, Spec::Volume)?,
            ManifestKind::Container => {
                self.checked(root, ContainerSpec::check, |spec| Spec::Container(Box::new(spec)))?
            }
        };
        if metadata.adopt && !matches!(kind, ManifestKind::Container | ManifestKind::Network) {
            let path = FieldPath::root().key("metadata").key("adopt");
            self.violations.push(Violation::error(
                path,
                format!("only a Container or a Network is adopted, not a {kind}"),
            ));
        }
        Some((kind, metadata, spec))
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

    /// The parts as they can be read, also beside faults: the rules that they break are told with those.
    fn envelope<T: DeserializeOwned>(&mut self, root: &mut Node<'_>) -> Option<Envelope<T>> {
        match reader::read(root, &FieldPath::root()) {
            Ok(envelope) => Some(envelope),
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }

    fn checked<T: DeserializeOwned + Default>(
        &mut self,
        root: &mut Node<'_>,
        check: fn(&T) -> Vec<Violation>,
        spec: impl FnOnce(T) -> Spec,
    ) -> Option<(Metadata, Spec)> {
        let envelope = self.envelope::<T>(root)?;
        let value = envelope.spec.unwrap_or_default();
        self.place_under_spec(check(&value));
        self.faults.is_empty().then(|| (envelope.metadata, spec(value)))
    }

    fn problem_set(&mut self, root: &mut Node<'_>) -> Option<(Metadata, Spec)> {
        let envelope = self.envelope::<ProblemSetSpec>(root)?;
        let Some(spec) = envelope.spec else {
            self.violations.push(Violation::error(FieldPath::root(), "the field `spec` is missing"));
            return None;
        };
        let (set, violations) = ProblemSet::new(envelope.metadata.name.as_str(), &spec);
        self.place_under_spec(violations);
        self.faults.is_empty().then_some((envelope.metadata, Spec::ProblemSet(Box::new(set?))))
    }

    fn place_under_spec(&mut self, violations: Vec<Violation>) {
        let spec = FieldPath::root().key("spec");
        let placed = violations
            .into_iter()
            .map(|violation| Violation { path: spec.join(&violation.path), ..violation });
        self.violations.extend(placed);
    }
}
