//! Files that are put into containers, and what is taken out of them, on a real engine.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{BUSYBOX, Host, docker};

/// A container that tells of each SIGHUP, and stops at once.
fn listener(more: &str) -> String {
    let script = "trap \\\"echo again\\\" HUP; while true; do sleep 0.1; done";
    format!("{{image: '{BUSYBOX}', command: [sh, -c, \"{script}\"], stopSignal: SIGKILL{more}}}")
}

fn in_container(host: &Host, name: &str, command: &[&str]) -> String {
    docker(&[&["exec", &host.name(name)], command].concat())
}

/// The regular files of an archive.
fn unpacked(archive: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(std::fs::File::open(archive).expect("an archive"));
    let entries = archive.entries().expect("entries").map(|entry| entry.expect("an entry"));
    entries
        .filter(|entry| entry.header().entry_type().is_file())
        .map(|mut entry| {
            let path = entry.path().expect("a path").display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("a text");
            (path, text)
        })
        .collect()
}

/// The one archive under a directory.
fn only_archive(directory: &Path) -> std::path::PathBuf {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_there_before_the_start_and_change_as_they_say() {
    let host = Host::new("files").await;
    host.write("motd.txt", "第一场\n");
    let spec = |content: &str, on_change: &str| {
        listener(&format!(
            ", files: [{{path: /etc/exam/motd, source: motd.txt, mode: '0640', owner: '1000:50', onChange: SIGHUP}}, \
             {{path: /etc/exam.conf, content: '{content}', onChange: {on_change}}}]"
        ))
    };
    host.container("f", &spec("canary-1", "restart"));
    host.apply().await;
    assert_eq!(in_container(&host, "f", &["cat", "/etc/exam/motd", "/etc/exam.conf"]), "第一场\ncanary-1");
    assert_eq!(in_container(&host, "f", &["stat", "-c", "%a %u:%g", "/etc/exam/motd"]), "640 1000:50");
    // What is listed of a container tells no content.
    assert!(!host.inspect("f", "{{json .Config.Labels}}").contains("canary"));
    let before = host.inspect("f", "{{.Id}} {{.State.StartedAt}}");

    host.write("motd.txt", "第二场\n");
    let plan = host.apply().await;
    assert_eq!(
        plan,
        "container/@f  update in place\n  files./etc/exam/motd   other content, mode or owner -> 10 bytes, 0640\n\n\
         Plan: 1 to update; 0 unchanged.\n"
    );
    assert_eq!(host.inspect("f", "{{.Id}} {{.State.StartedAt}}"), before);
    assert_eq!(in_container(&host, "f", &["cat", "/etc/exam/motd"]), "第二场");
    for _ in 0..50 {
        if docker(&["logs", &host.name("f")]) == "again" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(docker(&["logs", &host.name("f")]), "again");

    host.container("f", &spec("canary-2", "restart"));
    assert!(host.apply().await.starts_with("container/@f  restart\n"));
    assert_eq!(in_container(&host, "f", &["cat", "/etc/exam.conf"]), "canary-2");
    assert_ne!(host.inspect("f", "{{.Id}} {{.State.StartedAt}}"), before);
    assert_eq!(host.inspect("f", "{{.Id}}"), before.split(' ').next().expect("an id"));

    host.container("f", &spec("canary-3", "replace"));
    assert!(host.apply().await.starts_with("container/@f  replace\n"));
    assert_eq!(in_container(&host, "f", &["cat", "/etc/exam/motd", "/etc/exam.conf"]), "第二场\ncanary-3");
    host.container("f", &listener(""));
    assert!(host.apply().await.contains("  files./etc/exam.conf   there -> (none)\n"));
    assert!(!in_container(&host, "f", &["ls", "/etc"]).contains("exam"));
}

#[tokio::test(flavor = "multi_thread")]
async fn law_11_files_that_never_arrived_are_seen_to_be_missing() {
    let host = Host::new("filesgone").await;
    let spec = |more: &str| listener(&format!("{more}, files: [{{path: /etc/exam.conf, content: a}}]"));
    host.container("f", &spec(", state: created"));
    host.apply().await;
    // As if the program had been killed while it put them in.
    let empty = host.write(".empty/exam.conf", "");
    docker(&["cp", empty.to_str().expect("a path"), &format!("{}:/etc/exam.conf", host.name("f"))]);
    host.container("f", &spec(""));
    let plan = host.apply().await;
    assert!(
        plan.contains("  files./etc/exam.conf   other content, mode or owner -> 1 byte, 0644\n"),
        "{plan}"
    );
    assert_eq!(in_container(&host, "f", &["cat", "/etc/exam.conf"]), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_5_answers_are_kept_before_a_container_goes_and_it_stays_until_that_worked() {
    let host = Host::new("collect").await;
    let kept = tempfile::tempdir().expect("a directory");
    let to = kept.path().join("answers");
    let spec =
        |more: &str| listener(&format!(", collect: [{{path: /exam/responses, to: {}}}]{more}", to.display()));
    host.container("seat", &spec(""));
    host.container("other", &listener(""));
    host.apply().await;
    let answer =
        "mkdir -p /exam/responses/a; echo 甲 > /exam/responses/a/1; ln -s /etc/shadow /exam/responses/l";
    in_container(&host, "seat", &["sh", "-c", answer]);
    let first = host.inspect("seat", "{{.Id}}");

    // A replacement, while the disk says no: the answers stay where they are.
    // Deeper than is looked for before.
    let in_the_way = to.join(host.name("seat"));
    std::fs::create_dir(&to).expect("a directory");
    std::fs::write(&in_the_way, "in the way").expect("a file");
    host.container("seat", &spec(", env: {A: '1'}"));
    let (outcomes, _) = host.try_apply().await;
    let why = outcomes.failed.values().next().expect("a failure");
    assert!(why.contains("collect /exam/responses into") && why.contains("Not a directory"), "{why}");
    assert_eq!(
        docker(&["inspect", "-f", "{{.Name}}", &first]),
        format!("/{}.invigil-prev", host.name("seat"))
    );
    assert_eq!(host.inspect("seat", "{{.State.Status}}"), "running");
    std::fs::remove_file(&in_the_way).expect("a file");
    host.apply().await;
    let archive = only_archive(&to);
    assert_eq!(
        archive.strip_prefix(&to).expect("a path").display().to_string(),
        format!("{}/{}/exam/responses.tar", host.name("seat"), &first[..12])
    );
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&archive), mode(archive.parent().expect("a directory"))), (0o600, 0o700));
    assert_eq!(unpacked(&archive), [("responses/a/1".to_owned(), "甲\n".to_owned())].into());
    assert!(!docker(&["ps", "-aq", "--no-trunc"]).contains(&first));
    std::fs::remove_dir_all(&to).expect("a directory");

    // A removal. The second container gave no answer yet: nothing is kept of nothing.
    in_container(&host, "seat", &["sh", "-c", "mkdir -p /exam; echo 乙 > /exam/responses"]);
    host.remove("seat.yaml");
    let plan = host.apply().await;
    assert!(
        plan.starts_with(
            "container/@seat  remove   no longer in the manifests\n  collect   /exam/responses -> "
        ),
        "{plan}"
    );
    assert_eq!(unpacked(&only_archive(&to)), [("responses".to_owned(), "乙\n".to_owned())].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_leaves_is_taken_out_once_when_it_ends() {
    let host = Host::new("jobfiles").await;
    let kept = tempfile::tempdir().expect("a directory");
    let script = "test -s /in || exit 3; cp /in /out";
    host.container(
        "job",
        &format!(
            "{{image: '{BUSYBOX}', command: [sh, -c, '{script}'], state: completed, files: [{{path: /in, content: x}}], \
             collect: [{{path: /out, to: {}}}]}}",
            kept.path().display()
        ),
    );
    host.try_apply().await;
    docker(&["wait", &host.name("job")]);
    let plan = host.apply().await;
    assert!(plan.starts_with("container/@job  collect\n  collect   /out -> "), "{plan}");
    assert_eq!(unpacked(&only_archive(kept.path())), [("out".to_owned(), "x".to_owned())].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_below_another_one_is_told_and_holds_up_nobody_else() {
    let host = Host::new("below").await;
    host.container("l", &listener(", files: [{path: /bin/busybox/x, content: ''}]"));
    host.container("m", &listener(""));
    let (outcomes, _) = host.try_apply().await;
    let failed: Vec<String> = outcomes.failed.values().map(|why| host.shown(why)).collect();
    assert!(failed.len() == 1 && failed[0].contains("not a directory"), "{failed:?}");
    docker(&["kill", &host.name("m")]);
    host.container("l", &listener(", files: [{path: /bin/x, content: ''}]"));
    host.apply().await;
    assert_eq!(host.inspect("m", "{{.State.Running}}"), "true");
    assert_eq!(in_container(&host, "l", &["ls", "/bin/x"]), "/bin/x");
}
