//! What a builder says. In: the lines of its answer. Out: progress, and its last words after a failure, without what looks
//! secret in them (law 12).

use std::collections::{BTreeMap, VecDeque};

use anstream::adapter::strip_str;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde::Deserialize;

use super::super::layers::Layers;
use super::trace::StatusResponse;
use crate::engine::hidden::Hidden;
use crate::engine::{Progress, Stage};
use crate::fields::plain;
use crate::resource::env::without_secrets;

/// How many of a builder's last lines are told after a failure.
const LAST_LINES: usize = 12;
/// What the lines are called in which `BuildKit` tells what it is at.
const TRACE: &str = "moby.buildkit.trace";

/// A line of an answer.
#[derive(Deserialize)]
struct Line {
    id: Option<String>,
    stream: Option<String>,
    status: Option<String>,
    error: Option<String>,
    aux: Option<serde_json::Value>,
    #[serde(rename = "progressDetail")]
    detail: Option<Detail>,
}

/// How far a layer of a base image is.
#[derive(Deserialize)]
struct Detail {
    current: Option<i64>,
    total: Option<i64>,
}

/// What has been said so far.
#[derive(Default)]
pub(super) struct Output {
    last: VecDeque<String>,
    /// The steps that were told, by their digests.
    told: BTreeMap<String, String>,
    /// The base image that is being pulled.
    layers: Layers,
    /// The build's secrets.
    hidden: Hidden,
}

impl Output {
    /// Nothing yet, and nothing of this ever.
    pub(super) fn hiding(hidden: Hidden) -> Self {
        Self { hidden, ..Self::default() }
    }

    /// Takes in one line.
    ///
    /// # Errors
    /// What went wrong, in the builder's words.
    pub(super) fn hear(&mut self, line: &[u8], progress: &Progress<'_>) -> Result<(), String> {
        // What cannot be read is no step's: the builder goes on.
        let Ok(line) = serde_json::from_slice::<Line>(line) else { return Ok(()) };
        if let Some(error) = line.error {
            return Err(self.shown(error.trim()));
        }
        if line.id.as_deref() == Some(TRACE) {
            let trace = line.aux.as_ref().and_then(|aux| STANDARD.decode(aux.as_str()?).ok());
            if let Some(trace) = trace.and_then(|bytes| StatusResponse::decode(&*bytes).ok()) {
                self.trace(&trace, progress);
            }
            return Ok(());
        }
        for text in line.stream.iter().flat_map(|text| text.lines()) {
            // The classic builder shows what went to stderr in red.
            let text = self.shown(strip_str(text).to_string().trim_end());
            // Podman's builder writes it large.
            if let Some(step) = text.strip_prefix("Step ").or_else(|| text.strip_prefix("STEP ")) {
                progress(Stage::of(format!("step {}", step.replacen(" :", ":", 1))));
            }
            let is_its_own =
                [" --->", "Removing intermediate container"].iter().any(|start| text.starts_with(start));
            if !is_its_own {
                self.keep(&text);
            }
        }
        if let (Some(status), Some(detail)) = (&line.status, line.detail)
            && let (Some(current), Some(total)) = (detail.current, detail.total)
            && let Some(told) =
                self.layers.hear(status, line.id.as_deref().unwrap_or_default(), current, total)
        {
            progress(told);
        }
        Ok(())
    }

    fn trace(&mut self, trace: &StatusResponse, progress: &Progress<'_>) {
        for vertex in &trace.vertexes {
            let is_new = vertex.started.is_some() && !self.told.contains_key(&vertex.digest);
            if is_new && !vertex.name.starts_with("[internal]") {
                let name = self.shown(&vertex.name);
                progress(Stage::of(&name));
                self.keep(&name);
                self.told.insert(vertex.digest.clone(), name);
            }
        }
        for log in &trace.logs {
            for line in String::from_utf8_lossy(&log.msg).lines() {
                let line = self.shown(strip_str(line).to_string().trim_end());
                self.keep(&line);
            }
        }
    }

    fn keep(&mut self, line: &str) {
        if line.is_empty() {
            return;
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
    }

    /// What may be told of a text. What is hidden is known as it was written, with its tabs.
    fn shown(&self, text: &str) -> String {
        plain(&without_secrets(&self.hidden.without(text)))
    }

    /// The end of what it said, for a sentence.
    pub(super) fn last_words(&self) -> String {
        if self.last.is_empty() {
            return String::new();
        }
        let lines: Vec<&str> = self.last.iter().map(String::as_str).collect();
        format!("; its last output: {}", lines.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::trace::{Time, Vertex, VertexLog};
    use super::*;

    fn heard(lines: &[&str]) -> (Vec<String>, Result<(), String>, String) {
        let told = Mutex::new(Vec::new());
        let progress = |stage: Stage| told.lock().expect("a lock").push(stage.to_string());
        let mut output = Output::default();
        let result = lines.iter().try_for_each(|line| output.hear(line.as_bytes(), &progress));
        (told.into_inner().expect("a lock"), result, output.last_words())
    }

    #[test]
    fn the_classic_builder_tells_its_steps_and_last_words() {
        let (told, result, last) = heard(&[
            r#"{"stream":"Step 1/2 : FROM a"}"#,
            r#"{"stream":"\n"}"#,
            r#"{"stream":" ---\u003e 2547741441ac\n"}"#,
            r#"{"status":"Pulling fs layer","id":"ab12","progressDetail":{}}"#,
            r#"{"status":"Downloading","id":"ab12","progressDetail":{"current":1024,"total":2048}}"#,
            "not JSON",
            r#"{"stream":"Step 2/2 : RUN make"}"#,
            r#"{"stream":"\u001b[91mthe cause\u001b[0m\n"}"#,
            r#"{"errorDetail":{"code":2,"message":"code 2"},"error":"code 2\u001b[2J"}"#,
        ]);
        assert_eq!(told, ["step 1/2: FROM a", "pulling 50 %, 1Ki of 2Ki", "step 2/2: RUN make"]);
        assert_eq!(result, Err("code 2\\u{1b}[2J".to_owned()));
        assert_eq!(last, "; its last output: Step 1/2 : FROM a | Step 2/2 : RUN make | the cause");
    }

    #[test]
    fn law_12_a_builders_words_are_told_without_secrets() {
        let (_, result, last) = heard(&[
            r#"{"stream":"Step 1/2 : ENV DB_PASSWORD=canary"}"#,
            r#"{"stream":"cloning https://canary@h/x"}"#,
            r#"{"error":"The command 'API_KEY=canary make' returned 1"}"#,
        ]);
        assert_eq!(result, Err("The command 'API_KEY=(hidden)' returned 1".to_owned()));
        assert_eq!(
            last,
            "; its last output: Step 1/2 : ENV DB_PASSWORD=(hidden) | cloning https://(hidden)@h/x"
        );
    }

    #[test]
    fn podmans_builder_tells_its_steps() {
        let (told, ..) = heard(&[r#"{"stream":"STEP 2/2: RUN make\n"}"#]);
        assert_eq!(told, ["step 2/2: RUN make"]);
    }

    #[test]
    fn buildkit_tells_each_step_once_and_its_last_words() {
        let vertex = |name: &str| Vertex {
            digest: name.to_owned(),
            name: name.to_owned(),
            started: Some(Time { seconds: 1 }),
        };
        let line = |trace: StatusResponse| {
            format!(r#"{{"id":"{TRACE}","aux":"{}"}}"#, STANDARD.encode(trace.encode_to_vec()))
        };
        let steps = StatusResponse {
            vertexes: vec![vertex("[internal] load"), vertex("[2/2] RUN make")],
            logs: Vec::new(),
        };
        let log = VertexLog { vertex: String::new(), msg: b"the cause\n".to_vec() };
        let logs = StatusResponse { vertexes: Vec::new(), logs: vec![log] };
        let (steps, logs) = (line(steps), line(logs));
        let (told, result, last) =
            heard(&[&steps, &steps, &logs, r#"{"id":"moby.buildkit.trace","aux":"!"}"#]);
        assert_eq!(told, ["[2/2] RUN make"]);
        assert_eq!((result, last.as_str()), (Ok(()), "; its last output: [2/2] RUN make | the cause"));
    }
}
