//! What an entry says. In: plain values, in which secrets are hidden already (law 12). Out: its canonical bytes. Has no
//! clock.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::resource::digest::canonical_json;
use crate::resource::name::ResourceId;
use crate::resource::printable::printable;

/// The longest text that is kept of one, in characters.
const TEXT_MAX: usize = 2000;
/// How many reasons are kept of one action, and how many errors of the manifests.
const REASONS_MAX: usize = 50;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When it was over, by the clock of this host.
    pub time: Timestamp,
    /// Who did it.
    pub by: By,
    /// What was wanted, where the manifests' source has a name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceId>,
    /// What happened.
    pub what: What,
}

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum By {
    /// `invigil run`.
    Daemon,
    /// `invigil apply`.
    Apply,
    /// `invigil prune`.
    Prune,
    /// Somebody else, by hand or by another program.
    Outside,
    /// The journal, about itself.
    Journal,
}

impl By {
    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Apply => "apply",
            Self::Prune => "prune",
            Self::Outside => "outside",
            Self::Journal => "journal",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "event")]
pub enum What {
    /// This journal was begun.
    Begun {
        /// Why, where there was one before.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        because: String,
    },
    /// The daemon started.
    Started {
        /// Its version.
        version: String,
    },
    /// The daemon was asked to stop, and did.
    Stopped,
    /// The host is suspended: nothing is changed on it.
    Suspended {
        /// Why, in the words of whoever did it.
        why: String,
    },
    /// The host is not suspended any more.
    Resumed,
    /// A pass began that is to change something: should it be killed, this says what it was at.
    Pass {
        /// The counting line of its plan.
        plan: String,
    },
    /// Another revision of the manifests runs from now on.
    Runs {
        /// The first line of its message.
        subject: String,
    },
    /// A revision of the manifests may not run.
    Refused {
        /// The first line of its message.
        subject: String,
        /// Why.
        why: String,
    },
    /// Other errors are in the manifests now than before.
    Wrong {
        /// All of them; none where the manifests hold again.
        errors: Vec<String>,
    },
    /// An action was done.
    Done {
        /// Which: `replace`.
        action: String,
        /// What of it is told beside the fields: `12 items, sha256:...`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
        /// Why, field by field.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reasons: Vec<Reason>,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// Some of an action's steps are done; a later pass goes on with it.
    Unfinished {
        /// Which.
        action: String,
        /// What of it is told beside the fields.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
        /// Why, field by field.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reasons: Vec<Reason>,
        /// How long it took until then, in milliseconds.
        took_ms: u64,
    },
    /// An action failed.
    Failed {
        /// Which.
        action: String,
        /// What of it is told beside the fields.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
        /// Why it was tried, field by field.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reasons: Vec<Reason>,
        /// The step that failed.
        step: String,
        /// Why it failed.
        why: String,
        /// How long it took until then, in milliseconds.
        took_ms: u64,
    },
    /// What was there before a failure is put back.
    PutBack {
        /// For how long it was away, in milliseconds, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        away_ms: Option<u64>,
    },
    /// What was there before a failure cannot be put back.
    NotPutBack {
        /// Why.
        why: String,
    },
    /// Somebody did something to a resource past Invigil.
    Interfered {
        /// What: `exec`.
        action: String,
        /// With what: a program, a signal, a name before and after.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
        /// How often, since it was told last.
        times: u64,
    },
    /// More was done to resources past Invigil than is told one by one.
    InterferedMore {
        /// How often.
        times: u64,
    },
    /// The chain that this process wrote is not in the journal any more: it was removed, cut off or exchanged.
    Missing {
        /// The last entry of it.
        through: u64,
        /// Its hash, in hexadecimal digits.
        hash: String,
    },
    /// Entries that could not be kept.
    Gap {
        /// How many.
        lost: u64,
        /// Why.
        why: String,
    },
    /// The oldest entries were removed, as retention says.
    Removed {
        /// How many.
        entries: u64,
        /// The last of them.
        through: u64,
        /// Its hash, in hexadecimal digits: the chain goes on from there.
        hash: String,
    },
}

/// A field before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The field.
    pub field: String,
    /// Its value before.
    pub from: Option<String>,
    /// Its value after.
    pub to: Option<String>,
}

impl Entry {
    /// An entry of the journal about itself.
    pub(super) const fn own(time: Timestamp, what: What) -> Self {
        Self { time, by: By::Journal, revision: None, resource: None, what }
    }

    /// The bytes that are kept and hashed. Texts in them are bounded, and steer no terminal (law 13).
    pub(super) fn body(mut self) -> String {
        self.bound();
        // Text and numbers under texts always are JSON.
        canonical_json(&self).unwrap_or_default()
    }

    fn bound(&mut self) {
        self.revision.iter_mut().for_each(bound);
        match &mut self.what {
            What::Begun { because: text }
            | What::Started { version: text }
            | What::Pass { plan: text }
            | What::Suspended { why: text }
            | What::NotPutBack { why: text }
            | What::Runs { subject: text }
            | What::Gap { why: text, .. } => bound(text),
            What::Interfered { action, detail, .. } => [action, detail].into_iter().for_each(bound),
            What::Refused { subject, why } => [subject, why].into_iter().for_each(bound),
            What::Wrong { errors } => {
                cut(errors, |more| format!("and {more} more"));
                errors.iter_mut().for_each(bound);
            }
            What::Done { action, detail, reasons, .. } | What::Unfinished { action, detail, reasons, .. } => {
                [action, detail].into_iter().for_each(bound);
                bound_all(reasons);
            }
            What::Failed { action, detail, reasons, step, why, .. } => {
                [action, detail, step, why].into_iter().for_each(bound);
                bound_all(reasons);
            }
            What::InterferedMore { .. }
            | What::Stopped
            | What::Resumed
            | What::PutBack { .. }
            | What::Missing { .. }
            | What::Removed { .. } => {}
        }
    }
}

/// Keeps what there is room for, and what says how much more there was.
fn cut<T>(list: &mut Vec<T>, told: impl FnOnce(usize) -> T) {
    if let Some(more) = list.len().checked_sub(REASONS_MAX).filter(|more| *more > 0) {
        list.truncate(REASONS_MAX);
        list.push(told(more));
    }
}

fn bound_all(reasons: &mut Vec<Reason>) {
    cut(reasons, |more| Reason { field: format!("and {more} more"), from: None, to: None });
    for reason in reasons {
        bound(&mut reason.field);
        reason.from.iter_mut().chain(&mut reason.to).for_each(bound);
    }
}

fn bound(text: &mut String) {
    if let Some((cut, _)) = text.char_indices().nth(TEXT_MAX) {
        text.truncate(cut);
        text.push('…');
    }
    *text = printable(text).into_owned();
}

/// In words, without its time: `container/web replace done in 0.42s: image: nginx:1.14 -> nginx:1.15`.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(resource) = &self.resource {
            write!(f, "{resource} ")?;
        }
        match &self.what {
            What::Begun { because } if because.is_empty() => f.write_str("journal begun"),
            What::Begun { because } => write!(f, "journal begun: {because}"),
            What::Started { version } => write!(f, "invigil {version} started"),
            What::Stopped => f.write_str("invigil stopped"),
            What::Suspended { why } => write!(f, "the host is suspended: {why}"),
            What::Resumed => f.write_str("the host is resumed"),
            What::Pass { plan } => f.write_str(plan),
            What::Runs { subject } => write!(f, "revision runs: {subject}"),
            What::Refused { subject, why } => write!(f, "revision refused ({subject}): {why}"),
            What::Wrong { errors } if errors.is_empty() => f.write_str("the manifests hold again"),
            What::Wrong { errors } => write!(f, "wrong in the manifests: {}", errors.join("; ")),
            What::Done { action, detail, reasons, took_ms } => {
                write!(f, "{action} done in {}", seconds(*took_ms))?;
                write_because(f, detail, reasons)
            }
            What::Unfinished { action, detail, reasons, took_ms } => {
                write!(f, "{action} begun, and not at its end after {}", seconds(*took_ms))?;
                write_because(f, detail, reasons)
            }
            What::Failed { action, detail, reasons, step, why, took_ms } => {
                write!(f, "{action} failed after {} at `{step}`: {why}", seconds(*took_ms))?;
                write_because(f, detail, reasons)
            }
            What::PutBack { away_ms: None } => f.write_str("what was there before is put back"),
            What::PutBack { away_ms: Some(away) } => {
                write!(f, "what was there before is put back; it was away for {}", seconds(*away))
            }
            What::NotPutBack { why } => write!(f, "what was there before cannot be put back: {why}"),
            What::Interfered { action, detail, times } => {
                write!(f, "{action} from outside")?;
                if !detail.is_empty() {
                    write!(f, ": {detail}")?;
                }
                if *times > 1 { write!(f, ", {times} times") } else { Ok(()) }
            }
            What::InterferedMore { times } => {
                write!(f, "resources were interfered with {times} times more than is told one by one")
            }
            What::Missing { through, hash } => {
                write!(f, "the journal whose entry {through} has the hash {hash} is not in this one any more")
            }
            What::Gap { lost, why } => write!(f, "{lost} entries are lost: {why}"),
            What::Removed { entries, through, .. } => {
                write!(f, "{entries} old entries removed, the last of them {through}")
            }
        }
    }
}

fn write_because(f: &mut fmt::Formatter<'_>, detail: &str, reasons: &[Reason]) -> fmt::Result {
    let named = reasons.iter().map(|Reason { field, from, to }| match (from, to) {
        (None, None) => field.clone(),
        (from, to) => {
            let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "(none)".to_owned());
            format!("{field}: {} -> {}", side(from), side(to))
        }
    });
    let parts: Vec<String> =
        Some(detail.to_owned()).filter(|text| !text.is_empty()).into_iter().chain(named).collect();
    if parts.is_empty() { Ok(()) } else { write!(f, " ({})", parts.join("; ")) }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:02}s", milliseconds / 1000, milliseconds % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_in_manifests_is_kept_in_bounds_and_steers_no_terminal() {
        let kept = |errors: Vec<String>| {
            let body = Entry::own(Timestamp::UNIX_EPOCH, What::Wrong { errors }).body();
            serde_json::from_str::<Entry>(&body).unwrap().to_string()
        };
        let many = kept((0..60).map(|line| format!("a.yaml:{line}:1: \u{1b}wrong")).collect());
        let begin = "wrong in the manifests: a.yaml:0:1: \\u{1b}wrong; a.yaml:1:1: ";
        assert!(many.starts_with(begin), "{many}");
        assert!(many.ends_with("; a.yaml:49:1: \\u{1b}wrong; and 10 more"), "{many}");
        assert_eq!(kept((0..50).map(|line| line.to_string()).collect()).matches("more").count(), 0);
        assert_eq!(kept(Vec::new()), "the manifests hold again");
    }
}
