use proptest::prelude::*;
use tar::{Builder, Header};

use super::*;

/// An archive with names as they are, which the library would refuse to write.
fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (kind, name, content) in entries {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o4_555);
        header.set_mtime(1_530_866_040);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content.as_bytes());
        }
        let content = if is_link { "" } else { content };
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, content.as_bytes()).expect("an entry");
    }
    archive.into_inner().expect("an archive")
}

/// What is in a directory, sorted: `name content`, `name/`, `name -> target`.
fn tree(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut queue = vec![directory.to_owned()];
    while let Some(next) = queue.pop() {
        for entry in fs::read_dir(&next).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(directory).expect("inside").display().to_string();
            let meta = fs::symlink_metadata(&path).expect("there");
            if meta.is_symlink() {
                found.push(format!("{name} -> {}", fs::read_link(&path).expect("a link").display()));
            } else if meta.is_dir() {
                found.push(format!("{name}/"));
                queue.push(path);
            } else {
                found.push(format!("{name} {}", fs::read_to_string(&path).expect("text")));
            }
        }
    }
    found.sort();
    found
}

fn unpacked(entries: &[(EntryType, &str, &str)]) -> (Vec<String>, Vec<String>, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let to = dir.path().join("to");
    let left_out = unpack(&mut &*archive(entries), &to).expect("unpacked");
    // Nothing was put beside it.
    assert_eq!(tree(dir.path()).iter().filter(|name| !name.starts_with("to/")).count(), 0);
    (tree(&to), left_out, dir)
}

const FILE: EntryType = EntryType::Regular;
const LINK: EntryType = EntryType::Symlink;

#[test]
fn what_is_copied_keeps_its_names_modes_and_times() {
    let (tree, left_out, dir) = unpacked(&[
        (EntryType::Directory, "answers/", ""),
        (FILE, "answers/第8题.txt", "B"),
        (LINK, "answers/latest", "第8题.txt"),
        (EntryType::Link, "answers/same", "answers/第8题.txt"),
        (FILE, "./deep/er/x", "y"),
        (LINK, "deep/er/up", "../../answers/latest"),
    ]);
    assert_eq!(left_out, Vec::<String>::new());
    assert_eq!(
        tree,
        [
            "answers/",
            "answers/latest -> 第8题.txt",
            "answers/same B",
            "answers/第8题.txt B",
            "deep/",
            "deep/er/",
            "deep/er/up -> ../../answers/latest",
            "deep/er/x y",
        ]
    );
    let meta = fs::metadata(dir.path().join("to/answers/第8题.txt")).expect("a file");
    // Neither for whoever the container's user was, nor with more rights than anybody has.
    assert_eq!(meta.permissions().mode() & 0o7777, 0o755);
    let modified = meta.modified().expect("a time").duration_since(SystemTime::UNIX_EPOCH);
    assert_eq!(modified.expect("a time").as_secs(), 1_530_866_040);
    assert_eq!(fs::read_to_string(dir.path().join("to/deep/er/up")).expect("text"), "B");
}

#[test]
fn law_13_names_that_lead_out_are_left_out() {
    let (tree, left_out, _dir) = unpacked(&[
        (FILE, "/etc/passwd", "x"),
        (FILE, "../beside", "x"),
        (FILE, "a/../../beside", "x"),
        (FILE, "a\u{1b}[2J/..", "x"),
        (FILE, "ok", "1"),
    ]);
    assert_eq!(tree, ["ok 1"]);
    assert_eq!(
        left_out,
        [
            "/etc/passwd: its name leads out of the directory",
            "../beside: its name leads out of the directory",
            "a/../../beside: its name leads out of the directory",
            "a\\u{1b}[2J/..: its name leads out of the directory",
        ]
    );
}

#[test]
fn law_13_nothing_is_written_through_a_link_and_no_link_leads_out() {
    let (tree, left_out, _dir) = unpacked(&[
        (LINK, "etc", "/etc"),
        (FILE, "etc/passwd", "x"),
        (LINK, "up", ".."),
        (LINK, "d/up", "../.."),
        (LINK, "d/root", ".."),
        (FILE, "d/root/file", "x"),
        // Up again from where a link led to.
        (LINK, "escape", "d/root/.."),
        (LINK, "loop", "loop"),
        (EntryType::Link, "hard", "/etc/passwd"),
        (EntryType::Link, "hard2", "../beside"),
        (EntryType::Link, "hard3", "d/root"),
        (LINK, "empty", ""),
    ]);
    assert_eq!(
        tree,
        ["d/", "d/root/", "d/root/file x", "etc/", "etc/passwd x", "loop -> loop"],
        "{left_out:?}"
    );
    assert_eq!(
        left_out,
        [
            "etc: a link to /etc",
            "up: a link to ..",
            "d/up: a link to ../..",
            "escape: a link to d/root/..",
            "hard: a link that leads out of the directory",
            "hard2: a link that leads out of the directory",
            "hard3: a link to what was not copied",
            "empty: it leads nowhere",
            "d/root: it is there twice",
        ]
    );
}

#[test]
fn law_13_devices_and_pipes_are_left_out_and_nothing_is_written_twice() {
    let (tree, left_out, _dir) = unpacked(&[
        (EntryType::Char, "null", ""),
        (EntryType::Block, "sda", ""),
        (EntryType::Fifo, "pipe", ""),
        (EntryType::new(b'Z'), "odd", ""),
        (FILE, "a", "first"),
        (FILE, "a", "second"),
        (FILE, "a/b", "below a file"),
        (EntryType::Directory, "a", ""),
        (FILE, ".", "nameless"),
    ]);
    assert_eq!(tree, ["a first"]);
    assert_eq!(
        left_out,
        [
            "null: a device",
            "sda: a device",
            "pipe: a pipe",
            "odd: nothing that can be unpacked",
            "a: it is there twice",
            "a/b: what it lies in is no directory",
            "a: it is there twice",
            ".: it has no name",
        ]
    );
}

#[test]
fn a_directory_that_is_there_and_an_archive_that_breaks_off_are_errors() {
    let dir = tempfile::tempdir().expect("a directory");
    let bytes = archive(&[(FILE, "a", "content")]);
    assert_eq!(unpack(&mut &*bytes, dir.path()).expect_err("there").kind(), io::ErrorKind::AlreadyExists);
    assert!(unpack(&mut &bytes[..515], &dir.path().join("new")).is_err());
}

/// Names that wander about in a small tree, so that links often meet links.
fn wandering(parts: Vec<&'static str>) -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(prop::sample::select(parts), 1..4);
    (parts, prop::bool::weighted(0.02))
        .prop_map(|(parts, is_absolute)| format!("{}{}", if is_absolute { "/" } else { "" }, parts.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn law_13_no_archive_leads_out_of_its_directory(
        entries in prop::collection::vec(
            (0_usize..12, wandering(vec!["a", "b", "c"]), wandering(vec!["a", "b", "..", ".."])),
            0..20,
        )
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("a path").join("to");
        let kinds = [FILE, EntryType::Directory, EntryType::Link, LINK];
        let entries: Vec<(EntryType, &str, &str)> = entries
            .iter()
            .map(|(kind, name, target)| (*kinds.get(*kind).unwrap_or(&LINK), &**name, &**target))
            .collect();
        unpack(&mut &*archive(&entries), &root).expect("unpacked");
        let beside: Vec<_> = fs::read_dir(dir.path()).expect("a directory").collect();
        prop_assert_eq!(beside.len(), 1);
        let mut queue = vec![root.clone()];
        while let Some(next) = queue.pop() {
            for entry in fs::read_dir(&next).expect("a directory") {
                let path = entry.expect("an entry").path();
                if let Ok(leads_to) = path.canonicalize() {
                    prop_assert!(leads_to.starts_with(&root), "{path:?} leads to {leads_to:?}");
                }
                if path.symlink_metadata().expect("there").is_dir() {
                    queue.push(path);
                }
            }
        }
    }
}
