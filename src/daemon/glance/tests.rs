use super::*;

fn line(text: &str) -> Line {
    Line { is_error: false, time: "2018-07-06T08:34:00Z".to_owned(), bytes: text.as_bytes().to_vec() }
}

fn shown(text: &str, secrets: &[&str]) -> String {
    written(&line(text), &Hidden::of(secrets.iter().copied())).text
}

#[test]
fn law_13_a_line_loses_what_a_terminal_obeys_and_shows_what_turns_text_round() {
    assert_eq!(shown("\u{1b}[1;31mred\u{1b}[0m\tplain", &[]), "red\tplain");
    assert_eq!(shown("\u{1b}[2Ja\u{1b}]0;title\u{7}\rb\u{9b}c\u{8}", &[]), "abc");
    assert_eq!(shown("\u{202e}<b>第8题", &[]), "\\u{202e}<b>第8题");
}

#[test]
fn law_12_what_a_container_was_given_as_a_secret_is_not_repeated() {
    assert_eq!(shown("logs in with s3cret!", &["s3cret!"]), "logs in with (hidden)");
    assert_eq!(shown("s3\u{1b}[0mcret!", &["s3cret!"]), "(hidden)");
    let config = serde_json::json!({
        "Env": ["DB_PASSWORD=hunter2", "LANG=de"], "Entrypoint": ["app", "--secret=hunter3"], "Cmd": ["--pwd", "hunter4"],
        "Healthcheck": {"Test": ["CMD", "check", "--token", "hunter5"]},
    });
    let told = written(&line("hunter2 hunter3, hunter4: hunter5 de"), &hidden(&config)).text;
    assert_eq!(told, "(hidden) (hidden), (hidden): (hidden) de");
    let told = shown("DB_PASSWORD=abc postgres://exam:word@db/", &[]);
    assert!(!told.contains("abc") && !told.contains("word@"), "{told}");
}

#[test]
fn a_line_of_many_urls_takes_no_longer_than_another_one() {
    // Where each is looked at to the end of all, this takes minutes.
    let told = shown(&"://".repeat(350_000), &[]);
    assert!(told.starts_with("://://") && told.ends_with('…'), "{}", &told[..16]);
}

#[test]
fn however_much_is_written_the_last_hundred_lines_and_64_kib_are_kept() {
    let kept = |lines: &[String]| {
        let mut last = Last::default();
        for text in lines {
            last.push(written(&line(text), &Hidden::default()));
        }
        assert_eq!(last.bytes, last.lines.iter().map(|line| line.text.len()).sum::<usize>());
        last.lines
    };
    let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let lines = kept(&many);
    assert_eq!((lines.len(), &*lines[0].text, &*lines[99].text), (100, "900", "999"));
    let long: Vec<String> = (0..50).map(|number| format!("{number} {}", "第".repeat(1 << 20))).collect();
    let lines = kept(&long);
    assert!(lines.iter().map(|line| line.text.len()).sum::<usize>() <= BYTES_MAX);
    assert!(lines.len() >= 3 && lines.back().unwrap().text.starts_with("49 第"));
    assert!(lines.iter().all(|line| line.text.ends_with('…')));
}
