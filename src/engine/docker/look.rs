//! Answers to questions, as the engine gives them: not through bollard's types, which leave out what they
//! do not know. Each is one GET, or the call that waits for an end; nothing here can change anything.

use std::fmt::Write;
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::WaitContainerOptions;
use futures_util::{Stream, StreamExt, TryStreamExt, future, stream};
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::error::failed;
use super::observe::read;
use super::output::Lines;
use super::perform::segment;
use super::raw::{get, whole};
use super::{Session, podman};
use crate::engine::{EngineError, Filters, Found, Line, Output, Period, Question};
use crate::fields::plain;
use crate::resource::name::Kind;

/// How long an answer may take that comes when something happens.
const PATIENCE: Duration = Duration::from_hours(24 * 365);

pub(super) async fn look(engine: &Session, question: &Question) -> Result<Value, EngineError> {
    let answer = ask(engine, question).await;
    match question {
        Question::Processes { container, .. }
        | Question::Changes(container)
        | Question::Usage(container)
        | Question::Exit(container) => answer.map_err(|error| named(error, container)),
        _ => answer,
    }
}

/// A refusal that calls a container by its name, and not by an id that nobody knows.
fn named(error: EngineError, container: &Found) -> EngineError {
    match error {
        EngineError::Refused { sentence } => {
            let name = plain(&container.name);
            let sentence = sentence.replace(container.id.as_str(), &name);
            // The engine begins with it, too: "Container web is not running".
            let what = format!("container {name}");
            let rest = sentence.strip_prefix(&what).and_then(|rest| rest.strip_prefix(": "));
            let again = rest.and_then(|rest| rest.split_at_checked(what.len()));
            match again.filter(|(again, _)| again.eq_ignore_ascii_case(&what)) {
                Some((_, rest)) => EngineError::refused(format!("{what}:{rest}")),
                None => EngineError::refused(sentence),
            }
        }
        other => other,
    }
}

async fn ask(engine: &Session, question: &Question) -> Result<Value, EngineError> {
    let what = what(question);
    if let Question::Exit(container) = question {
        return exit(engine, &what, container).await;
    }
    let docker = engine.at(&path(question)?)?;
    let bytes = read(engine, &what, || whole(get(&docker))).await?;
    if *question == Question::Ping {
        return Ok(String::from_utf8_lossy(&bytes).into());
    }
    if matches!(question, Question::Usage(_)) && bytes.is_empty() {
        return Err(EngineError::refused(format!("{what}: it went while it was measured")));
    }
    let mut answer = parse(&what, &bytes)?;
    if let (true, Question::List { kind, .. }) = (engine.is_podman, question) {
        // Manifests and other commands know them by Docker's names.
        let form = match kind {
            Kind::Container => podman::listed,
            Kind::Image => podman::image,
            Kind::Network => podman::network,
            Kind::Volume => return Ok(answer),
        };
        answer.as_array_mut().into_iter().flatten().for_each(form);
    }
    Ok(answer)
}

/// What a question is about, for an error's sentence.
fn what(question: &Question) -> String {
    match question {
        Question::Ping => "ping".to_owned(),
        Question::Version => "the engine's version".to_owned(),
        Question::Info => "the engine's own state".to_owned(),
        Question::List { kind, .. } => format!("the {kind}s"),
        Question::One { kind, name, .. } => format!("{kind} {}", plain(name)),
        Question::History(image) => format!("image {}", plain(image)),
        Question::Search { term, .. } => format!("search {}", plain(term)),
        Question::Processes { container, .. }
        | Question::Changes(container)
        | Question::Usage(container)
        | Question::Exit(container) => format!("container {}", plain(&container.name)),
    }
}

/// Where the engine answers a question.
fn path(question: &Question) -> Result<String, EngineError> {
    Ok(match question {
        Question::Ping => "/_ping".to_owned(),
        Question::Version => "/version".to_owned(),
        Question::Info => "/info".to_owned(),
        Question::List { kind, all, size, filters } => {
            let filters = filter_text(filters);
            match kind {
                Kind::Container => with_query(
                    "/containers/json",
                    &[("all", "true"), ("size", flag(*size)), ("filters", &filters)],
                ),
                Kind::Image => with_query("/images/json", &[("all", flag(*all)), ("filters", &filters)]),
                Kind::Network => with_query("/networks", &[("filters", &filters)]),
                Kind::Volume => with_query("/volumes", &[("filters", &filters)]),
            }
        }
        Question::One { kind, name, size } => {
            let name = segment(name)?;
            match kind {
                Kind::Container => with_query(&format!("/containers/{name}/json"), &[("size", flag(*size))]),
                Kind::Image => format!("/images/{name}/json"),
                Kind::Network => format!("/networks/{name}"),
                Kind::Volume => format!("/volumes/{name}"),
            }
        }
        Question::History(image) => format!("/images/{}/history", segment(image)?),
        Question::Search { term, limit, filters } => with_query(
            "/images/search",
            &[("term", term), ("limit", &limit.to_string()), ("filters", &filter_text(filters))],
        ),
        Question::Processes { container, arguments } => {
            with_query(&format!("/containers/{}/top", container.id.as_str()), &[("ps_args", arguments)])
        }
        Question::Changes(container) => format!("/containers/{}/changes", container.id.as_str()),
        Question::Usage(container) => format!("/containers/{}/stats?stream=false", container.id.as_str()),
        Question::Exit(container) => format!("/containers/{}/wait", container.id.as_str()),
    })
}

const fn flag(on: bool) -> &'static str {
    if on { "true" } else { "" }
}

/// Filters in the engine's notation: `{"label": ["a=b"]}`.
fn filter_text(filters: &Filters) -> String {
    if filters.is_empty() { String::new() } else { json!(filters).to_string() }
}

/// A path with what is asked for; what has no value is left out.
pub(super) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let mut text = path.to_owned();
    let mut mark = '?';
    for (key, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        text.push(mark);
        mark = '&';
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                text.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// The bytes that the engine answers to a GET when it likes.
fn get_slowly(
    engine: &Session,
    path: &str,
    what: String,
    container: Option<&Found>,
) -> Result<impl Stream<Item = Result<Bytes, EngineError>> + Send + use<>, EngineError> {
    let endpoint = engine.endpoint.clone();
    let container = container.cloned();
    let chunks = get(&engine.at(path)?.with_timeout(PATIENCE));
    Ok(chunks.map_err(move |error| {
        let error = failed(&endpoint, &what, error);
        container.iter().fold(error, named)
    }))
}

fn parse(what: &str, bytes: &[u8]) -> Result<Value, EngineError> {
    serde_json::from_slice(bytes)
        .map_err(|error| EngineError::Unreadable { what: what.to_owned(), cause: error.to_string() })
}

/// Waits until a container has ended. The only question that is no GET; bollard makes an end with another
/// code than 0 an error.
async fn exit(engine: &Session, what: &str, container: &Found) -> Result<Value, EngineError> {
    let docker = engine.docker.clone().with_timeout(PATIENCE);
    let answer =
        docker.wait_container(container.id.as_str(), None::<WaitContainerOptions>).boxed().next().await;
    match answer {
        Some(Ok(answer)) => Ok(json!({"StatusCode": answer.status_code})),
        Some(Err(Error::DockerContainerWaitError { code, error })) if error.is_empty() => {
            Ok(json!({"StatusCode": code}))
        }
        Some(Err(Error::DockerContainerWaitError { error, .. })) => {
            Err(EngineError::refused(format!("{what}: {}", plain(&error))))
        }
        Some(Err(error)) => Err(failed(&engine.endpoint, what, error)),
        None => Err(EngineError::Unreadable { what: what.to_owned(), cause: "no answer".to_owned() }),
    }
}

pub(super) fn happenings(
    engine: &Session,
    period: &Period,
    filters: &Filters,
) -> Result<impl Stream<Item = Result<Value, EngineError>> + Send + use<>, EngineError> {
    const WHAT: &str = "the engine's events";
    let is_podman = engine.is_podman;
    let until = period.until.as_deref().unwrap_or_default();
    let (until, over) = if is_podman { podman::end(until) } else { (until, None) };
    let path = with_query(
        "/events",
        &[
            ("since", period.since.as_deref().unwrap_or_default()),
            ("until", until),
            ("stream", if over.is_some() { "false" } else { "" }),
            ("filters", &filter_text(&if is_podman { podman::filters(filters) } else { filters.clone() })),
        ],
    );
    let chunks = get_slowly(engine, &path, WHAT.to_owned(), None)?;
    let mut pending = Vec::new();
    let events = chunks.map(move |chunk| {
        pending.extend_from_slice(&chunk?);
        let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else { return Ok(Vec::new()) };
        let rest = pending.split_off(end + 1);
        let whole = std::mem::replace(&mut pending, rest);
        let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut events = lines.map(|line| parse(WHAT, line)).collect::<Result<Vec<Value>, _>>()?;
        if is_podman {
            events.retain(|event| podman::is_until(event, over));
            events.iter_mut().for_each(podman::happening);
        }
        Ok(events)
    });
    Ok(events.map_ok(|events| stream::iter(events.into_iter().map(Ok))).try_flatten())
}

pub(super) async fn output(
    engine: &Session,
    container: &Found,
    wanted: &Output,
) -> Result<impl Stream<Item = Result<Line, EngineError>> + Send + use<>, EngineError> {
    let what = format!("the output of container {}", plain(&container.name));
    let one = Question::One { kind: Kind::Container, name: container.id.as_str().to_owned(), size: false };
    let inspection = look(engine, &one).await?;
    let tail = wanted.tail.map(|tail| tail.to_string()).unwrap_or_default();
    let path = with_query(
        &format!("/containers/{}/logs", container.id.as_str()),
        &[
            ("stdout", flag(wanted.stdout)),
            ("stderr", flag(wanted.stderr)),
            ("follow", flag(wanted.follow)),
            ("timestamps", "true"),
            ("tail", &tail),
            ("since", wanted.period.since.as_deref().unwrap_or_default()),
            ("until", wanted.period.until.as_deref().unwrap_or_default()),
        ],
    );
    let chunks = get_slowly(engine, &path, what.clone(), Some(container))?;
    let mut lines = Some(Lines::new(inspection["Config"]["Tty"] == true));
    // After the last chunk, what has no end.
    let lines = chunks.map_ok(Some).chain(stream::once(future::ready(Ok(None)))).map(move |chunk| {
        let ended = match (chunk?, &mut lines) {
            (Some(chunk), Some(lines)) => lines
                .push(&chunk)
                .map_err(|cause| EngineError::Unreadable { what: what.clone(), cause: plain(&cause) })?,
            (None, lines) => lines.take().map(Lines::finish).unwrap_or_default(),
            (Some(_), None) => Vec::new(),
        };
        Ok::<_, EngineError>(stream::iter(ended.into_iter().map(Ok)))
    });
    Ok(lines.try_flatten())
}

pub(super) fn archive(
    engine: &Session,
    container: &Found,
    path: &str,
) -> Result<impl Stream<Item = Result<Vec<u8>, EngineError>> + Send + use<>, EngineError> {
    let what = format!("container {}, {}", plain(&container.name), plain(path));
    let path = with_query(&format!("/containers/{}/archive", container.id.as_str()), &[("path", path)]);
    Ok(get_slowly(engine, &path, what, Some(container))?.map_ok(|chunk| chunk.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_13_names_and_values_cannot_reach_another_path() {
        let one = |name: &str| path(&Question::One { kind: Kind::Image, name: name.to_owned(), size: false });
        assert_eq!(one("a.b/c:1").expect("a path"), "/images/a.b/c:1/json");
        for hostile in ["../info?x=", "a/../../info", "a?b", "a#b", "a b", "a%2fb", ""] {
            assert!(one(hostile).is_err(), "{hostile}");
        }
        let filters = Filters::from([("stars".to_owned(), ["7".to_owned()].into())]);
        let search = Question::Search { term: "a&limit=9#期".to_owned(), limit: 5, filters };
        assert_eq!(
            path(&search).expect("a path"),
            "/images/search?term=a%26limit%3D9%23%E6%9C%9F&limit=5&filters=%7B%22stars%22%3A%5B%227%22%5D%7D"
        );
    }

    #[test]
    fn filters_are_in_the_engines_notation() {
        let filters = Filters::from([("label".to_owned(), ["a=b".to_owned()].into())]);
        let list = Question::List { kind: Kind::Volume, all: false, size: false, filters };
        assert_eq!(path(&list).expect("a path"), "/volumes?filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D");
    }
}
