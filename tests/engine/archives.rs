//! Archives between servers that have no registry: saved on one engine, loaded on another.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tar::EntryType;

use crate::spare::Spare;
use crate::support::{BUSYBOX, Host, docker};

/// The program as it runs on the server of `spare`. Exit code, and everything it said, with the test's prefix as `@`.
fn on(spare: &Spare, host: &Host, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_invigil"))
        .args(arguments)
        .args(["--owner", &host.prefix, "--state-dir"])
        .arg(host.state())
        .arg(host.path())
        .env("DOCKER_HOST", spare.endpoint())
        .output()
        .expect("invigil");
    let said = [stdout, stderr].concat();
    (status.code(), host.shown(&String::from_utf8_lossy(&said)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_one_server_makes_the_same_image_on_another_and_damage_stops_nothing_there() {
    let spare = Spare::new();
    let (first, second) = (Host::new("saves").await, Host::new("loads").await);
    first.write(
        "image.yaml",
        &format!(
            "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec:\n  build: {{dockerfileInline: \"FROM {BUSYBOX}\\nRUN echo 1 > /version\"}}\n  \
             tags: ['@app:v1']\n  archive: ./app.tar\n"
        ),
    );
    first.apply().await;
    let tag = first.name("app:v1");
    let archive = second.path().join("app.tar");
    fs::copy(first.path().join("app.tar"), &archive).expect("a copy");
    let manifest = |archive: &str| {
        second.write(
            "image.yaml",
            &format!(
                "apiVersion: invigil/v1\nkind: Image\nmetadata: {{name: '@app'}}\nspec: {{load: {{archive: {archive}}}, tags: ['{tag}']}}\n"
            ),
        );
    };
    manifest("app.tar");
    second.container("seat", &format!("{{image: '{tag}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    let (code, said) = on(&spare, &second, &["apply", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let unchanged = (Some(0), "Nothing to do; 2 unchanged.\n".to_owned());
    assert_eq!(on(&spare, &second, &["plan"]), unchanged);
    let seat = second.name("seat");
    assert_eq!(spare.docker(&["exec", &seat, "cat", "/version"]), "1");
    let layers = ["image", "inspect", "--format", "{{.RootFS.Layers}}", &tag];
    assert_eq!(spare.docker(&layers), docker(&layers));
    let id = ["image", "inspect", "--format", "{{.Id}}", &tag];
    // With containerd's image store an engine names an image by its manifest, without by its config.
    if !docker(&["info", "--format", "{{.DriverStatus}}"]).contains("io.containerd.snapshotter") {
        assert_eq!(spare.docker(&id), docker(&id));
    }
    let facts = || spare.docker(&["inspect", "--format", "{{.Id}} {{.State.StartedAt}} {{.Image}}", &seat]);
    let before = facts();

    // What is damaged, or no image at all, is refused before anything is touched.
    let whole = fs::read(&archive).expect("an archive");
    let both = second.path().join("both.tar");
    spare.docker(&["save", "-o", both.to_str().expect("a path"), &tag, BUSYBOX]);
    let damages = [
        (whole[..whole.len() / 2].to_vec(), "it "),
        (whole[..100].to_vec(), "it is no tar archive, or damaged: it ends in the middle of a header"),
        (Vec::new(), "it is empty"),
        (b"my notes".repeat(100), "it is no tar archive, or damaged: "),
        (fs::read(&both).expect("an archive"), "it holds 2 images, an Image is one"),
    ];
    for (bytes, why) in damages {
        fs::write(&archive, bytes).expect("a file");
        let (code, said) = on(&spare, &second, &["apply", "--yes"]);
        assert_eq!(code, Some(1), "{said}");
        let place = format!("spec.load.archive: {} is no saved image: {why}", archive.display());
        assert!(said.contains(&place), "{said}");
        assert_eq!(facts(), before);
    }
    // All of it again, and nothing is to do: not even here was anything made anew.
    fs::write(&archive, &whole).expect("a file");
    assert_eq!(on(&spare, &second, &["plan"]), unchanged);
    assert_eq!(facts(), before);

    // The other server makes another image.
    fs::rename(first.path().join("app.tar"), first.path().join("old.tar")).expect("a rename");
    let text = fs::read_to_string(first.path().join("image.yaml")).expect("a file");
    first.write("image.yaml", &text.replace("echo 1", "echo 2"));
    first.apply().await;
    // One that brings a tag of somebody else's is not loaded.
    let theirs = second.name("theirs:1");
    spare.docker(&["tag", BUSYBOX, &theirs]);
    docker(&["tag", &tag, &theirs]);
    docker(&["save", "-o", archive.to_str().expect("a path"), &theirs]);
    docker(&["rmi", &theirs]);
    let (code, said) = on(&spare, &second, &["apply", "--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the archive brings the tag @theirs:1, which belongs to an image that"), "{said}");
    assert_eq!(facts(), before);
    // One that does not is a wish like any other: it is planned, and what runs stays until it is there.
    fs::copy(first.path().join("app.tar"), &archive).expect("a copy");
    let (code, said) = on(&spare, &second, &["plan", "--detailed-exitcode"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.starts_with("image/@app  load   ") && said.contains("container/@seat  replace\n"), "{said}");
    assert_eq!(facts(), before);
    let (code, said) = on(&spare, &second, &["apply", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(spare.docker(&["exec", &seat, "cat", "/version"]), "2");
}

/// An archive of a file system with one entry that is not as it should be, after `before`.
fn hostile(path: &Path, before: Option<(&str, &str)>, kind: EntryType, name: &str, link: &str) {
    let mut archive = tar::Builder::new(fs::File::create(path).expect("a file"));
    let mut append = |kind: EntryType, name: &str, link: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o666);
        header.set_size(if kind.is_file() { 6 } else { 0 });
        // Past the crate's own checks, as somebody hostile would.
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        archive.append(&header, if kind.is_file() { &b"canary"[..] } else { &[] }).expect("an entry");
    };
    if let Some((name, link)) = before {
        append(EntryType::Symlink, name, link);
    }
    append(kind, name, link);
    archive.finish().expect("an archive");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_13_a_file_system_that_leads_out_of_its_archive_ends_inside_or_is_refused() {
    let host = Host::new("escape").await;
    host.container("c", &format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL}}"));
    host.apply().await;
    let facts = || host.inspect("c", "{{.Id}} {{.State.StartedAt}}");
    let before = facts();
    let outside = tempfile::tempdir().expect("a directory");
    let victim = outside.path().join("victim");
    let name = victim.to_str().expect("a path").trim_start_matches('/');
    let directory = outside.path().to_str().expect("a path");
    let archive = host.path().join("rootfs.tar");
    host.write(
        "image.yaml",
        "apiVersion: invigil/v1\nkind: Image\nmetadata: {name: '@in'}\nspec: {import: {archive: rootfs.tar}, tags: ['@in:1']}\n",
    );
    // What leads out by its own words gets no further than its manifest.
    let out = format!("../../../../../../{name}");
    for (kind, entry, link, why) in [
        (EntryType::Regular, out.as_str(), "", format!("`{out}` in it leads out of it")),
        (
            EntryType::Link,
            "x",
            "../../../../../../etc/passwd",
            "the link `x` in it leads out of it".to_owned(),
        ),
    ] {
        hostile(&archive, None, kind, entry, link);
        let told: Vec<String> = host.wanted().diagnostics.iter().map(ToString::to_string).collect();
        let place = format!("spec.import.archive: {} is no file system to import: {why}", archive.display());
        assert!(told.len() == 1 && told[0].ends_with(&place), "{told:?}");
    }
    for (before, name) in [(None, format!("/{name}")), (Some(("x", directory)), "x/victim".to_owned())] {
        hostile(&archive, before, EntryType::Regular, &name, "");
        let (outcomes, told) = host.try_apply().await;
        assert!(!victim.exists(), "{name}");
        assert!(outcomes.is_success() || told.iter().any(|told| told.starts_with("import ")), "{told:?}");
    }
    assert_eq!(facts(), before);
}
