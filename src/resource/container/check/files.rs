//! What can be put into a container and taken out of it. In: a spec. Out: violations.

use std::collections::BTreeSet;

use super::super::ContainerSpec;
use crate::resource::mount::ContainerPath;
use crate::resource::violation::{FieldPath, Violation};

/// What every engine mounts into every container by itself, over whatever was put there.
const ENGINES: [&str; 6] = ["/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys"];

impl ContainerSpec {
    pub(super) fn check_files(&self, root: &FieldPath) -> Vec<Violation> {
        let mut violations = Vec::new();
        // `guard` in `desired` makes a problem set's container read-only where its manifest is silent.
        let read_only = self.read_only.unwrap_or(self.problem_set.is_some());
        let paths: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        let mut seen = BTreeSet::new();
        for (index, file) in self.files.iter().enumerate() {
            let at = root.key("files").index(index);
            if file.content.is_some() == file.source.is_some() {
                violations.push(
                    Violation::error(at.clone(), "a file has either a content or a source")
                        .concluded_from([at.key("content"), at.key("source")]),
                );
            }
            let path = file.path.as_str();
            if !seen.insert(path) {
                violations.push(Violation::error(
                    at.key("path"),
                    format!("`{}` is already the path of another file", path.escape_debug()),
                ));
            }
            let is_above = |other: &&&str| **other != path && is_under(path, other);
            if let Some(other) = paths.iter().find(is_above) {
                violations.push(Violation::error(
                    at.key("path"),
                    format!("`{}` is a file of this list, not a directory", other.escape_debug()),
                ));
            }
            if let Some(target) = ENGINES.iter().find(|target| is_under(path, target)) {
                violations.push(
                    Violation::error(
                        at.key("path"),
                        format!("`{target}` is the engine's own in every container"),
                    )
                    .with_hint("`hostname`, `extraHosts` and `dns` say what is in its files"),
                );
            }
            match self.mounted_over(path) {
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
                    .concluded_from([root.key("readOnly")])
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
                          {"path": "/data/x", "content": ""}, {"path": "/database", "content": ""},
                          {"path": "/database/x", "content": ""}, {"path": "/etc/hosts", "content": ""},
                          {"path": "/etc/hosts.allow", "content": ""}],
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
                "files[4].path: `/database` is a file of this list, not a directory",
                "files[5].path: `/etc/hosts` is the engine's own in every container",
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
