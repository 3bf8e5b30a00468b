//! Files larger than what they should cost: read in pieces, or not at all. In: sparse files, which take no room on
//! the disk. Out: what the program says, and the most memory that it had.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Far less than any of the files, and twice what the program takes for a small one.
const MEMORY_MAX: u64 = 48 << 20;

/// `validate` of a directory: what it prints, and the most memory that it had, in bytes.
fn validate(directory: &Path) -> (String, u64) {
    // On a busy machine it may end before it is looked at.
    std::iter::repeat_with(|| watched(directory)).take(20).find(|(_, peak)| *peak > 0).expect("a look at it")
}

fn watched(directory: &Path) -> (String, u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .arg("validate")
        .arg(directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("invigil");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("a child").is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        let kib = line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0);
        peak = peak.max(kib << 10);
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("an exit");
    (String::from_utf8_lossy(&output.stdout).into_owned(), peak)
}

fn manifest(directory: &Path, source: &str) {
    let text = format!(
        "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: app}}\nspec: {{{source}, tags: ['app:1']}}\n"
    );
    fs::write(directory.join("app.yaml"), text).expect("a file");
}

fn sparse(path: &Path, bytes: u64) {
    File::create(path).and_then(|file| file.set_len(bytes)).expect("a sparse file");
}

/// A saved image whose only layer is as large as that, and is all holes.
fn saved(path: &Path, bytes: u64) {
    let mut file = File::create(path).expect("a file");
    let mut entry = |name: &str, size: u64, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).expect("a path");
        header.set_size(size);
        header.set_cksum();
        file.write_all(header.as_bytes()).expect("a header");
        file.write_all(content).expect("a content");
        let end = file.stream_position().expect("a place") + size - content.len() as u64;
        file.seek(SeekFrom::Start(end.next_multiple_of(512))).expect("a place");
    };
    entry("layer.tar", bytes, &[]);
    entry("config.json", 2, b"{}");
    let list = br#"[{"Config": "config.json", "RepoTags": ["app:1"], "Layers": ["layer.tar"]}]"#;
    entry("manifest.json", list.len() as u64, list);
    let end = file.stream_position().expect("a place") + 1024;
    file.set_len(end).expect("an end");
}

#[test]
fn a_file_of_any_size_takes_no_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let context = dir.path().join("context");
    fs::create_dir(&context).expect("a directory");
    fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY . /\n").expect("a file");
    sparse(&context.join("data"), 256 << 20);
    sparse(&dir.path().join("rootfs.tar"), 256 << 20);
    saved(&dir.path().join("saved.tar"), 64 << 30);
    for source in ["build: {context: context}", "import: {archive: rootfs.tar}", "load: {archive: saved.tar}"]
    {
        manifest(dir.path(), source);
        let (told, peak) = validate(dir.path());
        assert_eq!(told, "1 valid manifest, 0 errors, 0 warnings\n", "{source}");
        assert!(peak < MEMORY_MAX, "{source}: {} MiB", peak >> 20);
    }
}

#[test]
fn an_archive_whose_names_are_as_long_as_layers_is_refused_without_being_read_into_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("saved.tar");
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink").expect("a path");
    header.set_size(10 << 30);
    header.set_cksum();
    fs::write(&path, header.as_bytes()).expect("a file");
    File::options().write(true).open(&path).and_then(|file| file.set_len(11 << 30)).expect("a sparse file");
    manifest(dir.path(), "load: {archive: saved.tar}");
    let (told, peak) = validate(dir.path());
    assert!(told.contains("saved.tar is no saved image: a name in it is longer than any can be\n"), "{told}");
    assert!(peak < 2 * MEMORY_MAX, "{} MiB", peak >> 20);
}
