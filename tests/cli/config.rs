//! The configuration: what is in force, where it comes from, and what is wrong with it.

use super::{GOOD, Test};

/// The line of a setting.
fn line(test: &Test, setting: &str) -> String {
    let output = test.run();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(setting));
    let words: Vec<&str> =
        line.unwrap_or_else(|| panic!("no {setting} in\n{text}")).split_whitespace().collect();
    words.join(" ").replace(&test.dir.path().display().to_string(), "DIR")
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_file_which_wins_over_the_default() {
    let configured = |arguments: &[&str]| {
        Test::new(&[&["config", "--config", "config.yaml"], arguments].concat())
            .file("config.yaml", "interval: 20s\nmanifests: exams\n")
    };
    assert_eq!(
        line(&configured(&["--interval", "5s"]).env("INVIGIL_INTERVAL", "10s"), "interval"),
        "interval 5s --interval"
    );
    assert_eq!(
        line(&configured(&[]).env("INVIGIL_INTERVAL", "10s"), "interval"),
        "interval 10s INVIGIL_INTERVAL"
    );
    assert_eq!(line(&configured(&[]), "interval"), "interval 20s config.yaml:1:11");
    assert_eq!(line(&configured(&[]), "owner"), "owner default default");
    assert_eq!(line(&configured(&[]), "examServer"), "examServer - default");
    // A relative path starts from the file's own directory.
    assert_eq!(line(&configured(&[]), "manifests"), "manifests DIR/exams config.yaml:2:12");
    assert_eq!(line(&configured(&["here"]), "manifests"), "manifests here PATH");
    // The environment names the file, too.
    let test =
        Test::new(&["config"]).env("INVIGIL_CONFIG", "config.yaml").file("config.yaml", "owner: room-2\n");
    assert_eq!(line(&test, "owner"), "owner room-2 config.yaml:1:8");
}

#[test]
fn what_the_daemon_would_not_start_with_is_told_beside_what_is_in_force() {
    let output = Test::new(&["config", "--config", "config.yaml"])
        .file(
            "config.yaml",
            "manifests: exams\ngit: {url: 'https://forge.example/exams.git', webhookSecretFile: nowhere}\n\
             notify:\n  mail: {server: mail.example.org}\n  program: nobody\nexamServer: nothing\n",
        )
        .run();
    let (shown, told) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(shown.contains("notify.mail.server"), "{shown}");
    let heads: Vec<&str> = told.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(heads, ["error: the daemon would not start with these settings"; 5], "{told}");
    for cause in [
        "a directory of manifests and a Git repository are given\nhint: leave one out: PATH",
        "nowhere\n  caused by: No such file or directory",
        "the exam server",
        "the program that is to be notified",
        "nobody who writes, or nobody to write to\nhint: say both: `notify.mail.from` and `notify.mail.to`",
    ] {
        assert!(told.contains(cause), "{cause}\n{told}");
    }
}

#[test]
fn what_is_for_the_daemon_alone_to_read_is_not_called_wrong() {
    let output = Test::new(&["config", "--config", "config.yaml"])
        .file(
            "config.yaml",
            "git:\n  url: https://forge.example/exams.git\n  webhookSecretFile: /run/credentials/invigil.service/webhook\n",
        )
        .run();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let head = "warning: not looked at, since it is for the daemon alone: while reading the webhook's secret, /run/credentials";
    assert!(told.starts_with(head), "{told}");
}

#[test]
fn of_a_webhook_that_is_told_the_path_is_not_shown() {
    let test = Test::new(&["config", "--config", "config.yaml"])
        .file("config.yaml", "notify:\n  webhook: {url: 'https://example.org/T0/canary'}\n");
    assert_eq!(line(&test, "notify.webhook.url"), "notify.webhook.url https://example.org config.yaml:2:18");
}

#[test]
fn what_is_in_force_is_there_for_programs_too_and_passwords_are_not() {
    let output = Test::new(&["config", "-o", "json", "--config", "config.yaml"])
        .file("config.yaml", "host: tcp://exam:hunter2@10.0.0.5:2375\n")
        .run();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        document["settings"]["host"],
        serde_json::json!({
            "value": "tcp://exam:(hidden)@10.0.0.5:2375",
            "source": "file",
            "from": "config.yaml:1:7",
            "flag": "--host",
            "variable": "DOCKER_HOST",
        })
    );
    let value = |setting: &str| &document["settings"][setting]["value"];
    assert_eq!(*value("examServer"), serde_json::Value::Null);
    assert_eq!(*value("git.requireSignedCommits"), false);
    assert_eq!(*value("maxRemovals"), 50);
    assert_eq!(
        *value("notify.events"),
        serde_json::json!(["failure", "recovery", "withheld", "interference", "source"])
    );
    assert_eq!(document["formatVersion"], 1);
    assert_eq!(document["file"], "config.yaml");
}

#[test]
fn commands_do_what_the_configuration_says() {
    Test::new(&["validate", "--config", "config.yaml"])
        .file("config.yaml", "manifests: m\n")
        .file("m/v.yaml", GOOD)
        .says(0, "1 valid manifest, 0 errors, 0 warnings\n", "");
    Test::new(&["status"]).env("INVIGIL_CONFIG", "config.yaml").file("config.yaml", "owner: room-2\n").says(
        1,
        "",
        "error: no daemon of owner room-2 runs on this host\n\
         hint: start it with `invigil run`, or name another owner with --owner; `invigil plan` needs no daemon\n",
    );
    Test::new(&["ping", "--config", "config.yaml"]).file("config.yaml", "host: unix:///nowhere.sock\n").says(
        1,
        "",
        "error: no engine answers at unix:///nowhere.sock: there is no socket /nowhere.sock\n\
             hint: is the engine running, and may you use it? DOCKER_HOST says where it is looked for\n",
    );
}

#[test]
fn how_an_engine_is_reached_by_tls_is_a_setting_like_any_other() {
    let told = |test: Test, directory: &str| {
        let output = test.run();
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = format!("no engine answers at tcp://127.0.0.1:1: {directory}/ca.pem cannot be read");
        assert!(said.contains(&expected), "{expected}\n{said}");
    };
    let by_file = "host: tcp://127.0.0.1:1\ntlsVerify: true\ncertPath: certs\n";
    let ping = |arguments: &[&str]| Test::new(&[&["ping"], arguments].concat());
    let from_file = ping(&["--config", "config.yaml"]).file("config.yaml", by_file);
    let directory = from_file.dir.path().join("certs").display().to_string();
    told(from_file, &directory);
    told(ping(&["--host", "tcp://127.0.0.1:1", "--tls-verify", "--cert-path", "here"]), "here");
    let by_variables = ping(&[]).env("DOCKER_HOST", "tcp://127.0.0.1:1").env("DOCKER_TLS_VERIFY", "1");
    told(by_variables.env("DOCKER_CERT_PATH", "").env("DOCKER_CONFIG", "docker"), "docker");
    // An empty variable is none, as with Docker's own program.
    let output = ping(&["--host", "tcp://127.0.0.1:1"]).env("DOCKER_TLS_VERIFY", "").run();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("ca.pem"), "{said}");
}

#[test]
fn a_wrong_configuration_is_told_whole_by_every_command_that_takes_settings() {
    for command in ["validate", "plan", "run", "status", "config"] {
        Test::new(&[command, "--config", "config.yaml"])
            .file("config.yaml", "ownr: room-2\nmaxRemovals: -1\n")
            .says(
                1,
                "",
                "config.yaml:1:1: ownr: unknown setting `ownr`\n  hint: did you mean `owner`?\n\
                 config.yaml:2:14: maxRemovals: expected a whole number, found -1\n",
            );
    }
}

#[test]
fn a_configuration_that_was_named_and_is_not_there_is_an_error() {
    let told = "error: cannot read the configuration nowhere.yaml: No such file or directory (os error 2)\n\
                hint: `--config` or INVIGIL_CONFIG names another; with /dev/null there is none\n";
    Test::new(&["validate", "--config", "nowhere.yaml"]).says(1, "", told);
    Test::new(&["validate"]).env("INVIGIL_CONFIG", "nowhere.yaml").says(1, "", told);
    Test::new(&["validate", "m", "--config", "/dev/null"]).file("m/v.yaml", GOOD).says(
        0,
        "1 valid manifest, 0 errors, 0 warnings\n",
        "",
    );
}

#[test]
fn where_the_daemon_follows_a_repository_what_it_has_of_that_is_meant() {
    let git = "owner: room-2\nstateDir: state\ngit:\n  url: https://forge.example/exams.git\n  path: exams\n";
    let validate = |arguments: &[&str]| {
        Test::new(&[&["validate", "--config", "config.yaml"], arguments].concat())
            .file("config.yaml", git)
            .running("room-2", "exams/v.yaml", GOOD)
            .running("room-3", "exams/v.yaml", "kind: []\n")
            .file("mine/v.yaml", GOOD)
            .file("mine/w.yaml", &GOOD.replace("responses", "answers"))
    };
    let (one, two) =
        ("1 valid manifest, 0 errors, 0 warnings\n", "2 valid manifests, 0 errors, 0 warnings\n");
    validate(&[]).says(0, one, "");
    validate(&["mine"]).says(0, two, "");
    validate(&[]).env("INVIGIL_MANIFESTS", "mine").says(0, two, "");
    // The daemon would not know which of the two is meant, and nothing else is guessed here.
    Test::new(&["validate", "--config", "config.yaml"])
        .file("config.yaml", &format!("manifests: mine\n{git}"))
        .file("mine/v.yaml", GOOD)
        .says(0, one, "");
    Test::new(&["validate"])
        .env("INVIGIL_GIT_URL", "https://forge.example/exams.git")
        .env("INVIGIL_STATE_DIR", "state")
        .running("default", "v.yaml", GOOD)
        .says(0, one, "");
    // As it is with the daemon, the variable is louder than the file.
    Test::new(&["validate", "--config", "config.yaml"])
        .env("INVIGIL_GIT_URL", "https://forge.example/exams.git")
        .file("config.yaml", "manifests: mine\nstateDir: state\n")
        .running("default", "v.yaml", GOOD)
        .says(0, one, "");
    // None runs yet.
    Test::new(&["validate", "--config", "config.yaml"]).file("config.yaml", git).says(
        1,
        "",
        "error: no revision of https://forge.example/exams.git runs\n\
         hint: `invigil status` says why; PATH names other manifests\n",
    );
    // What is wrong with settings of Git is nothing to who follows no repository.
    Test::new(&["validate"])
        .env("INVIGIL_GIT_EVERY", "30")
        .env("INVIGIL_MANIFESTS", "mine")
        .file("mine/v.yaml", GOOD)
        .says(0, one, "");
}

#[test]
fn what_is_locked_is_not_written_where_the_next_commit_would_take_it_away() {
    let output = Test::new(&["lock", "--config", "config.yaml"])
        .file("config.yaml", "stateDir: state\ngit:\n  url: https://forge.example/exams.git\n")
        .running("default", "v.yaml", GOOD)
        .run();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let why = "name a clone of the repository as PATH, and commit invigil.lock";
    assert!(told.contains(why), "{told}");
}

#[test]
fn help_is_the_same_whatever_the_configuration_says() {
    let plain = Test::new(&["run", "--help"]).run();
    let configured = Test::new(&["run", "--help"])
        .env("INVIGIL_CONFIG", "config.yaml")
        .file("config.yaml", "owner: room-2\n")
        .run();
    assert_eq!(plain.stdout, configured.stdout);
}

#[test]
fn manifests_come_from_one_place_and_of_two_the_louder_one_counts() {
    Test::new(&["run", "exams", "--git", "https://forge.example/exams.git"]).says(
        1,
        "",
        "error: a directory of manifests and a Git repository are given\n\
         hint: leave one out: PATH, INVIGIL_MANIFESTS, `manifests`; or --git, INVIGIL_GIT_URL, `git.url`\n",
    );
    Test::new(&["run", "--config", "config.yaml"])
        .file("config.yaml", "manifests: exams\ngit:\n  url: https://forge.example/exams.git\n")
        .says(
            1,
            "",
            "error: a directory of manifests and a Git repository are given\n\
             hint: leave one out: PATH, INVIGIL_MANIFESTS, `manifests`; or --git, INVIGIL_GIT_URL, `git.url`\n",
        );
}

#[test]
fn a_webhook_without_a_repository_is_an_error() {
    Test::new(&["run", "exams", "--webhook-secret-file", "secret"])
        .file("secret", "a secret of a forge\n")
        .says(
            1,
            "",
            "error: a webhook has a secret, but there is no Git repository that it could have fetched\n\
         hint: name the repository (--git, INVIGIL_GIT_URL, `git.url`), or leave the secret out\n",
        );
}

#[test]
fn manifests_that_are_to_be_signed_and_come_from_no_repository_are_an_error() {
    Test::new(&["run", "exams", "--require-signed-commits"]).says(
        1,
        "",
        "error: commits are to be signed, but there is no Git repository that they could come from\n\
         hint: name the repository (--git, INVIGIL_GIT_URL, `git.url`), or leave requireSignedCommits out\n",
    );
}

#[test]
fn law_12_a_password_in_a_repositorys_address_is_not_told_where_the_address_is_wrong() {
    let output = Test::new(&["run", "--git", "https://slq:hunter2@forge.example/x?y"]).run();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("an address of a repository has no `?` and no `#`"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}
