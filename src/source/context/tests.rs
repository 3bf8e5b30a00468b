use std::fs::{create_dir_all, set_permissions, write};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

type Change<'a> = Box<dyn Fn() + 'a>;

/// A context of a few files, and the request for it.
fn context(dir: &Path) -> ContextRequest {
    create_dir_all(dir.join("src/empty")).unwrap();
    write(dir.join("Dockerfile"), "FROM exam-base:1\nCOPY . /srv\n").unwrap();
    write(dir.join("src/第8题.txt"), "1+1=？").unwrap();
    write(dir.join("notes.md"), "not for the image").unwrap();
    write(dir.join(".dockerignore"), "*.md\n").unwrap();
    symlink("src", dir.join("link")).unwrap();
    ContextRequest {
        path: Some(dir.to_owned()),
        dockerfile: Dockerfile::Named("Dockerfile".to_owned()),
        args: BTreeMap::new(),
    }
}

fn digest(request: &ContextRequest) -> String {
    request.summary(&mut KnownFiles::default(), &|| ()).unwrap().digest
}

fn sent(request: &ContextRequest) -> Vec<(String, String)> {
    let mut bytes = Vec::new();
    request.send(&digest(request), &mut bytes).unwrap();
    let mut archive = tar::Archive::new(&bytes[..]);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let link = entry.link_name().unwrap().map(|link| format!("-> {}", link.display()));
        assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (0, 0));
        (name, link.unwrap_or(text))
    });
    entries.collect()
}

#[test]
fn a_builder_is_sent_what_the_patterns_let_through() {
    let dir = tempfile::tempdir().unwrap();
    let request = context(dir.path());
    let names =
        |sent: &[(String, String)]| sent.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(" ");
    let entries = sent(&request);
    assert_eq!(names(&entries), ".dockerignore Dockerfile link src/ src/empty/ src/第8题.txt");
    assert_eq!(entries[2].1, "-> src");
    assert_eq!(entries[5].1, "1+1=？");
    let summary = request.summary(&mut KnownFiles::default(), &|| ()).unwrap();
    assert_eq!((summary.files, summary.bases), (Some(3), ["exam-base:1".to_owned()].into()));

    let inline = ContextRequest { dockerfile: Dockerfile::Inline("FROM a\nFROM b".to_owned()), ..request };
    let entries = sent(&inline);
    assert_eq!(
        names(&entries),
        ".dockerignore .invigil.Dockerfile Dockerfile link src/ src/empty/ src/第8题.txt"
    );
    assert_eq!(entries[0].1, "*.md\n\n.invigil.Dockerfile\n");
    let alone = ContextRequest { path: None, ..inline };
    assert_eq!(
        sent(&alone)[0],
        (".dockerignore".to_owned(), ".dockerignore\n.invigil.Dockerfile\n".to_owned())
    );
}

#[test]
fn names_modes_and_contents_count_and_times_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let request = context(dir.path());
    let first = digest(&request);
    let file = dir.path().join("src/第8题.txt");
    let touch = |path: &Path| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(24)).unwrap();
    };
    touch(&file);
    write(dir.path().join("notes.md"), "changed").unwrap();
    assert_eq!(digest(&request), first);

    let chmod = |mode| set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    let link = |target| {
        fs::remove_file(dir.path().join("link")).unwrap();
        symlink(target, dir.path().join("link")).unwrap();
    };
    let (other, empty) = (dir.path().join("src/x"), dir.path().join("src/empty"));
    let changes: [(&str, Change<'_>, Change<'_>); 5] = [
        ("a byte", Box::new(|| write(&file, "1+1=!").unwrap()), Box::new(|| write(&file, "1+1=？").unwrap())),
        ("a mode", Box::new(|| chmod(0o755)), Box::new(|| chmod(0o644))),
        (
            "a name",
            Box::new(|| fs::rename(&file, &other).unwrap()),
            Box::new(|| fs::rename(&other, &file).unwrap()),
        ),
        ("a link", Box::new(|| link("elsewhere")), Box::new(|| link("src"))),
        (
            "an empty directory",
            Box::new(|| fs::remove_dir(&empty).unwrap()),
            Box::new(|| fs::create_dir(&empty).unwrap()),
        ),
    ];
    for (what, change, back) in changes {
        chmod(0o644);
        let before = digest(&request);
        change();
        assert_ne!(digest(&request), before, "{what}");
        back();
        assert_eq!(digest(&request), before, "{what} back");
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_part_of_no_context() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data");
    write(&file, "").unwrap();
    let listed = super::Stamp::of(&fs::metadata(&file).unwrap());
    write(&file, "more").unwrap();
    let told = super::digest_at(&file, listed, &|| ());
    assert_eq!(told, Err(format!("{} changes while it is read", file.display())));
}

#[test]
fn a_file_that_did_not_change_is_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let request = context(dir.path());
    let mut known = KnownFiles::default();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(10);
    let first = request.summary_at(&mut known, &|| (), later).unwrap();
    assert_eq!(known.len(), 3);
    let file = dir.path().join("src/第8题.txt");
    known.get_mut(&file).unwrap().1 = [1; 32];
    assert_ne!(request.summary_at(&mut known, &|| (), later).unwrap(), first, "what is known is taken");
    write(&file, "other").unwrap();
    let other = request.summary_at(&mut known, &|| (), later).unwrap();
    assert_eq!(other, request.summary(&mut KnownFiles::default(), &|| ()).unwrap());
    fs::remove_file(&file).unwrap();
    request.summary_at(&mut known, &|| (), later).unwrap();
    assert_eq!(known.len(), 2, "what is gone is forgotten");
    request.summary(&mut known, &|| ()).unwrap();
    assert_eq!(known.len(), 0, "what changed a moment ago is read again");
}

#[test]
fn a_context_that_changed_since_is_not_sent_as_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let request = context(dir.path());
    let before = digest(&request);
    write(dir.path().join("src/第8题.txt"), "2+2=？").unwrap();
    let error = request.send(&before, &mut io::sink()).unwrap_err();
    assert_eq!(error.to_string(), "the build context changed while it was read");
}

#[test]
fn what_cannot_be_sent_is_told_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let request = context(dir.path());
    let refused = |request: &ContextRequest| request.summary(&mut KnownFiles::default(), &|| ()).unwrap_err();
    let at = |name: &str| dir.path().join(name).display().to_string();

    let other = ContextRequest { dockerfile: Dockerfile::Named("no".to_owned()), ..request.clone() };
    assert_eq!(refused(&other), format!("{} does not exist", at("no")));
    let nowhere = ContextRequest { path: Some(dir.path().join("nowhere")), ..request.clone() };
    assert_eq!(refused(&nowhere), format!("{} does not exist", at("nowhere")));
    let inline = Dockerfile::Inline("FROM a".to_owned());
    let archive =
        ContextRequest { path: Some(dir.path().join("notes.md")), dockerfile: inline, ..request.clone() };
    assert_eq!(
        refused(&archive),
        format!("{} is an archive: its Dockerfile has to be in it", at("notes.md"))
    );
    write(dir.path().join(".dockerignore"), "a\n!\n").unwrap();
    assert_eq!(refused(&request), format!("{}:2: `!` needs a pattern", at(".dockerignore")));
    write(dir.path().join(".dockerignore"), "").unwrap();
    write(dir.path().join("Dockerfile"), [0xff]).unwrap();
    assert_eq!(refused(&request), format!("{} is not UTF-8", at("Dockerfile")));
    write(dir.path().join("Dockerfile"), vec![b'\n'; 1 << 21]).unwrap();
    assert_eq!(refused(&request), format!("{} is larger than it may be (1Mi)", at("Dockerfile")));
    write(dir.path().join("Dockerfile"), "FROM scratch").unwrap();
    std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap();
    assert_eq!(
        refused(&request),
        format!("{} is a device or a pipe, which no builder can be sent", at("pipe"))
    );
    write(dir.path().join(".dockerignore"), "pipe").unwrap();
    assert!(request.summary(&mut KnownFiles::default(), &|| ()).is_ok(), "what is ignored is not looked at");
}

#[test]
fn law_13_an_archive_that_leads_out_of_itself_is_no_context() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.tar");
    let request = ContextRequest { path: Some(path.clone()), ..context(dir.path()) };
    let packed = |kind: tar::EntryType, name: &str, link: &str| {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        archive.append(&header, io::empty()).unwrap();
        write(&path, archive.into_inner().unwrap()).unwrap();
        request.summary(&mut KnownFiles::default(), &|| ()).map(|summary| summary.files)
    };
    assert_eq!(packed(tar::EntryType::Regular, "Dockerfile", ""), Ok(None));
    let shown = path.display();
    for (kind, name, link, why) in [
        (tar::EntryType::Regular, "../x", "", "`../x` in it leads out of it"),
        (tar::EntryType::Link, "passwd", "/etc/passwd", "the link `passwd` in it leads out of it"),
        (tar::EntryType::Char, "null", "", "`null` in it is a device or a pipe"),
    ] {
        assert_eq!(packed(kind, name, link), Err(format!("{shown} is no build context: {why}")));
    }
    write(&path, [0x1f, 0x8b, 8, 0]).unwrap();
    let told = request.summary(&mut KnownFiles::default(), &|| ()).unwrap_err();
    assert_eq!(told, format!("{shown} is no build context: it is compressed; unpack it with gunzip first"));
}
