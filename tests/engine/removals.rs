//! What takes something away is asked for, and bounded (law 4). On an engine, with networks, which are
//! made and removed fastest.

#![allow(clippy::unwrap_used, reason = "a test stops where a value is not there")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use invigil::turn::{Turn, Turns};

struct Networks {
    dir: tempfile::TempDir,
    state: tempfile::TempDir,
    prefix: String,
}

impl Networks {
    fn new(test: &str, count: usize) -> Self {
        let networks = Self {
            dir: tempfile::tempdir().unwrap(),
            state: tempfile::tempdir().unwrap(),
            prefix: format!("ivr-{test}-{}", std::process::id()),
        };
        for number in 1..=count {
            let name = format!("{}-{number}", networks.prefix);
            let text = format!(
                "apiVersion: invigil/v1\nkind: Network\nmetadata: {{name: {name}}}\nspec: {{internal: true}}\n"
            );
            fs::write(networks.dir.path().join(format!("{number}.yaml")), text).unwrap();
        }
        networks
    }

    /// Exit code and both outputs, with the names' beginning as `@`.
    fn invigil(&self, arguments: &[&str], path: &str) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_invigil"));
        command.args(arguments).args(["--owner", &self.prefix, "--state-dir"]).arg(self.state.path());
        if !["suspend", "resume"].contains(&arguments[0]) {
            command.arg(self.dir.path().join(path));
        }
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
        (status.code(), text.replace(&format!("{}-", self.prefix), "@"))
    }

    /// The turn of this owner, until it is dropped.
    fn turn(&self) -> Turn {
        let turns = Turns::of(&self.prefix.parse().unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(turns.pass(|_| {})).unwrap()
    }

    /// Runs while somebody else has the turn; `meanwhile` happens once it waits. What it says after that.
    fn waiting(&self, arguments: &[&str], meanwhile: impl FnOnce()) -> String {
        let turn = self.turn();
        let mut command = Command::new(env!("CARGO_BIN_EXE_invigil"));
        command.args(arguments).args(["--owner", &self.prefix, "--state-dir"]).arg(self.state.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut talk = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        talk.read_line(&mut line).unwrap();
        let process = std::process::id();
        assert_eq!(line, format!("Waiting for process {process}, which makes a pass for this owner.\n"));
        assert_eq!(child.try_wait().unwrap(), None);
        meanwhile();
        drop(turn);
        let mut told = String::new();
        child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
        talk.read_to_string(&mut told).unwrap();
        child.wait().unwrap();
        told.replace(&format!("{}-", self.prefix), "@")
    }

    fn remove(&self, number: usize) {
        fs::remove_file(self.dir.path().join(format!("{number}.yaml"))).unwrap();
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        let _ = fs::remove_file(format!("/run/invigil/{}.pass.lock", self.prefix));
        for number in 1..=4 {
            let _ =
                Command::new("docker").args(["network", "rm", &format!("{}-{number}", self.prefix)]).output();
        }
    }
}

#[test]
fn law_4_what_takes_something_away_is_asked_for_and_bounded() {
    let networks = Networks::new("budget", 4);
    assert_eq!(networks.invigil(&["apply"], "").0, Some(0));
    for number in 1..=3 {
        networks.remove(number);
    }
    let why = "3 of 4 networks would be removed, and at most 2 may be in one pass; `invigil apply --allow-removals 3` approves it";
    let each = |told: &str| ["1", "2", "3"].map(|number| format!("network/@{number}  {told}\n")).concat();
    let kept = each(&format!("kept   {why}"));
    assert_eq!(
        networks.invigil(&["apply"], ""),
        (Some(0), format!("{kept}\nNothing to do; 1 unchanged, 3 kept.\n"))
    );

    let removed = each("remove   no longer in the manifests");
    let plan = format!("{removed}\nPlan: 3 to remove; 1 unchanged.\n");
    assert_eq!(networks.invigil(&["plan", "--allow-removals", "3"], ""), (Some(0), plan.clone()));
    assert_eq!(
        networks.invigil(&["apply", "--allow-removals", "3"], ""),
        (
            Some(1),
            format!(
                "{plan}error: this replaces, removes or stops what is there, and there is no terminal to ask at\n\
                 hint: `--yes` says that it is meant; nothing was changed\n"
            )
        )
    );
    let one_file =
        "one file was named, and others may describe it; name the directory to remove what none does";
    let (code, told) = networks.invigil(&["apply", "--yes", "--allow-removals", "3"], "4.yaml");
    assert_eq!((code, told.matches(one_file).count()), (Some(0), 3), "{told}");

    assert_eq!(networks.invigil(&["apply", "--yes", "--max-removal-share", "75"], "").0, Some(0));
    assert_eq!(
        networks.invigil(&["plan", "--detailed-exitcode"], ""),
        (Some(0), "Nothing to do; 1 unchanged.\n".to_owned())
    );
}

#[test]
fn prune_removes_what_no_manifest_describes_and_nothing_else() {
    let networks = Networks::new("prune", 4);
    let late = fs::read_to_string(networks.dir.path().join("4.yaml")).unwrap();
    networks.remove(4);
    assert_eq!(networks.invigil(&["apply"], "").0, Some(0));
    networks.remove(1);
    fs::write(networks.dir.path().join("4.yaml"), late).unwrap();
    let plan =
        "network/@1  remove   no longer in the manifests\n\nPlan: 1 to remove; 2 unchanged.\n".to_owned();
    assert_eq!(networks.invigil(&["prune", "--dry-run"], ""), (Some(0), plan.clone()));
    let refused = "error: this replaces, removes or stops what is there, and there is no terminal to ask at\n\
                   hint: `--yes` says that it is meant; nothing was changed\n";
    assert_eq!(networks.invigil(&["prune"], ""), (Some(1), format!("{plan}{refused}")));
    let (code, told) = networks.invigil(&["prune", "--yes"], "");
    assert!(code == Some(0) && told.starts_with(&format!("{plan}\nApplied: 1 done.\n")), "{told}");
    assert_eq!(
        networks.invigil(&["prune", "--yes"], ""),
        (Some(0), "Nothing to do; 2 unchanged.\n".to_owned())
    );
    let create = "network/@4  create\n\nPlan: 1 to create; 2 unchanged.\n".to_owned();
    assert_eq!(networks.invigil(&["plan"], ""), (Some(0), create));
    // The limits of removals hold, and so do those of one file.
    networks.remove(2);
    networks.remove(3);
    networks.remove(4);
    let (code, told) = networks.invigil(&["prune", "--yes"], "");
    assert!(code == Some(0) && told.contains("there is no manifest at all, so nothing is removed"), "{told}");
}

#[test]
fn a_suspended_host_is_left_as_it_is_until_it_is_resumed() {
    let networks = Networks::new("pause", 1);
    let owner = networks.prefix.clone();
    let suspended = format!(
        "Suspended: nothing of owner {owner} is changed on this host until `invigil resume`.\n"
    ) + &format!(
        "No daemon of owner {owner} runs on this host. One of another owner goes on: `--owner` says which is meant.\n"
    );
    assert_eq!(networks.invigil(&["suspend", "--reason", "the exam runs"], ""), (Some(0), suspended));
    let told = "network/@1  create   (the host is suspended: the exam runs)\n\
                warning: the host is suspended: the exam runs; nothing is changed until `invigil resume`\n\n\
                Nothing to do; 0 unchanged, 1 suspended.\n";
    assert_eq!(networks.invigil(&["plan"], ""), (Some(0), told.to_owned()));
    assert_eq!(networks.invigil(&["apply", "--yes"], ""), (Some(0), told.to_owned()));
    let resumed = format!("Resumed: owner {owner} was suspended (the exam runs).\n");
    assert_eq!(networks.invigil(&["resume"], ""), (Some(0), resumed));
    assert_eq!(networks.invigil(&["apply"], "").0, Some(0));
    let not = format!("Owner {owner} was not suspended on this host.\n");
    assert_eq!(networks.invigil(&["resume"], ""), (Some(0), not));
}

#[test]
fn an_apply_that_waited_does_what_is_wanted_when_its_turn_comes() {
    let networks = Networks::new("turn", 2);
    let path = networks.dir.path().to_str().unwrap();
    let second = fs::read_to_string(networks.dir.path().join("2.yaml")).unwrap();
    networks.remove(2);
    let told = networks.waiting(&["apply", "--yes", path], || {
        fs::write(networks.dir.path().join("2.yaml"), second).unwrap();
    });
    let made = "network/@1  create\nnetwork/@2  create\n\nPlan: 2 to create; 0 unchanged.\n";
    assert!(told.starts_with(made), "{told}");
}

#[test]
fn a_suspension_is_told_once_no_pass_is_under_way() {
    let networks = Networks::new("brake", 0);
    let suspended = networks.state.path().join(format!("{}.suspended", networks.prefix));
    let told = networks.waiting(&["suspend"], || assert!(suspended.exists()));
    assert!(told.starts_with("Suspended: nothing of owner "), "{told}");
    // A reason that cannot be read is a suspension, too.
    fs::remove_file(&suspended).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &suspended).unwrap();
    let told = format!("Resumed: owner {} was suspended.\n", networks.prefix);
    assert_eq!(networks.invigil(&["resume"], ""), (Some(0), told));
}

#[test]
fn a_saved_plan_is_carried_out_or_refused_and_never_something_else() {
    let networks = Networks::new("saved", 4);
    assert_eq!(networks.invigil(&["apply"], "").0, Some(0));
    for number in 1..=3 {
        networks.remove(number);
    }
    let file = networks.state.path().join("tomorrow.plan");
    let file = file.to_str().unwrap();
    let other = networks.state.path().join("tomorrow.new");
    fs::write(&other, "somebody's").unwrap();
    assert_eq!(networks.invigil(&["plan", "--allow-removals", "3", "--out", file], "").0, Some(0));
    assert_eq!(fs::read_to_string(other).unwrap(), "somebody's");
    let directory = networks.state.path().to_str().unwrap();
    let (code, told) = networks.invigil(&["plan", "--out", directory], "");
    assert_eq!(code, Some(1));
    assert!(told.contains(&format!("error: {directory} is there, and no regular file\n")), "{told}");
    let apply = |plan: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_invigil"));
        command
            .args(["apply", "--owner", &networks.prefix, "--plan", plan, "--state-dir"])
            .arg(networks.state.path());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
        (status.code(), text.replace(&format!("{}-", networks.prefix), "@"))
    };
    let gone = format!("{}-3", networks.prefix);
    assert!(Command::new("docker").args(["network", "rm", &gone]).status().unwrap().success());
    assert_eq!(
        apply(file),
        (
            Some(1),
            "- network/@3  remove   no longer in the manifests\n- Plan: 3 to remove; 1 unchanged.\n\
             + Plan: 2 to remove; 1 unchanged.\n\
             error: what is there, or wanted, has changed since the plan was made\n\
             hint: make the plan anew and read it; nothing was changed\n"
                .to_owned()
        )
    );
    assert_eq!(networks.invigil(&["plan", "--allow-removals", "2", "--out", file], "").0, Some(0));
    // Not a difference that a plan shows, and one all the same.
    let manifest = networks.dir.path().join("4.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("# note\n{text}")).unwrap();
    let (code, told) = apply(file);
    assert_eq!(code, Some(1));
    assert!(
        told.contains(
            "error: the manifests, or the files that they name, have changed since the plan was made\n"
        ),
        "{told}"
    );
    fs::write(&manifest, text).unwrap();
    let (code, told) = apply(file);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(networks.invigil(&["plan"], ""), (Some(0), "Nothing to do; 1 unchanged.\n".to_owned()));
    fs::write(file, "{}").unwrap();
    let (code, told) = apply(file);
    assert_eq!(code, Some(1));
    assert!(told.contains("is not a plan that `invigil plan --out` wrote"), "{told}");
}

#[test]
fn a_saved_plan_is_refused_where_a_file_that_a_manifest_names_says_something_else() {
    let networks = Networks::new("named", 0);
    let name = networks.prefix.clone();
    fs::write(
        networks.dir.path().join("web.yaml"),
        format!(
            "apiVersion: invigil/v1\nkind: Container\nmetadata: {{name: {name}}}\n\
             spec: {{image: busybox, state: created, envFiles: [web.env], files: [{{path: /x, source: x}}]}}\n"
        ),
    )
    .unwrap();
    let (secret, content) = (networks.dir.path().join("web.env"), networks.dir.path().join("x"));
    let saved = networks.state.path().join("plan");
    let saved = saved.to_str().unwrap();
    for changed in [&secret, &content] {
        fs::write(&secret, "API_KEY=one\n").unwrap();
        fs::write(&content, "one\n").unwrap();
        let (code, told) = networks.invigil(&["plan", "--out", saved], "");
        assert_eq!(code, Some(0), "{told}");
        fs::write(changed, "API_KEY=two\n").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_invigil"))
            .args(["apply", "--owner", &networks.prefix, "--plan", saved, "--state-dir"])
            .arg(networks.state.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        let why = "error: the manifests, or the files that they name, have changed since the plan was made\n";
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn law_13_a_plan_as_json_steers_no_terminal() {
    let networks = Networks::new("json", 0);
    fs::write(networks.dir.path().join("a\u{9b}2J.yaml"), "{").unwrap();
    let (code, told) = networks.invigil(&["plan", "-o", "json"], "");
    assert_eq!(code, Some(1));
    assert!(told.contains("a\\u009b2J.yaml") && !told.contains('\u{9b}'), "{told:?}");
}
