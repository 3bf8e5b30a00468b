//! What of a Dockerfile says when to build: the images that it starts from. In: its text and the build
//! arguments. Out: references. Understands `FROM` and the `ARG`s before it, and leaves everything else to the
//! builder: a line that it does not understand names no image.

use std::collections::{BTreeMap, BTreeSet};

/// The images that the stages of a Dockerfile start from, as they are written; earlier stages left out.
pub fn bases(text: &str, args: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: BTreeSet<String> = BTreeSet::new();
    let mut bases = BTreeSet::new();
    for line in instructions(text) {
        let mut words = line.split_whitespace();
        match words.next().map(str::to_ascii_uppercase).as_deref() {
            Some("ARG") if stages.is_empty() && bases.is_empty() => {
                for word in words {
                    let (name, default) = word.split_once('=').unwrap_or((word, ""));
                    let value =
                        args.get(name).map_or_else(|| default.trim_matches(['"', '\'']), String::as_str);
                    known.insert(name.to_owned(), value.to_owned());
                }
            }
            Some("FROM") => {
                let mut words = words.filter(|word| !word.starts_with("--"));
                let Some(image) = words.next() else { continue };
                let image = expand(image, &known);
                let is_stage = stages.contains(&image.to_ascii_lowercase()) || image == "scratch";
                if let (Some(_), Some(stage)) = (words.next(), words.next()) {
                    stages.insert(stage.to_ascii_lowercase());
                }
                if !is_stage && !image.is_empty() {
                    bases.insert(image);
                }
            }
            _ => {}
        }
    }
    bases
}

/// Instructions, with their continued lines joined and comments left out.
fn instructions(text: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(more) = line.strip_suffix('\\') {
            open.push_str(more);
            open.push(' ');
        } else {
            open.push_str(line);
            done.push(std::mem::take(&mut open));
        }
    }
    done.push(open);
    done
}

/// `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}` replaced.
fn expand(text: &str, known: &BTreeMap<String, String>) -> String {
    let value = |name: &str| known.get(name).cloned().unwrap_or_default();
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some((inside, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            out.push_str(&match (inside.split_once(":-"), inside.split_once(":+")) {
                (Some((name, default)), _) if value(name).is_empty() => default.to_owned(),
                (Some((name, _)), _) => value(name),
                (None, Some((name, _))) if value(name).is_empty() => String::new(),
                (None, Some((_, other))) => other.to_owned(),
                (None, None) => value(inside),
            });
            rest = after;
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            out.push_str(&value(&rest[..end]));
            rest = &rest[end..];
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_that_stages_start_from_are_found() {
        let found = |text: &str| {
            let args = [("TAG".to_owned(), "v2".to_owned())].into();
            bases(text, &args).into_iter().collect::<Vec<_>>().join(" ")
        };
        for (text, images) in [
            ("FROM busybox\nRUN true", "busybox"),
            (
                "from --platform=linux/amd64 a:1 AS build\nFROM b\nCOPY --from=build /x /x\nFROM Build",
                "a:1 b",
            ),
            ("FROM scratch", ""),
            ("ARG TAG=v1\nARG NAME=\"exam\"\nFROM ${NAME}:$TAG", "exam:v2"),
            ("ARG X\nFROM a:${X:-latest}${Y:+no}", "a:latest"),
            ("# FROM no\nFROM \\\n  # between\n  a:1\n", "a:1"),
            ("RUN echo FROM b", ""),
            ("FROM $NOWHERE", ""),
        ] {
            assert_eq!(found(text), images, "{text}");
        }
    }
}
