//! What an engine's event says was done to something. In: events, and an engine that is asked what a container's health check
//! runs. Out: touches. Never says who did it; what the engine does by itself is left out as far as the event tells it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bollard::models::{ContainerConfig, EventActor, EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::InspectContainerOptions;
use jiff::Timestamp;

use super::Session;
use super::perform::segment;
use crate::engine::{Heard, Manner, Touch};
use crate::resource::label;
use crate::resource::name::Kind;

/// The events that no observation shows. A health check's `exec_create` is one of them: there may be hundreds a second.
pub(super) const UNSEEN: [&str; 6] =
    ["exec_create", "archive-path", "extract-to-dir", "attach", "commit", "export"];

/// The events of a program that began or ended. Podman's word stands beside Docker's.
const TURNS: [&str; 3] = ["start", "die", "died"];

/// Of how many containers it is known what their health checks run.
const CHECKS_MAX: usize = 4096;
/// The shell that runs a check, unless the image has another.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// What the health checks of containers run, by the containers' ids, as the engine writes it.
#[derive(Debug, Default)]
pub(super) struct Checks(Mutex<BTreeMap<String, String>>);

/// What an event says. An engine that has to be asked what a health check runs, and does not say it, has done the check.
pub(super) async fn heard(engine: &Session, checks: &Checks, event: EventMessage) -> Heard {
    let action = event.action.unwrap_or_default();
    let (verb, words) = action.split_once(": ").unwrap_or((&action, ""));
    let moved = !UNSEEN.contains(&verb);
    let actor = event.actor.unwrap_or_default();
    let is_turn = event.typ == Some(EventMessageTypeEnum::CONTAINER) && TURNS.contains(&verb);
    let turned = actor.id.clone().filter(|_| is_turn);
    let nothing = Heard { moved, touch: None, turned };
    let touch = match event.typ {
        Some(EventMessageTypeEnum::CONTAINER) => touch(verb, words, event.time_nano, actor),
        Some(typ) => untold(typ, verb, event.time_nano, actor),
        None => None,
    };
    let Some(touch) = touch else { return nothing };
    if (touch.kind, &touch.manner) == (Kind::Container, &Manner::Remove) {
        checks.known().remove(&touch.id);
    }
    if verb == "exec_create" && checks.are_of(engine, &touch.id, words).await {
        return nothing;
    }
    Heard { touch: Some(touch), ..nothing }
}

/// What was done to a thing of which the engine tells no labels.
fn untold(
    typ: EventMessageTypeEnum,
    verb: &str,
    nanoseconds: Option<i64>,
    actor: EventActor,
) -> Option<Touch> {
    let attributes = actor.attributes.unwrap_or_default();
    let told = |key: &str| attributes.get(key).cloned().unwrap_or_default();
    let id = actor.id.unwrap_or_default();
    let (kind, id, manner) = match (typ, verb) {
        // Podman tells the container in the network's place.
        (EventMessageTypeEnum::NETWORK, "connect" | "disconnect") => {
            let (container, network) = match attributes.get("container") {
                Some(container) => (container.clone(), told("name")),
                None => (id, String::new()),
            };
            let manner = if verb == "connect" { Manner::Connect } else { Manner::Disconnect };
            (Kind::Container, container, manner(network))
        }
        (EventMessageTypeEnum::NETWORK, "destroy" | "remove") => (Kind::Network, id, Manner::Remove),
        // Podman tells its name alone.
        (EventMessageTypeEnum::VOLUME, "destroy" | "remove") => {
            (Kind::Volume, if id.is_empty() { told("name") } else { id }, Manner::Remove)
        }
        (EventMessageTypeEnum::IMAGE, "untag") => (Kind::Image, image(id), Manner::Untag),
        // Podman tells so of each tag, too, whether or not it was the last.
        (EventMessageTypeEnum::IMAGE, "delete" | "remove") if is_podman(&attributes) => {
            (Kind::Image, image(id), Manner::Untag)
        }
        (EventMessageTypeEnum::IMAGE, "delete" | "remove") => (Kind::Image, image(id), Manner::Remove),
        _ => return None,
    };
    let time = Timestamp::from_nanosecond(nanoseconds?.into()).ok()?;
    Some(Touch { time, kind, name: id.clone(), id, labelled: None, manner })
}

/// An image's id as lists have it, which Podman's events have without what it is a digest by.
fn image(id: String) -> String {
    if id.contains(':') { id } else { format!("sha256:{id}") }
}

/// What was done to a container that bears an Invigil's labels.
fn touch(verb: &str, words: &str, nanoseconds: Option<i64>, actor: EventActor) -> Option<Touch> {
    let attributes = actor.attributes.unwrap_or_default();
    let told = |key: &str| attributes.get(key).map(String::as_str).unwrap_or_default();
    let manner = match verb {
        // Its first word alone: the others may hold secrets.
        "exec_create" => Manner::Exec(words.split_whitespace().next().unwrap_or_default().to_owned()),
        "extract-to-dir" => Manner::CopyIn,
        "archive-path" | "export" => Manner::CopyOut,
        "attach" => Manner::Attach,
        "commit" => Manner::Commit,
        "kill" => Manner::Kill(signal(told("signal"))),
        "stop" => Manner::Stop,
        // Podman tells so of what it starts again itself, too, and says nothing else of it.
        "restart" if is_podman(&attributes) => return None,
        "restart" => Manner::Restart,
        "pause" => Manner::Pause,
        "unpause" => Manner::Unpause,
        "rename" => Manner::Rename(told("oldName").trim_start_matches('/').to_owned()),
        "update" => Manner::Update,
        // Podman's word for it stands beside Docker's.
        "destroy" | "remove" => Manner::Remove,
        _ => return None,
    };
    let labelled = Some((told(label::OWNER).parse().ok()?, told(label::RESOURCE).parse().ok()?));
    let time = Timestamp::from_nanosecond(nanoseconds?.into()).ok()?;
    let name = told("name").to_owned();
    Some(Touch { time, kind: Kind::Container, id: actor.id?, name, labelled, manner })
}

/// Whether an event is Podman's: Docker gives no attribute that name.
fn is_podman(attributes: &HashMap<String, String>) -> bool {
    attributes.contains_key("containerExitCode")
}

/// A signal by its name, as far as it has one that people know.
fn signal(number: &str) -> String {
    let name = match number {
        "1" => "SIGHUP",
        "2" => "SIGINT",
        "3" => "SIGQUIT",
        "6" => "SIGABRT",
        "9" => "SIGKILL",
        "10" => "SIGUSR1",
        "12" => "SIGUSR2",
        "15" => "SIGTERM",
        "18" => "SIGCONT",
        "19" => "SIGSTOP",
        "28" => "SIGWINCH",
        other => other,
    };
    name.to_owned()
}

impl Checks {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is run in a container is its health check, or the container is gone by now, so that nobody knows.
    async fn are_of(&self, engine: &Session, container: &str, words: &str) -> bool {
        let known = self.known().get(container).cloned();
        if let Some(check) = known {
            return check == words.trim_end();
        }
        let Ok(safe) = segment(container) else { return false };
        let Ok(answer) = engine.docker.inspect_container(safe, None::<InspectContainerOptions>).await else {
            return true;
        };
        let check = answer.config.as_ref().map(check).unwrap_or_default();
        let is_check = check == words.trim_end();
        let mut known = self.known();
        if known.len() >= CHECKS_MAX {
            known.clear();
        }
        known.insert(container.to_owned(), check);
        is_check
    }
}

/// What a container's health check runs, as the event of it has it; empty if it has none.
fn check(config: &ContainerConfig) -> String {
    let test = config.healthcheck.as_ref().and_then(|check| check.test.clone()).unwrap_or_default();
    let shell = config.shell.clone().filter(|shell| !shell.is_empty());
    let shell = shell.unwrap_or_else(|| SHELL.map(str::to_owned).to_vec());
    let words = match test.split_first() {
        Some((how, words)) if how == "CMD" => words.to_vec(),
        Some((how, words)) if how == "CMD-SHELL" => [&shell, words].concat(),
        _ => Vec::new(),
    };
    words.join(" ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use bollard::models::HealthConfig;

    use super::*;

    fn told(verb: &str, words: &str, more: &[(&str, &str)]) -> Option<String> {
        let attributes = [("name", "web"), (label::OWNER, "exam"), (label::RESOURCE, "container/web")];
        let attributes = attributes.iter().chain(more).map(|(key, value)| ((*key).into(), (*value).into()));
        let actor = EventActor { id: Some("1".repeat(64)), attributes: Some(attributes.collect()) };
        touch(verb, words, Some(1_530_866_040_000_000_000), actor).map(|touch| touch.to_string())
    }

    #[test]
    fn law_12_of_a_program_that_was_run_its_name_alone_is_told() {
        assert_eq!(told("exec_create", "mysql --password=hunter2", &[]).as_deref(), Some("exec: mysql"));
        assert_eq!(told("exec_create", "\u{1b}[2Jsh -c x", &[]).as_deref(), Some("exec: \\u{1b}[2Jsh"));
        let long = told("exec_create", &"a".repeat(1000), &[]).unwrap();
        assert_eq!(long.len(), "exec: ".len() + 100);
    }

    #[test]
    fn what_was_done_is_told_in_a_word_and_what_it_was_done_with() {
        for (verb, more, said) in [
            ("extract-to-dir", ("", ""), Some("copy in")),
            ("archive-path", ("", ""), Some("copy out")),
            ("export", ("", ""), Some("copy out")),
            ("kill", ("signal", "9"), Some("kill: SIGKILL")),
            ("kill", ("signal", "34"), Some("kill: 34")),
            ("rename", ("oldName", "/seat"), Some("rename: seat -> web")),
            ("destroy", ("", ""), Some("remove")),
            ("restart", ("", ""), Some("restart")),
            ("restart", ("containerExitCode", "0"), None),
            // What ended by itself, and what its engine started again, nobody did.
            ("die", ("exitCode", "1"), None),
            ("start", ("", ""), None),
            ("health_status", ("", ""), None),
        ] {
            assert_eq!(told(verb, "", &[more]).as_deref(), said, "{verb}");
        }
    }

    #[test]
    fn of_what_has_no_labels_in_its_events_it_is_told_what_was_done_to_which() {
        use EventMessageTypeEnum::{IMAGE, NETWORK, VOLUME};
        for (typ, verb, id, attributes, said) in [
            (NETWORK, "connect", "n1", "container=c1 name=exam", "container c1 connect: exam"),
            (NETWORK, "disconnect", "n1", "container=c1 name=exam", "container c1 disconnect: exam"),
            // Podman's.
            (NETWORK, "disconnect", "c1", "name=web", "container c1 disconnect"),
            (NETWORK, "destroy", "n1", "name=exam", "network n1 remove"),
            (VOLUME, "destroy", "answers", "driver=local", "volume answers remove"),
            (VOLUME, "remove", "", "name=answers", "volume answers remove"),
            (IMAGE, "untag", "sha256:a1", "name=sha256:a1", "image sha256:a1 untag"),
            (IMAGE, "delete", "sha256:a1", "name=sha256:a1", "image sha256:a1 remove"),
            (IMAGE, "delete", "a1", "name=web:1 containerExitCode=0", "image sha256:a1 untag"),
            (IMAGE, "tag", "sha256:a1", "name=web:1", ""),
            (VOLUME, "mount", "answers", "", ""),
        ] {
            let attributes = attributes.split_whitespace().filter_map(|one| one.split_once('='));
            let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let actor = EventActor { id: Some(id.into()), attributes: Some(attributes.collect()) };
            let told = untold(typ, verb, Some(1), actor);
            let told = told.map(|touch| format!("{} {} {touch}", touch.kind, touch.id)).unwrap_or_default();
            assert_eq!(told, said, "{typ} {verb}");
        }
    }

    #[test]
    fn law_8_what_bears_no_label_of_ours_is_not_told() {
        let attributes = HashMap::from([("name".to_owned(), "web".to_owned())]);
        let actor = EventActor { id: Some("1".repeat(64)), attributes: Some(attributes) };
        assert_eq!(touch("stop", "", Some(1), actor), None);
    }

    #[test]
    fn a_health_check_is_known_by_what_it_runs() {
        let checked = |test: &[&str], shell: &[&str]| {
            let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
            let healthcheck = Some(HealthConfig { test: Some(own(test)), ..HealthConfig::default() });
            check(&ContainerConfig { healthcheck, shell: Some(own(shell)), ..ContainerConfig::default() })
        };
        assert_eq!(checked(&["CMD-SHELL", "true; false"], &[]), "/bin/sh -c true; false");
        assert_eq!(checked(&["CMD-SHELL", "true"], &["/bin/ash", "-ec"]), "/bin/ash -ec true");
        assert_eq!(checked(&["CMD", "/exam", "health"], &[]), "/exam health");
        assert_eq!(checked(&["CMD", "/check"], &[]), "/check");
        assert_eq!(checked(&["NONE"], &[]), "");
        assert_eq!(check(&ContainerConfig::default()), "");
    }
}
