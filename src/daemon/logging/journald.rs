//! The log as entries of systemd's journal. In: what is said. Out: the same line as elsewhere, with each of its fields beside
//! it, so that `journalctl -t invigil RESOURCE=container/web` finds what was said of one container.

use std::fmt::Debug;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::Context;

/// Where journald takes entries (`systemd.io/JOURNAL_NATIVE_PROTOCOL`).
const SOCKET: &str = "/run/systemd/journal/socket";

/// By what name `journalctl -t` finds the entries. Of lines systemd knows the program's by itself, of entries nothing.
const IDENTIFIER: &str = "invigil";

/// Gives what is said to something that takes entries.
struct Journald<T>(T);

/// What is said once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    level: Level,
    /// The line, as the log has it elsewhere, without its level.
    message: String,
    /// Its fields, named as journald wants them, in the order in which they were said.
    fields: Vec<(String, String)>,
}

/// What is said as entries, given to `take`.
pub(super) fn layer<S: Subscriber>(take: impl Fn(Entry) + Send + Sync + 'static) -> impl Layer<S> {
    Journald(take)
}

/// The journal of this host, if stderr leads to it; `stream` is what systemd says of that: `JOURNAL_STREAM`, systemd.exec(5).
pub(super) fn journal(stream: Option<&str>) -> Option<impl FnMut(Entry) + Send + use<>> {
    let stderr = fs::metadata("/proc/self/fd/2").ok()?;
    if stream? != format!("{}:{}", stderr.dev(), stderr.ino()) {
        return None;
    }
    let socket = UnixDatagram::unbound().ok()?;
    Some(move |entry: Entry| {
        // What it does not take is a line, as it would be without it.
        if socket.send_to(&entry.encoded(), SOCKET).is_err() {
            let _ = writeln!(io::stderr(), "{}", entry.message);
        }
    })
}

impl Entry {
    fn encoded(&self) -> Vec<u8> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let own = [
            ("MESSAGE", self.message.as_str()),
            ("PRIORITY", self.priority()),
            ("SYSLOG_IDENTIFIER", IDENTIFIER),
        ];
        let mut bytes = Vec::new();
        for (name, value) in own.into_iter().chain(fields) {
            bytes.extend(name.as_bytes());
            // By its length, since a value may have several lines.
            bytes.push(b'\n');
            bytes.extend((value.len() as u64).to_le_bytes());
            bytes.extend(value.as_bytes());
            bytes.push(b'\n');
        }
        bytes
    }

    /// As syslog(3) counts.
    const fn priority(&self) -> &'static str {
        match self.level {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        }
    }
}

impl<S: Subscriber, T: Fn(Entry) + 'static> Layer<S> for Journald<T> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = String::new();
        // A value that cannot be written leaves what was written before it.
        let _ = DefaultFields::new().format_fields(Writer::new(&mut message), event);
        let mut fields = Fields::default();
        event.record(&mut fields);
        (self.0)(Entry { level: *event.metadata().level(), message, fields: fields.0 });
    }
}

/// The fields of what is said, but the message itself.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn add(&mut self, field: &Field, value: String) {
        if field.name() != "message" {
            self.0.push((field.name().to_ascii_uppercase(), value));
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{info, warn};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn an_entry_is_the_line_and_each_of_its_fields() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&heard);
        let layer = Journald(move |entry| taken.lock().expect("a lock").push(entry));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let revision = None::<&str>;
            info!(resource = %"container/web", action = "replace", revision, took = %"1.2s", "done");
            warn!("two\nlines");
        });
        let fields = [("RESOURCE", "container/web"), ("ACTION", "replace"), ("TOOK", "1.2s")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            *heard.lock().expect("a lock"),
            [
                Entry {
                    level: Level::INFO,
                    message: "done resource=container/web action=\"replace\" took=1.2s".to_owned(),
                    fields: fields.to_vec(),
                },
                Entry { level: Level::WARN, message: "two\nlines".to_owned(), fields: Vec::new() },
            ]
        );
    }

    #[test]
    fn an_entry_is_written_as_journald_reads_it() {
        let fields = vec![("WHY".to_owned(), "甲\n=".to_owned())];
        let entry = Entry { level: Level::WARN, message: "x".to_owned(), fields };
        let mut expected = Vec::new();
        for (name, length, value) in [
            ("MESSAGE", 1, "x"),
            ("PRIORITY", 1, "4"),
            ("SYSLOG_IDENTIFIER", 7, "invigil"),
            ("WHY", 5, "甲\n="),
        ] {
            expected.extend(
                [name.as_bytes(), b"\n", &[length, 0, 0, 0, 0, 0, 0, 0], value.as_bytes(), b"\n"].concat(),
            );
        }
        assert_eq!(entry.encoded(), expected);
    }

    #[test]
    fn what_does_not_lead_to_the_journal_is_not_taken_for_it() {
        for stream in [None, Some(""), Some("1:2")] {
            assert!(journal(stream).is_none(), "{stream:?}");
        }
    }
}
