//! `invigil status`: how the daemon says that the resources stand. Asks the daemon's socket, and no engine.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::output::{DocumentForm, ago, json, print_or_end, yaml};
use super::table::{Table, shortened};
use crate::cli::args::Whose;
use crate::cli::ask;
use crate::cli::report::{Unknown, talk};
use crate::fields::plain;
use crate::manifest::suggestion::did_you_mean;
use crate::resource::duration::Duration as Span;
use crate::resource::name::{Kind, ResourceId};
use crate::source::git::Commit;
use crate::status::{Condition, Source, Standing, Status};

/// How often it is asked while it is waited.
const LOOK: Duration = Duration::from_millis(250);
/// How much of a reason is shown of one among many.
const WIDTH: usize = 100;
/// What scripts are told where something is not ready.
const NOT_READY: u8 = 2;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Which resources, like container/web or problemset/midterm, by their names alone, or by the old exam service's imgId; all unless said
    #[arg(value_name = "RESOURCE")]
    resources: Vec<String>,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: DocumentForm,
    /// Wait until they are ready
    #[arg(short, long)]
    wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "DURATION", default_value = "5m", requires = "wait")]
    timeout: Span,
    #[command(flatten)]
    whose: Whose,
}

pub(super) async fn status(args: &StatusArgs) -> Result<ExitCode> {
    let deadline = Instant::now() + args.timeout.into();
    let begun = Timestamp::now();
    loop {
        let status = ask::status(&args.whose.owner).await?;
        let chosen = chosen(&status, &args.resources);
        let is_ready = is_ready(&status, chosen.as_ref().ok());
        let is_over = Instant::now() >= deadline;
        if args.wait && !is_ready && !is_over && (chosen.is_ok() || may_come(&status, &args.resources, begun))
        {
            sleep(LOOK).await;
            continue;
        }
        let chosen = chosen?;
        let shown = Status {
            resources: chosen.iter().map(|(id, standing)| ((*id).clone(), (*standing).clone())).collect(),
            ..status.clone()
        };
        print_or_end(&match args.output {
            DocumentForm::Json => json(&serde_json::to_value(&shown)?),
            DocumentForm::Yaml => yaml(&serde_json::to_value(&shown)?)?,
            DocumentForm::Text => text(&shown, !args.resources.is_empty(), Timestamp::now()),
        })?;
        if args.wait && !is_ready {
            talk(&format!("not ready after {}\n", args.timeout));
        }
        return Ok(if is_ready { ExitCode::SUCCESS } else { ExitCode::from(NOT_READY) });
    }
}

/// The resources that were named; all unless any is.
fn chosen<'a>(status: &'a Status, named: &[String]) -> Result<BTreeMap<&'a ResourceId, &'a Standing>> {
    if named.is_empty() {
        return Ok(status.resources.iter().collect());
    }
    let mut all = BTreeMap::new();
    for name in named {
        let found = found(status, name);
        if found.is_empty() {
            let known: Vec<String> = status.resources.keys().map(ToString::to_string).collect();
            let form = || "a resource is KIND/NAME, like container/web".to_owned();
            let hint =
                did_you_mean(name, known.iter().map(String::as_str)).or_else(|| (!is_id(name)).then(form));
            return Err(Unknown { message: format!("the daemon knows no {}", plain(name)), hint }.into());
        }
        all.extend(found);
    }
    Ok(all)
}

/// Whether what the daemon does not know may be in manifests that it is yet to see: the names are those of resources, or it
/// has not looked since `begun`.
fn may_come(status: &Status, named: &[String], begun: Timestamp) -> bool {
    let mut unknown = named.iter().filter(|name| found(status, name).is_empty());
    status.outdated || status.looked.is_none_or(|looked| looked < begun) || unknown.all(|name| is_id(name))
}

/// Whether a name is one of a resource by its form.
fn is_id(name: &str) -> bool {
    name.starts_with("problemset/") || name.parse::<ResourceId>().is_ok()
}

/// The resource of a name, which may call a problem set's image by either kind; else all that bear it, of whatever kind, and all
/// images that had this name with the old exam service.
fn found<'a>(status: &'a Status, name: &str) -> BTreeMap<&'a ResourceId, &'a Standing> {
    let of_image = name.strip_prefix("problemset/").or_else(|| name.strip_prefix("image/"));
    let id = match of_image {
        Some(image) => image.parse().ok().map(|name| ResourceId::new(Kind::Image, name)),
        None => name.parse().ok(),
    };
    if let Some((id, standing)) = id.and_then(|id| status.resources.get_key_value(&id)) {
        return [(id, standing)].into();
    }
    let bears = |standing: &Standing| {
        standing.legacy_image_id.as_deref().is_some_and(|id| id == name || Some(id) == of_image)
    };
    status.resources.iter().filter(|(id, standing)| id.name.as_str() == name || bears(standing)).collect()
}

/// Whether everything that was asked for is ready, or left as it is for a good reason, and was looked at without trouble
/// since the manifests last changed.
fn is_ready(status: &Status, chosen: Option<&BTreeMap<&ResourceId, &Standing>>) -> bool {
    let fine = |standing: &&Standing| standing.condition.is_fine();
    status.looked.is_some()
        && !status.outdated
        && status.trouble.is_none()
        && status.errors.is_empty()
        // What was committed does not run.
        && status.source.as_ref().is_none_or(|source| source.running.is_some() && source.wanted.is_none())
        && chosen.is_some_and(|chosen| chosen.values().all(fine))
}

/// The status for people; `closely` also tells what the steps said.
fn text(status: &Status, closely: bool, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if !status.resources.is_empty() {
        let mut table = Table::new(["RESOURCE", "STATUS", "SINCE", "WHY"]);
        for (id, standing) in &status.resources {
            let since = ago(standing.since.as_second(), now);
            let why = why(standing, now);
            let why = if closely { why } else { shortened(&why, WIDTH) };
            table.row([&id.to_string(), standing.condition.as_str(), &since, &why]);
        }
        parts.push(table.to_text());
    }
    let told = status.resources.iter().filter(|(_, standing)| closely && !standing.output.is_empty());
    parts.extend(told.map(|(id, standing)| {
        let lines = standing.output.iter().map(|line| format!("  {}\n", plain(line)));
        format!("{id} said:\n{}", lines.collect::<String>())
    }));
    // A hint stands on a line of its own.
    let told = |error: &String| error.lines().map(plain).collect::<Vec<_>>().join("\n");
    let errors = status.errors.iter().map(|error| format!("error: {}\n", told(error)));
    let trouble = status.trouble.iter();
    let trouble =
        trouble.map(|why| format!("trouble: {}; nothing is changed until it is over\n", plain(why)));
    let journal = status.journal.iter();
    let journal = journal.map(|why| format!("the journal is not written: {}\n", plain(why)));
    let source = status.source.as_ref().map(|source| source_text(source, now));
    let broken = status.journal_broken.iter();
    let broken = broken.map(|why| format!("the journal did not hold: {}\n", plain(why)));
    let last = errors.chain(trouble).chain(journal).chain(broken).chain(source).chain([summary(status, now)]);
    let last: String = last.collect();
    parts.push(last);
    parts.join("\n")
}

fn why(standing: &Standing, now: Timestamp) -> String {
    let next = standing.next_try.map(|at| {
        let seconds = (at.as_second() - now.as_second()).max(0).unsigned_abs();
        format!("next try in {}", Span::from_nanos(seconds.saturating_mul(1_000_000_000)))
    });
    let parts = [Some(standing.reason.clone()), standing.stage.clone(), next];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Which revision runs, and why another one does not.
fn source_text(source: &Source, now: Timestamp) -> String {
    let running =
        source.running.as_ref().map_or_else(|| "none".to_owned(), |commit| commit_text(commit, now));
    let running = format!("Revision {running} of {} {}\n", plain(&source.git), plain(&source.reference));
    running + &wanted_text(source, now)
}

fn commit_text(commit: &Commit, now: Timestamp) -> String {
    let authored = ago(commit.authored.as_second(), now);
    format!("{} ({}, {authored})", plain(commit.short()), plain(&commit.subject))
}

/// Which revision is wanted beside the one that runs, and why it does not run.
pub(in crate::cli) fn wanted_text(source: &Source, now: Timestamp) -> String {
    let wanted = source.wanted.as_ref().map(|wanted| {
        let why = wanted.refused.as_ref();
        let why = why.map_or_else(|| "is next".to_owned(), |why| format!("is refused: {}", plain(why)));
        format!("Revision {} {why}\n", commit_text(&wanted.commit, now))
    });
    let stays = if source.running.is_some() { "The revision that runs stays" } else { "No revision runs" };
    let trouble = source.trouble.as_ref().map(|why| format!("{stays}: {}\n", plain(why)));
    [wanted, trouble].into_iter().flatten().collect()
}

fn summary(status: &Status, now: Timestamp) -> String {
    let count = |condition: Condition| {
        let count = status.resources.values().filter(|standing| standing.condition == condition).count();
        (count > 0).then(|| format!("{count} {}", condition.as_str().to_lowercase()))
    };
    let all =
        [Condition::Ready, Condition::Progressing, Condition::Stalled, Condition::Suspended, Condition::Kept];
    let counts: Vec<String> = all.into_iter().filter_map(count).collect();
    let counts = if counts.is_empty() { "no resources".to_owned() } else { counts.join(", ") };
    match status.looked {
        Some(looked) => {
            let since = if status.outdated { "; the manifests have changed since" } else { "" };
            let (owner, looked) = (plain(&status.owner), ago(looked.as_second(), now));
            format!("Owner {owner}: {counts}; looked at {looked}{since}.\n")
        }
        None => format!("Owner {}: not looked at yet.\n", plain(&status.owner)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn status() -> Status {
        let standing = |condition| Standing {
            condition,
            since: Timestamp::UNIX_EPOCH,
            legacy_image_id: None,
            reason: String::new(),
            stage: None,
            next_try: None,
            difference: Vec::new(),
            output: VecDeque::new(),
        };
        let resources = [
            ("container/web", Condition::Ready),
            ("container/left", Condition::Suspended),
            ("network/old", Condition::Kept),
        ];
        let resources =
            resources.map(|(id, condition)| (id.parse().unwrap(), standing(condition))).into_iter().collect();
        let looked = Some(Timestamp::UNIX_EPOCH);
        Status { looked, resources, ..Status::new("exam\u{1b}[31m", Timestamp::UNIX_EPOCH) }
    }

    #[test]
    fn what_no_resource_is_called_is_waited_for_until_the_daemon_has_looked_once_more() {
        let mut status = status();
        let named = |name: &str| [name.to_owned(), "container/web".to_owned()];
        let (before, after) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(1).unwrap());
        for (name, is_known) in
            [("container/new", true), ("problemset/new", true), ("imgId-7", false), ("Nonsense/x", false)]
        {
            assert_eq!(may_come(&status, &named(name), before), is_known, "{name}");
            assert!(may_come(&status, &named(name), after), "{name}");
            let hint = chosen(&status, &named(name)).unwrap_err().downcast::<Unknown>().unwrap().hint;
            let is_about_form = hint.is_some_and(|hint| hint.starts_with("a resource is KIND/NAME"));
            assert_eq!(is_about_form, !is_known, "{name}");
        }
        status.outdated = true;
        assert!(may_come(&status, &named("imgId-7"), before));
        status.outdated = false;
        status.looked = None;
        assert!(may_come(&status, &named("imgId-7"), before));
    }

    #[test]
    fn a_problem_sets_image_is_found_by_either_kind_and_by_the_old_services_id() {
        let mut status = status();
        let image: ResourceId = "image/midterm".parse().unwrap();
        let mut standing = status.resources[&"container/web".parse().unwrap()].clone();
        standing.legacy_image_id = Some("imgId-1".to_owned());
        status.resources.insert(image.clone(), standing.clone());
        standing.legacy_image_id = Some("第 8".to_owned());
        status.resources.insert("image/imgId-2".parse().unwrap(), standing);
        let chosen = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let ids = chosen(&status, &names).map_err(|error| error.to_string())?;
            Ok::<_, String>(ids.into_keys().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        for name in ["image/midterm", "problemset/midterm", "imgId-1", "image/imgId-1", "problemset/imgId-1"]
        {
            assert_eq!(chosen(&[name]).as_deref(), Ok("image/midterm"), "{name}");
        }
        // A resource of a name comes before an image that was called so once.
        assert_eq!(chosen(&["image/imgId-2"]).as_deref(), Ok("image/imgId-2"));
        assert_eq!(chosen(&["第 8", "container/web"]).as_deref(), Ok("image/imgId-2 container/web"));
        assert_eq!(chosen(&["imgId-3\u{1b}"]), Err("the daemon knows no imgId-3\\u{1b}".to_owned()));
        assert_eq!(chosen(&["container/midterm"]), Err("the daemon knows no container/midterm".to_owned()));
    }

    #[test]
    fn what_is_left_or_kept_for_a_reason_is_no_failure_and_what_changed_since_is_not_ready() {
        let ready = |status: &Status| is_ready(status, chosen(status, &[]).as_ref().ok());
        let mut status = status();
        assert!(ready(&status));
        status.outdated = true;
        assert!(!ready(&status));
        let told = summary(&status, Timestamp::UNIX_EPOCH);
        assert!(told.contains("1 ready, 1 suspended, 1 kept; looked at "), "{told}");
        assert!(told.ends_with("; the manifests have changed since.\n"), "{told}");
        assert!(!told.contains('\u{1b}'), "{told}");
    }
}
