//! Which images tags stand for. In: the text of `invigil.lock`, which stands in the manifests' directory and is
//! committed with them. Out: [`Lock`], or what is wrong with it. Never asks a registry.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use serde::Deserialize;

use super::diagnostic::{Diagnostic, Position};
use super::tree::Fault;
use super::{parse, reader};
use crate::resource::env::TextMap;
use crate::resource::reference::{ImageId, ImageReference};
use crate::resource::violation::FieldPath;

/// The version of the file's form.
const FORMAT_VERSION: u32 = 1;

/// The digests that tags stand for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock {
    /// By the references that manifests use.
    pub digests: BTreeMap<ImageReference, ImageId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Form {
    format_version: u32,
    #[serde(default)]
    images: TextMap,
}

impl Lock {
    /// The image that a tag stands for, by its digest; `None` if the file does not say.
    pub fn resolve(&self, reference: &ImageReference) -> Option<ImageReference> {
        Some(reference.at_digest(self.digests.get(reference)?))
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "# Written by `invigil lock`: the images that tags stood for then. Commit it with the manifests.\n\
             formatVersion: {FORMAT_VERSION}\nimages:{}\n",
            if self.digests.is_empty() { " {}" } else { "" }
        );
        for (reference, digest) in &self.digests {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  \"{reference}\": \"{}\"", digest.as_str());
        }
        text
    }

    /// Reads the file.
    pub(super) fn read(text: &str, file: &Arc<str>) -> Result<Self, Vec<Diagnostic>> {
        let told = |fault: Fault| {
            let hint = fault.hint.or_else(|| Some("`invigil lock` writes it anew".to_owned()));
            Diagnostic::of_fault(file.clone(), Fault { hint, ..fault })
        };
        let fault = |position, path: &FieldPath, message: String| {
            told(Fault { position, path: path.clone(), message, hint: None })
        };
        let root = FieldPath::root();
        let mut documents = parse::read(text);
        let (Some(mut document), true) = (documents.pop(), documents.is_empty()) else {
            return Err(vec![fault(Position::START, &root, "a lock file is one document".to_owned())]);
        };
        if !document.faults.is_empty() {
            return Err(document.faults.into_iter().map(told).collect());
        }
        let form: Form = reader::read(&mut document.root, &root)
            .whole()
            .map_err(|faults| faults.into_iter().map(told).collect::<Vec<_>>())?;
        if form.format_version != FORMAT_VERSION {
            let path = root.key("formatVersion");
            let message = format!("this is version {}, expected {FORMAT_VERSION}", form.format_version);
            return Err(vec![fault(document.root.place(&path), &path, message)]);
        }
        let mut lock = Self::default();
        let mut faults = Vec::new();
        for (reference, digest) in &form.images.0 {
            let path = root.key("images").key(reference);
            match (reference.parse::<ImageReference>(), digest.parse()) {
                (Ok(reference), Ok(digest)) if reference.tag().is_some() => {
                    lock.digests.insert(reference, digest);
                }
                (Ok(_), Ok(_)) => faults.push((path, "expected a tag, found a digest".to_owned())),
                (Err(why), _) => faults.push((path, why)),
                (_, Err(_)) => faults.push((path, "expected sha256: and 64 hexadecimal digits".to_owned())),
            }
        }
        let placed = |(path, why)| fault(document.root.place(&path), &path, why);
        if faults.is_empty() { Ok(lock) } else { Err(faults.into_iter().map(placed).collect()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::LOCK;

    fn told(text: &str) -> Vec<String> {
        let faults = Lock::read(text, &LOCK.into()).expect_err("faults");
        faults.iter().map(|one| one.to_string().lines().next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn what_is_written_reads_back() {
        let digest = format!("sha256:{}", "3f".repeat(32));
        let mut lock = Lock::default();
        assert_eq!(Lock::read(&lock.to_text(), &LOCK.into()), Ok(lock.clone()));
        lock.digests
            .insert("10.0.0.7:5000/exam/app:1".parse().expect("a tag"), digest.parse().expect("an id"));
        assert_eq!(Lock::read(&lock.to_text(), &LOCK.into()), Ok(lock.clone()));
        let resolved =
            lock.resolve(&"10.0.0.7:5000/exam/app:1".parse().expect("a tag")).expect("it is locked");
        assert_eq!(resolved.to_string(), format!("10.0.0.7:5000/exam/app@{digest}"));
        assert_eq!(lock.resolve(&"app:1".parse().expect("a tag")), None);
    }

    #[test]
    fn what_is_wrong_is_told_at_its_place() {
        assert_eq!(told(""), ["invigil.lock:1:1: a lock file is one document"]);
        assert_eq!(
            told("formatVersion: 2"),
            ["invigil.lock:1:16: formatVersion: this is version 2, expected 1"]
        );
        assert_eq!(
            told("formatVersion: 1\nimages:\n  nginx:1.15: abc\n  \"NGINX:1\": \"\"\n"),
            [
                "invigil.lock:4:14: images.NGINX:1: `NGINX:1` is not an image reference: a repository is written in lower case",
                "invigil.lock:3:15: images.nginx:1.15: expected sha256: and 64 hexadecimal digits",
            ]
        );
        assert_eq!(told("formatVersion: 1\nimage: {}\n").len(), 1);
        assert_eq!(told("{").len(), 1);
    }
}
