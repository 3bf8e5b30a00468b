//! What people are told: notices, several of them in one message. In: plain values, in which secrets are hidden already (law
//! 12). Out: the message in words and as JSON. Says nothing about who is told, or when.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Serialize, Serializer};

use crate::resource::name::ResourceId;
use crate::resource::printable::printable;

/// The version of the form. Raised when a field changes its meaning or goes.
const FORMAT_VERSION: u32 = 1;
/// The most notices of one message; a whole room of seats is as many.
const NOTICES_MAX: usize = 200;
/// The longest text of one, in characters.
const WHAT_MAX: usize = 1000;
/// The name of the form's schema.
pub const SCHEMA_FILE: &str = "notification.schema.json";

/// What happened, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// Something is not as its manifest says, and that could not be mended; or passes cannot look at everything.
    Failure,
    /// What failed, or was refused, is well again.
    Recovery,
    /// What no manifest describes any more is kept all the same.
    Withheld,
    /// Somebody else changed what Invigil keeps.
    Interference,
    /// Manifests are wrong, cannot be fetched, or may not run.
    Source,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Failure, Self::Recovery, Self::Withheld, Self::Interference, Self::Source];

    /// The event's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Recovery => "recovery",
            Self::Withheld => "withheld",
            Self::Interference => "interference",
            Self::Source => "source",
        }
    }
}

/// What it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::daemon) enum Subject {
    /// The passes themselves.
    Passes,
    /// The manifests.
    Manifests,
    /// The repository that they come from.
    Git,
    /// The journal.
    Journal,
    /// More resources than are told one by one.
    Resources,
    /// A resource.
    Resource(ResourceId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passes => f.write_str("passes"),
            Self::Manifests => f.write_str("manifests"),
            Self::Git => f.write_str("git"),
            Self::Journal => f.write_str("journal"),
            Self::Resources => f.write_str("resources"),
            Self::Resource(id) => id.fmt(f),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One thing to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// What happened.
    pub event: Event,
    /// What it is about: a resource, as `container/web`; or `passes`, `manifests`, `git`, `journal` or `resources`.
    #[schemars(with = "String")]
    pub(in crate::daemon) subject: Subject,
    /// Since when, by the clock of the host.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: Timestamp,
    /// Why; empty where there is nothing to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// How often it changed since its subject was told of last, where that is more than once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<u32>,
}

impl Notice {
    pub(super) fn new(event: Event, subject: Subject, time: Timestamp, what: &str) -> Self {
        Self { event, subject, time, what: bounded(what), changes: None }
    }

    /// In a few words, without why.
    fn headline(&self) -> String {
        let subject = &self.subject;
        match (self.event, subject) {
            (Event::Recovery, Subject::Passes) => "everything can be looked at again".to_owned(),
            (Event::Recovery, Subject::Manifests) => "the manifests hold again".to_owned(),
            (Event::Recovery, Subject::Git) => "the manifests' repository is well again".to_owned(),
            (Event::Recovery, Subject::Journal) => "the journal is written again".to_owned(),
            (Event::Recovery, _) => format!("{subject} is well again"),
            (Event::Withheld, _) => format!("{subject} is kept"),
            (Event::Interference, Subject::Resources) => {
                "somebody else did more than is told one by one".to_owned()
            }
            (Event::Interference, _) => format!("somebody else changed {subject}"),
            (_, Subject::Passes) => "not everything can be looked at".to_owned(),
            (_, Subject::Manifests) => "the manifests are wrong".to_owned(),
            (_, Subject::Git) => "the manifests' repository is not followed".to_owned(),
            (_, Subject::Journal) => "the journal is in trouble".to_owned(),
            (_, Subject::Resources | Subject::Resource(_)) => format!("{subject} failed"),
        }
    }
}

/// On one line, without its time: `container/web failed: start web: no such image`.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        if !self.what.is_empty() {
            write!(f, ": {}", self.what)?;
        }
        match self.changes {
            Some(changes) => write!(f, " (it changed {changes} times since it was told of last)"),
            None => Ok(()),
        }
    }
}

/// Foreign text on one line, as long as it may be.
fn bounded(text: &str) -> String {
    let text = printable(text);
    match text.char_indices().nth(WHAT_MAX) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.into_owned(),
    }
}

/// Who tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The host's name.
    pub host: String,
    /// Whose resources it is about.
    pub owner: String,
}

impl Sender {
    /// This host, for an owner.
    pub fn here(owner: &str) -> Self {
        Self { host: host_name(), owner: owner.to_owned() }
    }
}

/// This host's name: the kernel's own answer; where it has none, one that is nobody's.
pub fn host_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    printable(if host.is_empty() { "localhost" } else { host }).into_owned()
}

/// What is sent at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The version of this form.
    pub format_version: u32,
    /// The message's own name: the same when it is sent again because nobody knows whether it arrived.
    pub id: String,
    /// When it was written.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: Timestamp,
    /// The host's name.
    pub host: String,
    /// Whose resources it is about.
    pub owner: String,
    /// The daemon's version.
    pub version: String,
    /// Whether somebody only tries whether messages arrive.
    pub test: bool,
    /// What it says, on one line.
    pub title: String,
    /// What it says, for people: a line for each notice.
    pub text: String,
    /// What it says, one by one; 200 at most.
    pub notices: Vec<Notice>,
    /// How many notices found no room in it.
    pub more: usize,
}

impl Message {
    /// One that says this.
    pub(super) fn of(mut notices: Vec<Notice>, sender: &Sender, time: Timestamp) -> Self {
        let more = notices.len().saturating_sub(NOTICES_MAX);
        notices.truncate(NOTICES_MAX);
        let others = notices.len() + more - 1.min(notices.len());
        let title = notices.first().map(Notice::headline).unwrap_or_default();
        let title = if others == 0 { title } else { format!("{title}, and {others} more") };
        let mut lines: Vec<String> = notices.iter().map(ToString::to_string).collect();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        let text = lines.join("\n");
        Self { notices, more, ..Self::saying(&title, text, sender, time) }
    }

    /// One that only shows that it arrives.
    pub fn test(sender: &Sender, time: Timestamp) -> Self {
        let text = "This is a test: whoever reads it is told when something happens.".to_owned();
        Self { test: true, ..Self::saying("a test of notifications", text, sender, time) }
    }

    fn saying(title: &str, text: String, sender: &Sender, time: Timestamp) -> Self {
        let Sender { host, owner } = sender;
        Self {
            format_version: FORMAT_VERSION,
            id: format!("{:032x}", fastrand::u128(..)),
            time,
            host: host.clone(),
            owner: owner.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            test: false,
            title: format!("{host}: {title}"),
            text,
            notices: Vec::new(),
            more: 0,
        }
    }

    /// The message as JSON.
    pub(super) fn json(&self) -> String {
        // Texts and numbers always are JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The events in it, each once.
    pub(super) fn events(&self) -> Vec<Event> {
        Event::ALL.into_iter().filter(|event| self.notices.iter().any(|one| one.event == *event)).collect()
    }
}

/// The schema of a message, for who receives it: the file's name and text.
pub fn schema() -> (String, String) {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Message>();
    schema.insert("title".to_owned(), "A notification of Invigil's".into());
    (SCHEMA_FILE.to_owned(), format!("{:#}\n", schema.as_value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> Sender {
        Sender { host: "exam-1".to_owned(), owner: "default".to_owned() }
    }

    fn failure(name: &str, what: &str) -> Notice {
        let subject = Subject::Resource(format!("container/{name}").parse().unwrap());
        Notice::new(Event::Failure, subject, Timestamp::UNIX_EPOCH, what)
    }

    #[test]
    fn a_message_says_in_its_title_what_it_is_about_and_has_a_line_for_each_notice() {
        let one = Message::of(vec![failure("web", "no such image")], &sender(), Timestamp::UNIX_EPOCH);
        assert_eq!(one.title, "exam-1: container/web failed");
        assert_eq!(one.text, "container/web failed: no such image");
        let two = [failure("aa", "x"), failure("bb", "y")];
        let two = Message::of(two.to_vec(), &sender(), Timestamp::UNIX_EPOCH);
        assert_eq!(two.title, "exam-1: container/aa failed, and 1 more");
        assert_eq!(two.text, "container/aa failed: x\ncontainer/bb failed: y");
        assert_ne!(one.id, two.id);
    }

    #[test]
    fn a_message_is_bounded_and_says_what_found_no_room() {
        let many = (0..250).map(|number| failure(&format!("c{number}"), &"x".repeat(5000)));
        let message = Message::of(many.collect(), &sender(), Timestamp::UNIX_EPOCH);
        assert_eq!((message.notices.len(), message.more), (200, 50));
        assert_eq!(message.title, "exam-1: container/c0 failed, and 249 more");
        assert!(message.text.ends_with("\nand 50 more"), "{}", message.text);
        assert_eq!(message.notices[0].what.chars().count(), 1001);
    }

    #[test]
    fn law_13_foreign_text_stays_on_its_line() {
        let message =
            Message::of(vec![failure("web", "a\nBcc: x\u{1b}[2J")], &sender(), Timestamp::UNIX_EPOCH);
        assert_eq!(message.text, r"container/web failed: a\nBcc: x\u{1b}[2J");
    }

    #[test]
    fn what_is_sent_is_as_its_schema_says() {
        let mut flapping = failure("web", "no such image");
        flapping.changes = Some(12);
        let (_, schema) = schema();
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for message in [
            Message::of(vec![flapping], &sender(), Timestamp::UNIX_EPOCH),
            Message::test(&sender(), Timestamp::UNIX_EPOCH),
        ] {
            let document: serde_json::Value = serde_json::from_str(&message.json()).unwrap();
            assert_eq!(validator.validate(&document).map_err(|error| error.to_string()), Ok(()));
        }
    }
}
