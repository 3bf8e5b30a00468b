use super::*;
use crate::daemon::glance::{Glance, Trouble, Written};
use crate::engine::Manner;
use crate::engine::Usage;
use crate::fields::Told;
use crate::html::language::Language;
use crate::resource::name::ResourceId;
use crate::source::git::Commit;
use crate::status::{Action, Condition, Outcome, Source, Standing, Status, WantedCommit};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const HOSTILE: &str = "</p><script>alert(1)</script>\u{1b}[31m\u{202e}'\"&";

fn status(resources: &[(&str, Condition, &str)]) -> Status {
    let mut status = Status::new("exam", NOW);
    status.looked = Some(NOW);
    for (id, condition, reason) in resources {
        let standing = Standing {
            condition: *condition,
            since: NOW,
            legacy_image_id: None,
            reason: (*reason).to_owned(),
            stage: None,
            next_try: None,
            difference: Vec::new(),
            output: std::collections::VecDeque::default(),
        };
        status.resources.insert(id.parse().unwrap(), standing);
    }
    status
}

fn shown(status: &Status, language: Language) -> String {
    room(status, language, NOW).iter().map(ToString::to_string).collect()
}

fn commit(text: &str) -> Commit {
    Commit { commit: text.to_owned(), subject: text.to_owned(), authored: NOW }
}

fn sentence(html: &str) -> &str {
    html.split("</svg>").nth(1).unwrap().split("</h1>").next().unwrap()
}

#[test]
fn the_sentence_says_the_worst_first() {
    let (ready, busy, bad) = (
        ("container/seat-01", Condition::Ready, ""),
        ("container/seat-02", Condition::Progressing, "create"),
        ("container/seat-03", Condition::Stalled, "failed"),
    );
    let said = |status: &Status, language| sentence(&shown(status, language)).to_owned();
    let english = |resources: &[_]| said(&status(resources), Language::English);
    assert_eq!(english(&[ready, busy, bad]), "1 of 3 needs attention");
    assert_eq!(english(&[ready, busy]), "1 of 2 is being made ready");
    let left = ("container/seat-04", Condition::Suspended, "suspended");
    assert_eq!(english(&[ready, left]), "1 of 2 is suspended, and left as it is");
    assert_eq!(english(&[ready, ("image/app", Condition::Kept, "")]), "All 2 are well");
    assert_eq!(english(&[]), "There is nothing to keep");
    assert_eq!(said(&status(&[ready, busy, bad]), Language::Chinese), "1 项需要处理（共 3 项）");
    // What was ready at the last look is not called well when nothing can be looked at.
    let mut blind = status(&[ready]);
    blind.trouble("no engine answers");
    assert_eq!(said(&blind, Language::English), "Cannot look at how things stand");
    // A manifest that cannot be read may have described anything.
    let mut wrong = status(&[ready]);
    wrong.errors.push("a.yaml:1:1: no YAML".to_owned());
    assert_eq!(said(&wrong, Language::English), "Errors in the manifests");
    // What was committed is not there, however well the rest is; one that is about to run is no trouble.
    let mut committed = status(&[ready]);
    let wanted = |refused| Some(WantedCommit { commit: commit("8f3a"), refused });
    committed.source = Some(Source { wanted: wanted(None), ..Source::default() });
    assert_eq!(said(&committed, Language::English), "All is well (1)");
    committed.source = Some(Source { wanted: wanted(Some("unsigned".to_owned())), ..Source::default() });
    assert_eq!(said(&committed, Language::English), "What was committed last does not run");
    assert_eq!(said(&committed, Language::Chinese), "已提交的版本未生效");
    assert!(shown(&committed, Language::English).contains("<div id=\"head\" class=\"head Stalled\">"));
    assert_eq!(said(&Status::new("exam", NOW), Language::English), "Nothing has been looked at yet");
}

#[test]
fn each_condition_has_a_shape_and_a_word_of_its_own() {
    for language in [Language::English, Language::Chinese] {
        let mut words = std::collections::BTreeSet::new();
        for condition in Condition::ALL {
            let html = shown(&status(&[("container/seat", condition, "")]), language);
            let tile =
                html.split("<li id=\"tile-container-seat\"").nth(1).unwrap().split("</li>").next().unwrap();
            assert!(tile.contains(&format!("<use href=\"#{}\"/>", condition.as_str())), "{tile}");
            let word = tile.split("class=\"word\">").nth(1).unwrap().split('<').next().unwrap();
            assert!(words.insert(word.to_owned()), "{word}");
        }
    }
}

#[test]
fn what_is_done_is_called_in_the_readers_language() {
    let mut status = status(&[]);
    for action in crate::plan::actions().chain(Manner::WORDS) {
        let (resource, action) = ("container/seat".parse().unwrap(), action.to_owned());
        status.actions.clear();
        status.note(Action { time: NOW, resource, action, outcome: Outcome::Done, why: None });
        let own = |language| {
            let html = shown(&status, language);
            let line = html.split("<span class=\"why\">").nth(1).unwrap();
            line.split(": <b>").next().unwrap().to_owned()
        };
        assert_eq!(own(Language::English), status.actions[0].action);
        assert!(own(Language::Chinese).chars().all(|c| c > '\u{2e80}'), "{}", own(Language::Chinese));
    }
}

#[test]
fn what_was_done_to_a_resource_stands_on_its_page_however_much_was_done_to_others() {
    let mut status = status(&[]);
    let done = |resource: &str, action: &str| {
        let (resource, action) = (resource.parse().unwrap(), action.to_owned());
        Action { time: NOW, resource, action, outcome: Outcome::Done, why: None }
    };
    for action in ["create", "update", "update", "update", "update", "replace"] {
        status.note(done("container/web", action));
    }
    for _ in 0..30 {
        status.note(done("container/seat", "create"));
    }
    let html = standing(&"container/web".parse().unwrap(), &status, Language::English, NOW).html;
    assert_eq!((html.matches("update: <b>").count(), html.matches("replace: <b>").count()), (4, 1), "{html}");
    assert!(!html.contains("container/seat") && !html.contains("create: <b>"), "{html}");
}

/// A status in which everything is said that can be, all of it by somebody who means harm.
pub fn full() -> Status {
    let mut status = status(&[("container/web", Condition::Stalled, HOSTILE)]);
    let hostile = || Some(HOSTILE.to_owned());
    status.outdated = true;
    (status.trouble, status.journal, status.journal_broken) = (hostile(), hostile(), hostile());
    status.errors = vec![HOSTILE.to_owned()];
    status.source = Some(Source {
        git: HOSTILE.to_owned(),
        reference: HOSTILE.to_owned(),
        directory: HOSTILE.to_owned(),
        running: Some(commit(HOSTILE)),
        wanted: Some(WantedCommit { commit: commit(HOSTILE), refused: hostile() }),
        fetched: Some(NOW),
        trouble: hostile(),
    });
    let id: ResourceId = "container/web".parse().unwrap();
    let web = status.resources.get_mut(&id).unwrap();
    (web.stage, web.legacy_image_id, web.next_try) = (hostile(), hostile(), Some(NOW));
    web.output.push_back(HOSTILE.to_owned());
    web.difference.push(Told { field: HOSTILE.to_owned(), from: hostile(), to: hostile() });
    let (action, why) = (HOSTILE.to_owned(), hostile());
    status.note(Action { time: NOW, resource: id, action, outcome: Outcome::Failed, why });
    status
}

#[test]
fn law_13_whatever_the_daemon_repeats_stays_text() {
    let (language, status) = (Language::English, full());
    let frame = Frame { language, owner: HOSTILE, version: "1", resource: None, edition: "m-1" };
    let html = [
        frame.around(&room(&status, language, NOW)),
        standing(&"container/web".parse().unwrap(), &status, language, NOW).html,
    ]
    .concat();
    for raw in ["<script>", "\u{1b}", "\u{202e}", "'\"&"] {
        assert!(!html.contains(raw), "{raw}: {html}");
    }
    assert_eq!(html.matches("&lt;/p&gt;&lt;script&gt;").count(), 24, "{html}");
}

/// A glance in which everything is said that can be, by somebody who means harm.
pub fn hostile_glance() -> Glance {
    let written = |is_error| Written { time: HOSTILE.to_owned(), is_error, text: HOSTILE.to_owned() };
    let usage = Usage {
        cpu: 0.5,
        memory: 3 << 20,
        memory_limit: 64 << 20,
        received: 1024,
        sent: 2048,
        read: 0,
        written: 512,
        processes: 3,
    };
    let trouble = || Some(Trouble::Refused(HOSTILE.to_owned()));
    Glance {
        time: NOW,
        usage: Some(usage),
        usage_trouble: trouble(),
        output: vec![written(false), written(true)],
        output_trouble: trouble(),
    }
}

#[test]
fn law_13_what_a_container_wrote_stays_text_and_why_nothing_is_known_is_said() {
    let glance = Glance { output_trouble: None, ..hostile_glance() };
    let [usage, log] = inside(&glance, Language::English);
    for fact in ["50.0%", "3.0MiB / 64.0MiB", "1.0KiB / 2.0KiB", "0B / 512B", ">3<"] {
        assert!(usage.html.contains(fact), "{fact}: {}", usage.html);
    }
    let [trouble, _] = inside(&Glance { usage: None, ..hostile_glance() }, Language::English);
    for html in [&log.html, &trouble.html] {
        for raw in ["<script>", "\u{1b}", "\u{202e}", "'\"&"] {
            assert!(!html.contains(raw), "{raw}: {html}");
        }
    }
    assert_eq!(log.html.matches("&lt;/p&gt;&lt;script&gt;").count(), 2, "{}", log.html);
    assert_eq!(trouble.html.matches("&lt;/p&gt;&lt;script&gt;").count(), 1, "{}", trouble.html);
    for (language, told) in
        [(Language::English, "not answered in time"), (Language::Chinese, "引擎未及时响应")]
    {
        let dark = inside(&Glance::dark(&Trouble::NotInTime), language);
        assert!(dark.iter().all(|element| element.html.contains(told)), "{dark:?}");
    }
}

#[test]
fn a_page_of_a_room_of_seats_is_small() {
    let ids: Vec<String> = (0..1000).map(|seat| format!("container/seat-{seat}")).collect();
    let resources: Vec<_> = ids.iter().map(|id| (id.as_str(), Condition::Stalled, "failed")).collect();
    let html = shown(&status(&resources), Language::English);
    assert!(html.len() < 400_000, "{}", html.len());
    assert!(html.contains("class=\"room crowd\""));
}
