//! What a container may use of the host.

use serde_json::json;

use super::Base::Nothing;
use super::Class::{Update, UpdateIfSet};
use super::Place::Host;
use super::codec::{limit, same};
use super::entry::field;
use super::{Field, show};

/// The entries, in the order in which a plan tells them.
pub(super) static FIELDS: &[Field] = &[
    field("resources.memory", Host("Memory"), Nothing, |s| {
        s.resources.memory.map(|size| json!(size.bytes()))
    })
    .class(UpdateIfSet)
    .form(same, limit)
    .shown(show::size),
    field("resources.cpus", Host("NanoCpus"), Nothing, |s| s.resources.cpus.map(|cpus| json!(cpus.nanos())))
        .class(UpdateIfSet)
        .form(same, limit)
        .shown(show::cpus),
    field("resources.pidsLimit", Host("PidsLimit"), Nothing, |s| {
        s.resources.pids_limit.map(|limit| json!(limit))
    })
    .class(Update)
    .form(same, limit),
];
