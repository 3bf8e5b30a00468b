//! What passes do is told to a collector of OpenTelemetry: each pass is a trace, with a span for its look at everything and one for
//! each step. In: the executor's events. Out: OTLP over HTTP, in its JSON. Works in a task of its own: whatever the collector does,
//! no pass waits for it, and what is kept for it is bounded.
//!
//! The form is that of <https://opentelemetry.io/docs/specs/otlp/>.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::mutex::lock;
use super::post::{HttpUrl, Poster};
use super::tally::Passed;
use crate::execute::Event;
use crate::resource::name::Owner;
use crate::resource::printable::printable;

/// Where traces go below a collector's address.
const TRACES: &str = "v1/traces";
/// How many traces wait for the collector: an hour of passes at rest. The oldest go first.
const WAITING_MAX: usize = 64;
/// The wait after a trace did not arrive; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(2);
/// The longest of these waits.
const LONGEST: Duration = Duration::from_mins(1);
/// The code of a span that failed.
const ERROR: u8 = 2;

/// A collector, and what waits for it.
pub struct Collector {
    poster: Poster,
    waiting: Mutex<VecDeque<String>>,
    more: Notify,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("url", self.poster.url()).finish_non_exhaustive()
    }
}

impl Collector {
    /// The one at an address, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it: `/v1/traces` comes behind it.
    ///
    /// # Errors
    /// If it is to be reached by TLS, and this host trusts nobody.
    pub fn new(endpoint: &HttpUrl) -> Result<Self, String> {
        let poster = Poster::new(endpoint.below(TRACES))?;
        Ok(Self { poster, waiting: Mutex::default(), more: Notify::new() })
    }

    /// Takes a trace to be brought there.
    fn put(&self, trace: String) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back(trace);
        self.more.notify_one();
    }

    /// Brings them there, one after the other, for ever. Trouble is told once, and that it is over.
    pub(super) async fn keep(&self) -> Infallible {
        let mut in_trouble = false;
        let mut wait = FIRST;
        loop {
            let more = self.more.notified();
            let Some(trace) = lock(&self.waiting).pop_front() else {
                more.await;
                continue;
            };
            let error = match self.poster.post(&[], trace.clone()).await {
                Ok(()) => {
                    if std::mem::take(&mut in_trouble) {
                        info!(collector = %self.poster.url(), "traces arrive again");
                    }
                    wait = FIRST;
                    continue;
                }
                Err(error) => error,
            };
            if std::mem::replace(&mut in_trouble, true) {
                debug!(why = %error, "a trace still does not arrive");
            } else {
                warn!(why = %error, "traces do not arrive");
            }
            if error.is_transient {
                let mut waiting = lock(&self.waiting);
                if waiting.len() < WAITING_MAX {
                    waiting.push_front(trace);
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST);
        }
    }
}

/// Brings traces to the collector, if there is one.
pub(super) async fn keep(collector: Option<&Collector>) -> Infallible {
    match collector {
        Some(collector) => collector.keep().await,
        None => std::future::pending().await,
    }
}

/// One pass as it goes on.
#[derive(Debug)]
pub(super) struct Trace {
    begun: Timestamp,
    id: String,
    root: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the steps in flight began, by their place in the plan.
    begun: BTreeMap<usize, Timestamp>,
    spans: Vec<Value>,
}

impl Trace {
    /// A pass begins.
    pub(super) fn begin() -> Self {
        let id = format!("{:032x}", fastrand::u128(1..));
        Self { begun: Timestamp::now(), id, root: span_id(), state: Mutex::default() }
    }

    /// Everything was looked at, or could not be.
    pub(super) fn looked(&self) {
        let span = self.span("look", self.begun, &[], None);
        lock(&self.state).spans.push(span);
    }

    /// Notes what happens.
    pub(super) fn note(&self, event: &Event<'_>) {
        let (index, node, failed) = match event {
            Event::Started(index, _) => {
                lock(&self.state).begun.insert(*index, Timestamp::now());
                return;
            }
            Event::Done(index, node, _) | Event::Left(index, node) => (index, node, None),
            Event::Failed(index, node, why) => (index, node, Some(printable(&why.to_string()).to_string())),
            Event::Progress(..) | Event::Rescued(..) | Event::Skipped(..) => return,
        };
        let mut state = lock(&self.state);
        let Some(begun) = state.begun.remove(index) else { return };
        let step = printable(&node.step.to_string()).to_string();
        let verb = step.split(' ').next().unwrap_or_default().to_owned();
        let resources: Vec<String> = node.resources.iter().map(ToString::to_string).collect();
        let attributes = [("invigil.step", step), ("invigil.resource", resources.join(" "))];
        state.spans.push(self.span(&verb, begun, &attributes, failed.as_deref()));
    }

    /// The pass is over: its trace goes to the collector.
    pub(super) fn end(self, collector: &Collector, owner: &Owner, revision: Option<&str>, passed: Passed) {
        let mut attributes = vec![("invigil.result", passed.as_str().to_owned())];
        attributes.extend(revision.map(|revision| ("invigil.revision", revision.to_owned())));
        let failed = (passed != Passed::Good).then(|| passed.as_str());
        let mut root = self.span("pass", self.begun, &attributes, failed);
        root["spanId"] = json!(self.root);
        root["parentSpanId"] = json!("");
        let mut spans = std::mem::take(&mut lock(&self.state).spans);
        spans.push(root);
        let version = env!("CARGO_PKG_VERSION");
        let resource = attributes_of(&[
            ("service.name", "invigil".to_owned()),
            ("service.version", version.to_owned()),
            ("invigil.owner", owner.to_string()),
        ]);
        let trace = json!({"resourceSpans": [{
            "resource": {"attributes": resource},
            "scopeSpans": [{"scope": {"name": "invigil", "version": version}, "spans": spans}],
        }]});
        collector.put(trace.to_string());
    }

    /// What began then and is over now.
    fn span(
        &self,
        name: &str,
        begun: Timestamp,
        attributes: &[(&str, String)],
        failed: Option<&str>,
    ) -> Value {
        let status = failed.map_or(json!({}), |why| json!({"code": ERROR, "message": why}));
        json!({
            "traceId": self.id,
            "spanId": span_id(),
            "parentSpanId": self.root,
            "name": name,
            // What goes on in a program itself.
            "kind": 1,
            // 64 bits are texts in the JSON of protocol buffers.
            "startTimeUnixNano": begun.as_nanosecond().to_string(),
            "endTimeUnixNano": Timestamp::now().as_nanosecond().to_string(),
            "attributes": attributes_of(attributes),
            "status": status,
        })
    }
}

fn span_id() -> String {
    format!("{:016x}", fastrand::u64(1..))
}

fn attributes_of(attributes: &[(&str, String)]) -> Value {
    attributes.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineError;
    use crate::plan::{Node, Step};

    #[test]
    fn each_step_is_a_span_of_its_pass_and_tells_why_it_failed() {
        let collector = Collector::new(&"http://localhost:4318".parse().unwrap()).unwrap();
        let node = |step: Step| Node {
            step,
            resources: vec!["container/web".parse().unwrap()],
            changes: Vec::new(),
            needs: Vec::new(),
            rescue: Vec::new(),
            undoes: Vec::new(),
            instead: Vec::new(),
        };
        let (start, pause) = (node(Step::Start("web".to_owned())), node(Step::Pause("web".to_owned())));
        let trace = Trace::begin();
        trace.looked();
        trace.note(&Event::Started(0, &start));
        trace.note(&Event::Started(1, &pause));
        trace.note(&Event::Done(0, &start, Duration::ZERO));
        trace.note(&Event::Failed(1, &pause, &EngineError::refused("no\u{1b}[2J such container")));
        trace.end(&collector, &"exam".parse().unwrap(), Some("abc"), Passed::Failed);
        let told: Value = serde_json::from_str(&lock(&collector.waiting)[0]).unwrap();
        let spans = told["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        let shown: Vec<_> = spans
            .iter()
            .map(|span| {
                (span["name"].as_str().unwrap(), span["status"]["message"].as_str().unwrap_or_default())
            })
            .collect();
        assert_eq!(shown[..2], [("look", ""), ("start", "")]);
        assert!(shown[2].0 == "pause" && !shown[2].1.contains('\u{1b}'), "{shown:?}");
        assert_eq!(shown[3], ("pass", "failed"));
        let root = &spans[3]["spanId"];
        assert!(
            spans[..3]
                .iter()
                .all(|span| span["parentSpanId"] == *root && span["traceId"] == spans[3]["traceId"])
        );
        assert_eq!(spans[1]["attributes"][0]["value"]["stringValue"], "start web");
    }

    #[test]
    fn a_collector_that_is_away_is_kept_the_latest() {
        let collector = Collector::new(&"http://localhost:4318".parse().unwrap()).unwrap();
        for number in 0..=WAITING_MAX {
            collector.put(number.to_string());
        }
        let waiting = lock(&collector.waiting);
        assert_eq!((waiting.len(), waiting[0].as_str()), (WAITING_MAX, "1"));
    }
}
