//! What can be put into a container and taken out of it. In: a spec. Out: violations.

use std::collections::BTreeSet;

use super::super::ContainerSpec;
use crate::resource::mount::ContainerPath;
use crate::resource::violation::{FieldPath, Violation};

impl ContainerSpec {
    pub(super) fn check_files(&self, root: &FieldPath) -> Vec<Violation> {
        let mut violations = Vec::new();
        // `guard` in `desired` makes a problem set's container read-only where its manifest is silent.
        let read_only = self.read_only.unwrap_or(self.problem_set.is_some());
        let mut seen = BTreeSet::new();
        for (index, file) in self.files.iter().enumerate() {
            let at = root.key("files").index(index);
            if file.content.is_some() == file.source.is_some() {
                violations.push(Violation::error(at.clone(), "a file has either a content or a source"));
            }
            if !seen.insert(file.path.as_str()) {
                violations.push(Violation::error(
                    at.key("path"),
                    format!("`{}` is already the path of another file", file.path.as_str().escape_debug()),
                ));
            }
            match self.mounted_over(file.path.as_str()) {
                // What is there belongs to somebody else (law 5); a tmpfs is empty at each start.
                Some(target) => violations.push(
                    Violation::error(
                        at.key("path"),
                        format!(
                            "`{}` is mounted there: files go into the container's own file system",
                            target.escape_debug()
                        ),
                    )
                    .with_hint("put the file where the mount comes from"),
                ),
                None if read_only => violations.push(
                    Violation::error(
                        at.key("path"),
                        "a container whose file system is read-only takes no files",
                    )
                    .with_hint("bind the file (binds: [\"./file:/path:ro\"]), or say readOnly: false"),
                ),
                None => {}
            }
        }
        let mut seen = BTreeSet::new();
        for (index, collect) in self.collect.iter().enumerate() {
            let at = root.key("collect").index(index);
            let path = collect.path.as_str();
            if !seen.insert(path) {
                violations.push(Violation::error(
                    at.key("path"),
                    format!("`{}` is collected already", path.escape_debug()),
                ));
            }
            if self.tmpfs.iter().any(|tmpfs| is_under(path, &tmpfs.target)) {
                violations.push(Violation::error(
                    at.key("path"),
                    "what is in a tmpfs is gone when the container stops, before it could be collected",
                ));
            }
            if collect.to.is_empty() || collect.to.contains(char::is_control) {
                violations.push(Violation::error(at.key("to"), "it is not a path of the host"));
            }
        }
        violations
    }

    /// The target of a mount that covers a path.
    fn mounted_over(&self, path: &str) -> Option<&str> {
        let volumes = self.volumes.iter().map(ContainerPath::as_str);
        self.mounted().chain(volumes).find(|target| is_under(path, target))
    }
}

fn is_under(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_where_they_are_seen_and_nobody_elses_are_covered() {
        let spec: ContainerSpec = serde_json::from_str(
            r#"{"image": "a1", "binds": ["/srv:/data"], "tmpfs": ["/run"],
                "files": [{"path": "/etc/a"}, {"path": "/etc/a", "content": "x", "source": "y"},
                          {"path": "/data/x", "content": ""}, {"path": "/database", "content": ""}],
                "collect": [{"path": "/run/x", "to": "kept"}, {"path": "/data", "to": ""}, {"path": "/data", "to": "a"}]}"#,
        )
        .expect("a spec");
        let told = |spec: &ContainerSpec| -> Vec<String> {
            let violations = spec.check_files(&FieldPath::root());
            violations.iter().map(|broken| format!("{}: {}", broken.path, broken.message)).collect()
        };
        assert_eq!(
            told(&spec),
            [
                "files[0]: a file has either a content or a source",
                "files[1]: a file has either a content or a source",
                "files[1].path: `/etc/a` is already the path of another file",
                "files[2].path: `/data` is mounted there: files go into the container's own file system",
                "collect[0].path: what is in a tmpfs is gone when the container stops, before it could be collected",
                "collect[1].to: it is not a path of the host",
                "collect[2].path: `/data` is collected already",
            ]
        );
        let set: ContainerSpec = serde_json::from_str(
            r#"{"problemSet": "midterm", "files": [{"path": "/etc/a", "content": ""}]}"#,
        )
        .expect("a spec");
        assert_eq!(told(&set), ["files[0].path: a container whose file system is read-only takes no files"]);
    }
}
