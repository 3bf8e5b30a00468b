use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;
use crate::source::directory;

const MANIFEST: &str = "apiVersion: invigil/v1\nkind: Volume\nmetadata: {name: data}\n";

/// A repository that somebody works in, and a host that follows it.
struct Room {
    home: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        let room = Self { home: tempfile::tempdir().unwrap() };
        fs::create_dir(room.work()).unwrap();
        room.git(&["init", "--quiet", "--initial-branch=main"]);
        room
    }

    fn work(&self) -> PathBuf {
        self.home.path().join("work")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.work())
            .args([
                "-c",
                "user.name=slq",
                "-c",
                "user.email=slq@example.org",
                "-c",
                "protocol.file.allow=always",
            ])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Commits everything that is there.
    fn commit(&self, message: &str, more: &[&str]) -> String {
        self.git(&["add", "--all"]);
        self.git(&[&["commit", "--quiet", "--allow-empty", "-m", message], more].concat());
        self.git(&["rev-parse", "HEAD"])
    }

    fn terms(&self) -> Terms {
        Terms {
            url: self.work().to_str().unwrap().parse().unwrap(),
            reference: "main".parse().unwrap(),
            directory: SubDirectory::default(),
            allowed_signers: None,
            rewritten_history: false,
        }
    }

    fn checkouts(&self) -> Checkouts {
        self.with(|_| {})
    }

    fn with(&self, change: impl FnOnce(&mut Terms)) -> Checkouts {
        let mut terms = self.terms();
        change(&mut terms);
        Checkouts::of(&self.home.path().join("state"), "exam", terms)
    }

    /// A key pair, in two files.
    fn key(&self, name: &str) -> String {
        let key = self.home.path().join(name).display().to_string();
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &key])
            .status();
        assert!(made.unwrap().success());
        key
    }
}

/// What is found: the subject of the next commit, why it is refused, or what is wrong.
fn found(checkouts: &Checkouts) -> String {
    match checkouts.fetch() {
        Ok(Head::Running) => "running".to_owned(),
        Ok(Head::Next(next)) => {
            assert!(checkouts.switch(&next).unwrap());
            format!("next: {}", next.commit.subject)
        }
        Ok(Head::Refused(commit, why)) => format!("{} refused: {why}", commit.subject),
        Err(error) => format!("error: {error}"),
    }
}

fn running(checkouts: &Checkouts) -> String {
    match checkouts.last().unwrap() {
        Last::Good(commit) => commit.subject,
        Last::Unsure(commit, why) => format!("{} runs, but: {why}", commit.subject),
        Last::Refused(commit, why) => format!("{} refused: {why}", commit.subject),
        Last::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn a_commit_runs_with_its_files_and_the_same_again_is_no_news() {
    let room = Room::new();
    let checkouts = room.checkouts();
    room.write("a.yaml", MANIFEST);
    room.write("app/run.sh", "#!/bin/sh\n");
    fs::set_permissions(room.work().join("app/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    room.commit("one", &[]);
    assert_eq!(running(&checkouts), "nothing");
    assert_eq!(found(&checkouts), "next: one");
    assert_eq!(found(&checkouts), "running");
    assert_eq!(running(&checkouts), "one");
    let root = checkouts.root();
    assert_eq!(fs::read_to_string(root.join("a.yaml")).unwrap(), MANIFEST);
    let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("a.yaml"), mode("app/run.sh"), mode("app")), (0o644, 0o755, 0o755));
    let place = fs::metadata(root.parent().unwrap()).unwrap().permissions().mode() & 0o777;
    assert_eq!(place, 0o700, "keys are in it");

    // The path stays, so that a manifest that did not change means the same.
    let before = directory::read(&root).unwrap();
    room.write("README", "more");
    room.commit("two", &[]);
    assert_eq!(found(&checkouts), "next: two");
    let after = directory::read(&root).unwrap();
    let checkout = after.checkout().unwrap();
    assert_eq!(checkout.commit, room.git(&["rev-parse", "HEAD"]));
    assert!(root.starts_with(&checkout.directory), "nothing is bound from there (law 5)");
    assert_eq!(before.revision(), after.revision());
    assert_eq!(before.files()[0].base_dir, after.files()[0].base_dir);
    for subject in ["three", "four"] {
        room.commit(subject, &[]);
        found(&checkouts);
    }
    checkouts.tidy();
    let kept = fs::read_dir(root.parent().unwrap().join(REVISIONS)).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept, [room.git(&["rev-parse", "HEAD"]).as_str()], "the one that runs");
    assert!(root.join("a.yaml").exists());
}

#[test]
fn a_repository_that_is_away_changes_nothing() {
    let room = Room::new();
    let checkouts = room.checkouts();
    room.write("a.yaml", MANIFEST);
    room.commit("one", &[]);
    found(&checkouts);
    let away = room.home.path().join("away");
    fs::rename(room.work(), &away).unwrap();
    let told = found(&checkouts);
    assert!(told.starts_with(&format!("error: {} cannot be fetched: ", room.work().display())), "{told}");
    // As after a reboot.
    assert_eq!(running(&room.checkouts()), "one");
    assert!(directory::read(&checkouts.root()).is_ok());
    fs::rename(&away, room.work()).unwrap();
    assert_eq!(found(&checkouts), "running");
    assert_eq!(
        found(&room.with(|terms| terms.reference = "exam".parse().unwrap())),
        format!("error: {} has no branch or tag exam", room.work().display())
    );
}

#[test]
fn law_2_a_commit_without_manifests_is_refused_and_what_runs_stays() {
    let room = Room::new();
    let checkouts = room.with(|terms| terms.directory = "room-2".parse().unwrap());
    room.write("room-2/a.yaml", MANIFEST);
    room.write("other/b.yaml", MANIFEST);
    room.commit("one", &[]);
    assert_eq!(found(&checkouts), "next: one");
    room.git(&["mv", "room-2", "room-3"]);
    room.commit("renamed", &[]);
    assert_eq!(found(&checkouts), "renamed refused: there is no manifest (*.yaml, *.yml) in room-2 of it");
    room.git(&["rm", "-r", "--quiet", "."]);
    room.commit("emptied", &[]);
    assert_eq!(found(&checkouts), "emptied refused: there is no manifest (*.yaml, *.yml) in room-2 of it");
    assert_eq!(running(&checkouts), "one");
    assert!(checkouts.root().join("a.yaml").exists());
}

#[test]
fn a_rewritten_history_is_refused_unless_it_is_allowed() {
    let room = Room::new();
    let checkouts = room.checkouts();
    room.write("a.yaml", MANIFEST);
    let first = room.commit("one", &[]);
    let second = room.commit("two", &[]);
    assert_eq!(found(&checkouts), "next: two");
    let why = format!(
        "its history was rewritten or went back: {}, which ran last, is not in it; --allow-rewritten-history lets it run",
        &second[..12]
    );
    room.git(&["reset", "--quiet", "--hard", &first]);
    assert_eq!(found(&checkouts), format!("one refused: {why}"), "it went back");
    room.commit("other", &[]);
    assert_eq!(found(&checkouts), format!("other refused: {why}"), "it was rewritten");
    assert_eq!(running(&checkouts), "two");
    assert_eq!(found(&room.with(|terms| terms.rewritten_history = true)), "next: other");
    // Another branch is the operator's own word.
    room.git(&["checkout", "--quiet", "-b", "exam", &first]);
    assert_eq!(found(&room.with(|terms| terms.reference = "exam".parse().unwrap())), "next: one");
}

#[test]
fn a_history_is_not_rewritten_by_letting_go_of_what_ran() {
    let room = Room::new();
    let signers = room.home.path().join("signers");
    let key = room.key("teacher");
    let allowed = format!("slq@example.org {}", fs::read_to_string(format!("{key}.pub")).unwrap());
    room.git(&["config", "gpg.format", "ssh"]);
    room.git(&["config", "user.signingKey", &key]);
    let checkouts = room.with(|terms| terms.allowed_signers = Some(signers.clone()));
    fs::write(&signers, &allowed).unwrap();
    room.write("a.yaml", MANIFEST);
    let old = room.commit("last term's exam", &["-S"]);
    found(&checkouts);
    room.commit("this term's exam", &["-S"]);
    assert_eq!(found(&checkouts), "next: this term's exam");
    fs::remove_file(&signers).unwrap();
    assert!(running(&checkouts).starts_with("this term's exam refused: cannot read the allowed signers"));
    assert_eq!(running(&checkouts), "nothing");
    // Somebody who can push, and cannot sign, takes the branch back to what was signed once.
    fs::write(&signers, &allowed).unwrap();
    room.git(&["reset", "--quiet", "--hard", &old]);
    let told = found(&checkouts);
    assert!(told.starts_with("last term's exam refused: its history was rewritten or went back"), "{told}");
    // What nobody can read allows nothing.
    let ran = checkouts.root().parent().unwrap().join("ran");
    for damaged in ["", "x y", "\u{0}"] {
        fs::write(&ran, damaged).unwrap();
        let told = found(&checkouts);
        assert!(told.contains("does not name the commit that ran last"), "{told}");
    }
    fs::remove_file(&ran).unwrap();
    assert_eq!(found(&checkouts), "next: last term's exam");
}

#[test]
fn a_commit_takes_no_other_place_than_it_was_judged_for() {
    let room = Room::new();
    let checkouts = room.checkouts();
    let next = |checkouts: &Checkouts| match checkouts.fetch() {
        Ok(Head::Next(next)) => next,
        other => panic!("{other:?}"),
    };
    room.write("a.yaml", MANIFEST);
    let one = room.commit("one", &[]);
    found(&checkouts);
    room.commit("two", &[]);
    let two = next(&checkouts);
    room.git(&["reset", "--quiet", "--hard", &one]);
    room.commit("three", &[]);
    let three = next(&checkouts);
    assert_eq!(checkouts.switch(&two), Ok(true));
    assert_eq!(checkouts.switch(&three), Ok(false), "two is not in its history");
    assert_eq!(checkouts.switch(&two), Ok(false), "it runs already");
    assert_eq!(running(&checkouts), "two");
    assert!(found(&checkouts).starts_with("three refused: its history was rewritten"));
}

#[test]
fn only_what_an_allowed_signer_has_signed_runs() {
    let room = Room::new();
    let (teacher, stranger) = (room.key("teacher"), room.key("stranger"));
    let signers = room.home.path().join("signers");
    let public = fs::read_to_string(format!("{teacher}.pub")).unwrap();
    fs::write(&signers, format!("slq@example.org {public}")).unwrap();
    let checkouts = room.with(|terms| terms.allowed_signers = Some(signers.clone()));
    let sign = |key: &str, message: &str| {
        room.git(&["config", "gpg.format", "ssh"]);
        room.git(&["config", "user.signingKey", key]);
        room.commit(message, &["-S"])
    };
    room.write("a.yaml", MANIFEST);
    sign(&teacher, "signed");
    assert_eq!(found(&checkouts), "next: signed");
    room.commit("unsigned", &["--no-gpg-sign"]);
    assert_eq!(found(&checkouts), "unsigned refused: it is not signed, and requireSignedCommits is set");
    sign(&stranger, "by a stranger");
    let why = format!("its signature is not of an allowed signer ({})", signers.display());
    assert_eq!(found(&checkouts), format!("by a stranger refused: {why}"));
    assert_eq!(running(&checkouts), "signed");
    // The head vouches for what it holds.
    sign(&teacher, "signed again");
    assert_eq!(found(&checkouts), "next: signed again");
    // Who may sign is asked anew after a restart.
    fs::write(&signers, "").unwrap();
    assert_eq!(running(&checkouts), format!("signed again refused: {why}"));
    assert_eq!(running(&checkouts), "nothing");
    // So it is where nobody can be asked.
    fs::write(&signers, format!("slq@example.org {public}")).unwrap();
    assert_eq!(found(&checkouts), "next: signed again");
    fs::remove_file(&signers).unwrap();
    let cannot = format!("cannot read the allowed signers {}", signers.display());
    assert!(running(&checkouts).starts_with(&format!("signed again refused: {cannot}")), "{cannot}");
    room.commit("more", &["-S"]);
    assert!(
        found(&checkouts).starts_with("error: cannot read the allowed signers "),
        "{}",
        found(&checkouts)
    );
}

#[test]
fn nothing_that_comes_with_a_repository_changes_its_files_or_runs() {
    let room = Room::new();
    let checkouts = room.checkouts();
    let marker = room.home.path().join("ran");
    let text = format!("{MANIFEST}# $Id$ $Format:%H$\n");
    room.write("a.yaml", &text);
    room.write(".gitattributes", "* text eol=crlf ident export-subst filter=evil\nb.yaml export-ignore\n");
    room.write("b.yaml", "# ignored by nobody\n");
    room.write(
        ".gitmodules",
        "[submodule \"s\"]\n\tpath = s\n\turl = ext::sh -c touch%20/tmp/ran\n\tupdate = !touch /tmp/ran\n",
    );
    room.git(&["add", "--all"]);
    room.git(&["update-index", "--add", "--cacheinfo", "160000,0123456789012345678901234567890123456789,s"]);
    room.git(&["commit", "--quiet", "-m", "hostile"]);
    assert_eq!(found(&checkouts), "next: hostile");
    // As if somebody had got a filter and a hook into the repository on the host.
    let repository = checkouts.root().parent().unwrap().join("repository");
    let program = format!("touch {}", marker.display());
    fs::create_dir_all(repository.join("hooks")).unwrap();
    for hook in ["post-checkout", "reference-transaction", "post-merge"] {
        let hook = repository.join("hooks").join(hook);
        fs::write(&hook, format!("#!/bin/sh\n{program}\n")).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let config = fs::read_to_string(repository.join("config")).unwrap();
    fs::write(repository.join("config"), format!("{config}[filter \"evil\"]\n\tsmudge = {program}\n"))
        .unwrap();
    room.write("c.yaml", MANIFEST);
    room.commit("again", &[]);
    assert_eq!(found(&checkouts), "next: again");
    assert_eq!(fs::read_to_string(checkouts.root().join("a.yaml")).unwrap(), text);
    assert!(checkouts.root().join("b.yaml").exists());
    assert!(!checkouts.root().join("s").exists(), "submodules are not followed");
    assert!(!marker.exists());
}

#[test]
fn a_link_may_lead_within_the_repository_and_nowhere_else() {
    let room = Room::new();
    let checkouts = room.checkouts();
    room.write("a.yaml", MANIFEST);
    room.write("deep/down/x", "");
    symlink("../deep/down", room.work().join("deep/there")).unwrap();
    symlink("a.yaml", room.work().join("b.yaml")).unwrap();
    room.commit("inside", &[]);
    assert_eq!(found(&checkouts), "next: inside");
    assert_eq!(fs::read_to_string(checkouts.root().join("b.yaml")).unwrap(), MANIFEST);
    for target in ["/etc/shadow", "../..", "../deep/../../x", "there/../../.."] {
        let link = room.work().join("deep/out");
        let _ = fs::remove_file(&link);
        symlink(target, &link).unwrap();
        room.commit("outside", &[]);
        assert_eq!(
            found(&checkouts),
            "outside refused: the link deep/out leads out of the repository",
            "{target}"
        );
    }
    assert_eq!(running(&checkouts), "inside");
}

#[test]
fn what_a_killed_git_left_behind_is_cleared_away() {
    let room = Room::new();
    let checkouts = room.checkouts();
    room.write("a.yaml", MANIFEST);
    room.commit("one", &[]);
    found(&checkouts);
    let place = checkouts.root().parent().unwrap().to_owned();
    let next = room.commit("two", &[]);
    for left in [
        "repository/refs/invigil/fetched.lock",
        "repository/packed-refs.lock",
        "repository/objects/pack/tmp_pack_x",
    ] {
        fs::write(place.join(left), "").unwrap();
    }
    fs::create_dir(place.join(REVISIONS).join(format!(".{next}.new"))).unwrap();
    fs::write(place.join(".current.new"), "").unwrap();
    assert_eq!(found(&checkouts), "next: two");
    assert!(!place.join("repository/objects/pack/tmp_pack_x").exists());
    // A clone that never got far: what is fetched again tells as much as before.
    fs::remove_file(place.join("repository/HEAD")).unwrap();
    room.commit("three", &[]);
    assert_eq!(found(&checkouts), "next: three");
    fs::remove_file(place.join("repository/HEAD")).unwrap();
    room.git(&["checkout", "--quiet", "--orphan", "else"]);
    room.commit("four", &[]);
    room.git(&["branch", "--quiet", "--force", "main"]);
    let told = found(&checkouts);
    assert!(told.starts_with("four refused: its history was rewritten or went back"), "{told}");
    assert!(checkouts.root().join("a.yaml").exists());
}

#[test]
fn what_runs_is_there_again_when_its_files_are_lost() {
    let room = Room::new();
    let checkouts = room.checkouts();
    room.write("a.yaml", MANIFEST);
    let commit = room.commit("one", &[]);
    found(&checkouts);
    let files = checkouts.root().parent().unwrap().join(REVISIONS).join(commit);
    fs::remove_dir_all(&files).unwrap();
    assert_eq!(running(&checkouts), "one", "the network is not needed");
    assert!(checkouts.root().join("a.yaml").exists());
    fs::remove_dir_all(&files).unwrap();
    assert_eq!(found(&checkouts), "next: one");
    assert!(checkouts.root().join("a.yaml").exists());
}

#[test]
fn a_fetch_ends_when_the_daemon_does() {
    // Somebody who listens, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let room = Room::new();
    let url = format!("http://{}/x.git", silent.local_addr().unwrap());
    let checkouts = room.with(|terms| terms.url = url.parse().unwrap());
    let stopping = checkouts.clone();
    let fetching = std::thread::spawn(move || found(&checkouts));
    // It has asked.
    let _asked = silent.accept().unwrap();
    stopping.stop();
    assert_eq!(fetching.join().unwrap(), "error: invigil stops");
}

#[test]
fn what_git_would_take_for_an_option_or_a_program_is_no_address() {
    let bad = [
        "--upload-pack=touch x",
        "-x",
        "ext::sh",
        "remote-x::sh",
        "::x",
        "fd::3",
        "",
        "exam",
        "../exam",
        "ftp://h/x",
        "https://h/\u{1b}x",
        "https://h/x?token=y",
        "https://a:b%0ac@h/x",
        "ssh://git:hunter2@h/x",
    ];
    for url in bad {
        assert!(url.parse::<Url>().is_err(), "{url}");
    }
    for url in [
        "https://h/x.git",
        "ssh://git@h:22/x",
        "git@h:exams/x.git",
        "/srv/git/x.git",
        "file:///srv/x",
        "backup:x",
    ] {
        assert!(url.parse::<Url>().is_ok(), "{url}");
    }
    for reference in
        ["--upload-pack=x", "a:b", "a..b", "a b", "", "/a", "a/", "@", "a@{1}", "x.lock", "^main", "a\u{1b}"]
    {
        assert!(reference.parse::<Reference>().is_err(), "{reference}");
    }
    for directory in ["..", "/etc", "a/../b", "\u{1b}"] {
        assert!(directory.parse::<SubDirectory>().is_err(), "{directory}");
    }
    assert_eq!("./a//b/".parse::<SubDirectory>().unwrap().to_string(), "a/b");
}

#[test]
fn law_12_a_password_in_an_address_is_told_nowhere() {
    let room = Room::new();
    // Nobody listens at this port.
    let checkouts = room.with(|terms| terms.url = "http://slq:hunter2@127.0.0.1:1/x.git".parse().unwrap());
    let told = found(&checkouts);
    assert!(told.starts_with("error: http://slq:(hidden)@127.0.0.1:1/x.git cannot be fetched: "), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    assert!(!format!("{checkouts:?}").contains("hunter2"));
}

#[test]
fn law_12_a_login_reaches_its_host_and_no_argument_that_others_read() {
    use std::io::{BufRead, BufReader, Write};
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let room = Room::new();
    let url = format!("http://slq:hunter%402@{address}/x.git");
    let checkouts = room.with(|terms| terms.url = url.parse().unwrap());
    let fetching = std::thread::spawn(move || found(&checkouts));
    let mut logins = Vec::new();
    let mut arguments = Vec::new();
    for stream in server.incoming() {
        let mut stream = stream.unwrap();
        // Whoever asks waits for the answer, its arguments and its parents' for everybody to be read.
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            arguments.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
        let head = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
        logins.extend(head.iter().filter_map(|line| line.strip_prefix("Authorization: ")).map(str::to_owned));
        let code = if logins.is_empty() { "401 Unauthorized" } else { "404 Not Found" };
        let answer = format!(
            "HTTP/1.1 {code}\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).unwrap();
        if !logins.is_empty() {
            break;
        }
    }
    drop(server);
    let told = fetching.join().unwrap();
    assert_eq!(logins, ["Basic c2xxOmh1bnRlckAy"], "slq:hunter@2");
    assert!(arguments.iter().any(|line| line.contains("/x.git")), "{arguments:#?}");
    assert!(!arguments.iter().any(|line| line.contains("hunter")), "{arguments:#?}");
    assert!(
        told.starts_with(&format!("error: http://slq:(hidden)@{address}/x.git cannot be fetched: ")),
        "{told}"
    );
    assert!(!told.contains("hunter"), "{told}");
}
