//! The configuration file: YAML into values. In: its text and the settings that there are. Out: each value as its flag would
//! be given it, with its place, or everything that is wrong with the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::Setting;
use super::form::Form;
use crate::manifest::diagnostic::{Diagnostic, Position};
use crate::manifest::parse;
use crate::manifest::suggestion::did_you_mean;
use crate::manifest::tree::{Fault, Node, Value};
use crate::resource::violation::FieldPath;

/// What the file says of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Set {
    /// Where.
    pub(super) position: Position,
    /// The values, as flags take them.
    pub(super) texts: Vec<String>,
}

/// What a file says, by the settings' keys.
pub(in crate::cli) type Values = BTreeMap<String, Set>;

/// Reads a file. A relative path in it starts from the file's own directory.
///
/// # Errors
/// Everything that is wrong, in the order of places.
pub(super) fn read(bytes: &[u8], path: &Path, settings: &[Setting]) -> Result<Values, Vec<Diagnostic>> {
    let file: Arc<str> = path.to_string_lossy().into();
    let told = |fault: Fault| Diagnostic::of_fault(file.clone(), fault);
    let directory = std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned));
    let mut reading = Reading { settings, directory, values: Values::new(), faults: Vec::new() };
    match std::str::from_utf8(bytes) {
        Ok(text) => reading.text(text),
        Err(_) => reading.fault(Position::START, &FieldPath::root(), "this is not UTF-8", None),
    }
    reading.faults.sort_by_key(|fault| fault.position);
    if reading.faults.is_empty() {
        Ok(reading.values)
    } else {
        Err(reading.faults.into_iter().map(told).collect())
    }
}

struct Reading<'s> {
    settings: &'s [Setting],
    directory: Option<std::path::PathBuf>,
    values: Values,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    fn fault(
        &mut self,
        position: Position,
        path: &FieldPath,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.faults.push(Fault { position, path: path.clone(), message: message.into(), hint });
    }

    fn text(&mut self, text: &str) {
        let mut documents = parse::read(text).into_iter();
        // Nothing but comments is a configuration, too.
        let Some(document) = documents.next() else { return };
        self.faults.extend(document.faults);
        self.section(&document.root, &FieldPath::root(), "");
        if let Some(second) = documents.next() {
            let place = second.root.position;
            self.fault(place, &FieldPath::root(), "a configuration is one document", None);
        }
    }

    /// The settings of a section; the whole file is one. `prefix` is what precedes their keys.
    fn section(&mut self, node: &Node<'_>, path: &FieldPath, prefix: &str) {
        let Value::Mapping(entries) = &node.value else {
            if !node.refused {
                let hint = node.is_null().then(|| "write its settings below it, or leave it out".to_owned());
                self.fault(node.position, path, "expected a mapping of settings", hint);
            }
            return;
        };
        // A key that stands there twice is told by the parser.
        for entry in entries.iter().filter(|entry| !entry.value.refused) {
            let key = format!("{prefix}{}", entry.key);
            let path = path.key(&entry.key);
            if let Some(setting) = self.settings.iter().find(|setting| setting.key == key) {
                self.setting(setting, &entry.value, &path);
            } else if self.names(&format!("{key}.")).next().is_some() {
                self.section(&entry.value, &path, &format!("{key}."));
            } else {
                let names: BTreeSet<&str> = self.names(prefix).collect();
                let list = || {
                    format!("the settings here are {}", names.iter().copied().collect::<Vec<_>>().join(", "))
                };
                let hint = did_you_mean(&entry.key, names.iter().copied()).unwrap_or_else(list);
                self.fault(entry.position, &path, format!("unknown setting `{}`", entry.key), Some(hint));
            }
        }
    }

    /// The names of what stands directly in a section.
    fn names<'k>(&'k self, prefix: &'k str) -> impl Iterator<Item = &'k str> {
        let rest = self.settings.iter().filter_map(move |setting| setting.key.strip_prefix(prefix));
        rest.map(|rest| rest.split('.').next().unwrap_or(rest))
    }

    fn setting(&mut self, setting: &Setting, node: &Node<'_>, path: &FieldPath) {
        let mut texts = Vec::new();
        match &node.value {
            Value::List(items) if setting.is_list() => {
                for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.refused) {
                    texts.extend(self.value(setting, item, &path.index(index)));
                }
            }
            _ => texts.extend(self.value(setting, node, path)),
        }
        self.values.insert(setting.key.clone(), Set { position: node.position, texts });
    }

    fn value(&mut self, setting: &Setting, node: &Node<'_>, path: &FieldPath) -> Option<String> {
        let text = match setting.text(node) {
            Ok(text) => text,
            Err((message, hint)) => {
                self.fault(node.position, path, message, hint.map(str::to_owned));
                return None;
            }
        };
        if let Err((message, hint)) = setting.check(text) {
            self.fault(node.position, path, message, hint);
            return None;
        }
        if setting.form() == Form::Path
            && let Some(directory) = &self.directory
        {
            return Some(directory.join(text).to_string_lossy().into_owned());
        }
        Some(text.to_owned())
    }
}
