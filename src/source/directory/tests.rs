use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::{FILE_SIZE_MAX, read};
use crate::source::{Content, Refusal, Snapshot, SourceError};

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    directory
}

fn snapshot(root: &Path) -> Snapshot {
    read(root).expect("a snapshot")
}

fn paths(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.files().iter().map(|file| file.path.to_str().expect("UTF-8")).collect()
}

fn refusal(snapshot: &Snapshot) -> &Refusal {
    match &snapshot.files().first().expect("a file").content {
        Content::Refused(refusal) => refusal,
        Content::Text(text) => panic!("not refused: {text}"),
    }
}

#[test]
fn yaml_files_are_found_at_every_depth_in_the_order_of_their_paths() {
    let directory = directory(&[
        ("b.yaml", "b"),
        ("a/z.yml", "z"),
        ("a.yaml", "a"),
        ("notes.txt", "no"),
        ("座位.yaml", ""),
    ]);
    let snapshot = snapshot(directory.path());
    assert_eq!(paths(&snapshot), ["a.yaml", "a/z.yml", "b.yaml", "座位.yaml"]);
    assert_eq!(snapshot.files()[1].content, Content::Text("z".to_owned()));
    assert_eq!(snapshot.files()[1].base_dir, directory.path().join("a"));
}

#[test]
fn dot_files_and_backups_are_no_manifests() {
    let directory = directory(&[
        (".a.yaml", ""),
        (".git/b.yaml", ""),
        ("c.yaml~", ""),
        ("c.yaml.bak", ""),
        (".#d.yaml", ""),
    ]);
    assert!(snapshot(directory.path()).is_empty());
}

#[test]
fn one_file_of_any_name_is_a_root_too() {
    let directory = directory(&[("exam.txt", "x")]);
    let snapshot = snapshot(&directory.path().join("exam.txt"));
    assert_eq!(paths(&snapshot), ["exam.txt"]);
    assert_eq!(snapshot.files()[0].base_dir, directory.path());
}

#[test]
fn the_lock_beside_one_file_is_read_with_it() {
    let directory = directory(&[("web.yaml", "x"), ("other.yaml", "x"), ("invigil.lock", "x")]);
    let one = snapshot(&directory.path().join("web.yaml"));
    assert_eq!(paths(&one), ["invigil.lock", "web.yaml"]);
    let locks: Vec<bool> = one.files().iter().map(|file| one.is_lock(file)).collect();
    assert_eq!(locks, [true, false]);
    // Named itself, it is a manifest like any other file.
    let lock = snapshot(&directory.path().join("invigil.lock"));
    assert_eq!((paths(&lock), lock.is_lock(&lock.files()[0])), (vec!["invigil.lock"], false));
}

#[test]
fn a_revision_changes_with_a_name_and_with_a_byte_and_with_nothing_else() {
    let first = snapshot(directory(&[("a.yaml", "x"), ("b.yaml", "")]).path());
    let same = snapshot(directory(&[("b.yaml", ""), ("a.yaml", "x"), ("notes.txt", "")]).path());
    let renamed = snapshot(directory(&[("a.yaml", "x"), ("c.yaml", "")]).path());
    let edited = snapshot(directory(&[("a.yaml", ""), ("b.yaml", "x")]).path());
    assert_eq!(first.revision(), same.revision());
    assert_ne!(first.revision(), renamed.revision());
    assert_ne!(first.revision(), edited.revision());
}

#[test]
fn law_12_a_revision_is_told_to_nobody_who_could_guess_a_key_by_it() {
    let snapshot = snapshot(directory(&[("a.yaml", "key: {choices: [B]}")]).path());
    assert_eq!(format!("{:?}", snapshot.revision()), "Revision");
    let (one, other) = (snapshot.revision().sealed(&[1; 32]), snapshot.revision().sealed(&[2; 32]));
    assert_eq!((one.len(), one == other), (64, false));
}

#[test]
fn links_are_followed_as_a_config_map_has_them() {
    let directory = directory(&[("..2026/exam.yaml", "x")]);
    symlink("..2026", directory.path().join("..data")).expect("a link");
    symlink("..data/exam.yaml", directory.path().join("exam.yaml")).expect("a link");
    let snapshot = snapshot(directory.path());
    assert_eq!(paths(&snapshot), ["exam.yaml"]);
    assert_eq!(snapshot.files()[0].content, Content::Text("x".to_owned()));
    assert_eq!(snapshot.files()[0].base_dir, directory.path());
}

#[test]
fn a_link_back_to_a_directory_above_ends_the_way() {
    let directory = directory(&[("a/b/x.yaml", "")]);
    symlink("../..", directory.path().join("a/b/up")).expect("a link");
    symlink("a", directory.path().join("again")).expect("a link");
    assert_eq!(paths(&snapshot(directory.path())), ["a/b/x.yaml", "again/b/x.yaml"]);
}

#[test]
fn law_2_a_link_that_leads_nowhere_is_not_an_absent_manifest() {
    for (name, target) in [("x.yaml", "gone.yaml"), ("seats", "/no-such-mount/seats"), ("self", "self")] {
        let directory = directory(&[]);
        symlink(target, directory.path().join(name)).expect("a link");
        assert_eq!(
            refusal(&snapshot(directory.path())).message,
            "this symbolic link leads nowhere",
            "{name}"
        );
    }
}

#[test]
fn law_2_a_missing_root_is_an_error_and_an_empty_one_is_not() {
    let directory = directory(&[]);
    assert!(snapshot(directory.path()).is_empty());
    let error = read(&directory.path().join("gone")).expect_err("nothing there");
    assert!(matches!(error, SourceError::Missing { .. }), "{error}");
    assert!(error.to_string().starts_with("there is no manifest directory /"), "{error}");
}

#[test]
fn law_2_another_directory_under_the_same_path_has_another_identity() {
    let directory = directory(&[("a/x.yaml", ""), ("b/x.yaml", "")]);
    let root = directory.path().join("root");
    symlink("a", &root).expect("a link");
    let before = snapshot(&root);
    fs::remove_file(&root).expect("removed");
    symlink("b", &root).expect("a link");
    let after = snapshot(&root);
    assert_eq!(before.revision(), after.revision());
    assert_ne!(before.identity(), after.identity());
}

#[test]
fn law_2_what_stands_behind_each_directory_is_told() {
    let directory = directory(&[("a/b/x.yaml", "")]);
    symlink("/dev/shm", directory.path().join("share")).expect("a link");
    let snapshot = snapshot(directory.path());
    let told = |path: &str| snapshot.directories().get(Path::new(path)).map(|found| found.device);
    let device = Some(snapshot.identity().device);
    assert_eq!((told("a"), told("a/b"), told("c")), (device, device, None));
    assert!(told("share").is_some() && told("share") != device);
}

#[test]
fn relative_paths_in_a_manifest_start_from_an_absolute_one() {
    // The working directory of tests is the crate's.
    let here = std::env::current_dir().expect("a directory");
    for (root, base_dir) in
        [("tests/errors/unknown_kind", "tests/errors/unknown_kind/manifests"), ("Cargo.toml", "")]
    {
        let snapshot = snapshot(Path::new(root));
        let found = snapshot.files().iter().map(|file| file.base_dir.clone()).next();
        assert_eq!(found, Some(here.join(base_dir).components().collect()), "{root}");
        assert_eq!(snapshot.root(), Path::new(root));
    }
}

#[test]
fn a_saved_file_is_still_the_same_root() {
    let directory = directory(&[("a.yaml", "1"), ("new", "2")]);
    let root = directory.path().join("a.yaml");
    let before = snapshot(&root);
    fs::rename(directory.path().join("new"), &root).expect("saved");
    let after = snapshot(&root);
    assert_eq!(before.identity(), after.identity());
    assert_ne!(before.revision(), after.revision());
}

#[test]
fn law_1_a_file_that_cannot_be_read_is_an_error() {
    let directory = directory(&[("a.yaml", "")]);
    // A regular file whose reading fails for everybody, root too.
    symlink("/proc/self/mem", directory.path().join("b.yaml")).expect("a link");
    let error = read(directory.path()).expect_err("unreadable");
    assert!(matches!(&error, SourceError::Unreadable { path, .. } if path.ends_with("b.yaml")), "{error}");
}

#[test]
fn law_2_a_file_that_changes_under_every_reading_is_an_error() {
    let directory = directory(&[]);
    // It is listed with 0 bytes and read with more: as if it grew in between, every time.
    symlink("/proc/self/stat", directory.path().join("a.yaml")).expect("a link");
    let error = read(directory.path()).expect_err("unstable");
    assert!(matches!(error, SourceError::Unstable { .. }), "{error}");
}

#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let directory = directory(&[]);
    let made = Command::new("mkfifo").arg(directory.path().join("x.yaml")).status().expect("mkfifo");
    assert!(made.success());
    let snapshot = snapshot(directory.path());
    assert_eq!(refusal(&snapshot).message, "this is a pipe, a socket or a device, not a file");
}

#[test]
fn a_file_over_1_mib_is_refused_and_the_others_are_read() {
    let directory = directory(&[("b.yaml", "b")]);
    let size = usize::try_from(FILE_SIZE_MAX).expect("a size");
    fs::write(directory.path().join("a.yaml"), vec![b'#'; size + 1]).expect("a file");
    let first = snapshot(directory.path());
    assert_eq!(paths(&first), ["a.yaml", "b.yaml"]);
    assert_eq!(refusal(&first).message, "the file is larger than 1 MiB");
    fs::write(directory.path().join("a.yaml"), vec![b'#'; size]).expect("a file");
    assert!(matches!(snapshot(directory.path()).files()[0].content, Content::Text(_)));
}

#[test]
fn bytes_that_are_not_utf_8_are_refused_with_their_place() {
    let directory = directory(&[]);
    // 期 as GBK, after a valid line and two valid characters.
    fs::write(directory.path().join("a.yaml"), b"kind: X\n\xe4\xb8\xad: \xc6\xda\n").expect("a file");
    let snapshot = snapshot(directory.path());
    let refusal = refusal(&snapshot);
    assert_eq!((refusal.line, refusal.column, refusal.message), (2, 4, "this is not UTF-8"));
}
