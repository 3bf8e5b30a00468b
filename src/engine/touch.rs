//! What was done to something on an engine, by whomever. In: nothing. Out: plain values. Says neither who did it nor whether
//! anybody may.

use std::fmt;

use jiff::Timestamp;

use crate::resource::name::{Kind, Owner, ResourceId};
use crate::resource::printable::printable;

/// The longest text of a touch that is kept, in characters.
const TEXT_MAX: usize = 100;

/// One thing that was done to something that may be an Invigil's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// When, by the engine's clock.
    pub time: Timestamp,
    /// What kind of thing it was done to.
    pub kind: Kind,
    /// The engine's id of it.
    pub id: String,
    /// Its name, after what was done; its id where the engine tells no name.
    pub name: String,
    /// Whose it is by its labels, and which resource; none where the engine tells no labels of such a thing. Who runs an
    /// image that was committed from a container of ours has these labels, too.
    pub labelled: Option<(Owner, ResourceId)>,
    /// What was done.
    pub manner: Manner,
}

/// What was done to something. What a program was told is left out: it may hold secrets (law 12).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// A program was run in it.
    Exec(String),
    /// Files were put into it.
    CopyIn,
    /// Files were taken out of it.
    CopyOut,
    /// Somebody reads, and may write, what its program does.
    Attach,
    /// An image was made of it.
    Commit,
    /// Its program was sent a signal.
    Kill(String),
    /// Its program was ended.
    Stop,
    /// Its program was ended, and started again.
    Restart,
    /// Its program was frozen.
    Pause,
    /// Its program goes on.
    Unpause,
    /// It has another name now than this one.
    Rename(String),
    /// Its limits or its restart policy were changed.
    Update,
    /// It joined this network, which each start of a container does, too. Podman does not say which network.
    Connect(String),
    /// It left this network, which each end of a container does, too.
    Disconnect(String),
    /// A tag of it was taken away.
    Untag,
    /// It was removed.
    Remove,
}

impl Manner {
    /// Every word that there is for one.
    pub const WORDS: [&str; 16] = [
        "exec",
        "copy in",
        "copy out",
        "attach",
        "commit",
        "kill",
        "stop",
        "restart",
        "pause",
        "unpause",
        "rename",
        "update",
        "connect",
        "disconnect",
        "untag",
        "remove",
    ];

    /// In a word or two.
    pub const fn as_str(&self) -> &'static str {
        Self::WORDS[match self {
            Self::Exec(_) => 0,
            Self::CopyIn => 1,
            Self::CopyOut => 2,
            Self::Attach => 3,
            Self::Commit => 4,
            Self::Kill(_) => 5,
            Self::Stop => 6,
            Self::Restart => 7,
            Self::Pause => 8,
            Self::Unpause => 9,
            Self::Rename(_) => 10,
            Self::Update => 11,
            Self::Connect(_) => 12,
            Self::Disconnect(_) => 13,
            Self::Untag => 14,
            Self::Remove => 15,
        }]
    }
}

impl Touch {
    /// What else is to be said of it: a program, a signal, a network, a name before and after.
    pub fn detail(&self) -> Option<String> {
        let text = match &self.manner {
            Manner::Connect(network) | Manner::Disconnect(network) if network.is_empty() => return None,
            Manner::Exec(text) | Manner::Kill(text) | Manner::Connect(text) | Manner::Disconnect(text) => {
                text.clone()
            }
            Manner::Rename(from) => format!("{from} -> {}", self.name),
            _ => return None,
        };
        let short: String = text.chars().take(TEXT_MAX).collect();
        Some(printable(&short).into_owned())
    }
}

/// `exec: sh`.
impl fmt::Display for Touch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.manner.as_str())?;
        self.detail().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

/// What an engine says while it is listened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Whether something happened that an observation could show.
    pub moved: bool,
    /// What was done to something that may be an Invigil's.
    pub touch: Option<Touch>,
    /// The id of a container whose program began or ended, by itself or not.
    pub turned: Option<String>,
}

impl Heard {
    /// That it listens from now on.
    pub const LISTENING: Self = Self { moved: false, touch: None, turned: None };
}
