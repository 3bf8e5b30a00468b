//! The paper's file -> a `Paper` and the bytes it came from, or one sentence why not.
//! Checks only what the page relies on; the manifest was checked before the paper was made.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hyper::body::Bytes;
use invigil::problemset::paper::{PAPER_FORMAT_VERSION, Paper};
use serde::Deserialize;
use thiserror::Error;

/// The largest paper that is read: the server holds it and its pages in memory, and its container
/// has little.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// A paper as it was found.
#[derive(Debug)]
pub struct PaperFile {
    /// What the file says.
    pub paper: Paper,
    /// The file, byte for byte.
    pub json: Bytes,
}

/// The file is not a paper that can be shown.
#[derive(Debug, Error)]
pub enum PaperError {
    /// It could not be read.
    #[error("cannot read the paper {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// It is larger than any paper this server can hold.
    #[error("the paper {} is larger than {} MiB", path.display(), MAX_BYTES / 1024 / 1024)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It was written for another version of this program.
    #[error(
        "the paper {} has formatVersion {found}, but this exam server reads formatVersion {PAPER_FORMAT_VERSION}",
        path.display()
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u64,
    },
    /// It is not a paper's JSON. Unknown fields count: nothing that is not understood is served.
    #[error("{} is not a paper", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
}

/// Reads the paper at `path`.
pub fn read(path: &Path) -> Result<PaperFile, PaperError> {
    let unreadable = |source| PaperError::Unreadable { path: path.into(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut json = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut json).map_err(unreadable)?;
    if json.len() as u64 > MAX_BYTES {
        return Err(PaperError::TooLarge { path: path.into() });
    }
    let paper = parse(path, &json)?;
    Ok(PaperFile { paper, json: json.into() })
}

fn parse(path: &Path, json: &[u8]) -> Result<Paper, PaperError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", expecting = "a paper's object")]
    struct Version {
        format_version: u64,
    }
    let malformed = |source| PaperError::Malformed { path: path.into(), source };
    // The version first: a newer paper's new fields would otherwise be reported as mistakes.
    let Version { format_version } = serde_json::from_slice(json).map_err(malformed)?;
    if format_version != u64::from(PAPER_FORMAT_VERSION) {
        return Err(PaperError::OtherVersion { path: path.into(), found: format_version });
    }
    serde_json::from_slice(json).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `main` prints it: the error and its cause.
    fn sentence(error: PaperError) -> String {
        format!("{:#}", anyhow::Error::from(error))
    }

    fn error(json: &str) -> String {
        sentence(parse(Path::new("paper.json"), json.as_bytes()).unwrap_err())
    }

    #[test]
    fn another_version_is_named_even_when_its_fields_are_unknown() {
        assert_eq!(
            error(r#"{"formatVersion": 2, "sections": []}"#),
            "the paper paper.json has formatVersion 2, but this exam server reads formatVersion 1"
        );
    }

    #[test]
    fn a_broken_file_is_refused_with_its_position() {
        assert_eq!(
            error(r#"{"formatVersion": 1, "name": "a""#),
            "paper.json is not a paper: EOF while parsing an object at line 1 column 32"
        );
        assert_eq!(
            error("[]"),
            "paper.json is not a paper: invalid length 0, expected a paper's object at line 1 column 2"
        );
    }

    #[test]
    fn law_12_a_paper_that_carries_a_key_is_not_served() {
        let json = r#"{"formatVersion":1,"name":"a","title":"A","language":"en","items":[
{"id":"1","label":"1","type":"true_false","prompt":{"text":"?","format":"text"},"key":{"bool":true}}]}"#;
        assert_eq!(
            error(json),
            "paper.json is not a paper: unknown field `key`, expected one of `id`, `label`, `type`, \
             `prompt`, `choices`, `centipoints` at line 2 column 85"
        );
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        assert_eq!(
            sentence(read(Path::new("/dev/zero")).unwrap_err()),
            "the paper /dev/zero is larger than 8 MiB"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        assert_eq!(
            sentence(read(Path::new("/nowhere/paper.json")).unwrap_err()),
            "cannot read the paper /nowhere/paper.json: No such file or directory (os error 2)"
        );
    }
}
