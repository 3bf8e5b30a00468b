//! A plan in words. In: a plan. Out: the text that people read before an exam; computes nothing.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use super::Plan;
use crate::desired::Ingredients;
use crate::diff::{Act, Change, Operation, Told};
use crate::resource::name::ResourceId;

/// Why a resource is left as it is, in a plan.
const LEFT: &str = "its manifest is wrong, or one that it needs";
/// What a plan says if anything is wrong with the manifests.
const WRONG: &str =
    "the manifests are not all right; what is wrong in them is left as it is, and nothing is removed";

/// What is written around words of each sort: terminal styles, or nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Palette {
    /// Before what is made.
    pub add: &'static str,
    /// Before what changes in place.
    pub change: &'static str,
    /// Before what is replaced, removed or blocked.
    pub danger: &'static str,
    /// Before what matters less.
    pub dim: &'static str,
    /// After each of these.
    pub reset: &'static str,
}

/// What a change is called, in one or a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    Load,
    Pull,
    Import,
    Build,
    Commit,
    Tag,
    Save,
    Push,
    Create,
    Start,
    Restart,
    Collect,
    Pause,
    Stop,
    Update,
    Replace,
    Remove,
    Blocked,
}

impl Verb {
    pub(super) const ALL: [Self; 18] = [
        Self::Load,
        Self::Pull,
        Self::Import,
        Self::Build,
        Self::Commit,
        Self::Tag,
        Self::Save,
        Self::Push,
        Self::Create,
        Self::Start,
        Self::Restart,
        Self::Collect,
        Self::Pause,
        Self::Stop,
        Self::Update,
        Self::Replace,
        Self::Remove,
        Self::Blocked,
    ];

    pub(super) fn of(act: &Act) -> Self {
        match act {
            Act::LoadPaper { .. } | Act::LoadOnBase { .. } | Act::LoadArchive { .. } => Self::Load,
            Act::Pull { .. } => Self::Pull,
            Act::Make { recipe, .. } => match recipe.ingredients {
                Ingredients::Import { .. } => Self::Import,
                Ingredients::Build { .. } => Self::Build,
                Ingredients::Commit(_) => Self::Commit,
            },
            Act::Tag { .. } => Self::Tag,
            Act::Save { .. } => Self::Save,
            Act::Push { .. } => Self::Push,
            Act::CreateNetwork(_) | Act::CreateVolume(_) | Act::Create(_) => Self::Create,
            Act::Alter { operations, .. } if operations.contains(&Operation::Restart) => Self::Restart,
            Act::Alter { operations, .. } => {
                let is_done = |one: &&Operation| !matches!(one, Operation::Record(_));
                match operations.iter().filter(is_done).collect::<Vec<_>>()[..] {
                    [Operation::Start | Operation::Unpause] => Self::Start,
                    [Operation::Collect(_), ..] => Self::Collect,
                    [Operation::Pause] => Self::Pause,
                    [Operation::Stop] | [Operation::Unpause, Operation::Stop] => Self::Stop,
                    _ => Self::Update,
                }
            }
            Act::Replace { .. } | Act::ReplaceNetwork { .. } => Self::Replace,
            Act::Untag { .. } | Act::RemoveNetwork(_) | Act::Remove(_) => Self::Remove,
            Act::Block { .. } => Self::Blocked,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Pull => "pull",
            Self::Import => "import",
            Self::Build => "build",
            Self::Commit => "commit",
            Self::Tag => "tag",
            Self::Save => "save",
            Self::Push => "push",
            Self::Create => "create",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Collect => "collect",
            Self::Pause => "pause",
            Self::Stop => "stop",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::Blocked => "blocked",
        }
    }

    const fn headline(self) -> &'static str {
        match self {
            Self::Update => "update in place",
            other => other.as_str(),
        }
    }

    /// Whether it takes away or stops what is there.
    pub(super) const fn disturbs(self) -> bool {
        matches!(self, Self::Restart | Self::Pause | Self::Stop | Self::Replace | Self::Remove)
    }

    const fn style(self, palette: &Palette) -> &'static str {
        match self {
            Self::Update => palette.change,
            Self::Blocked => palette.danger,
            _ if self.disturbs() => palette.danger,
            _ => palette.add,
        }
    }
}

/// What a headline says beside the verb.
pub fn detail(change: &Change) -> String {
    let own = match &change.act {
        Act::LoadPaper { image, .. } => format!("{}, {}", counted(image.items(), "item"), image.id()),
        Act::LoadOnBase { image, base, .. } => {
            let base = base.as_ref().map(|base| format!(" ({base})")).unwrap_or_default();
            format!("{} on {}{base}", counted(image.paper.items(), "item"), image.base)
        }
        Act::LoadArchive { archive, ids, .. } => {
            format!("{}, {}", archive.display(), ids.first().map(ToString::to_string).unwrap_or_default())
        }
        Act::Pull { reference, .. } => reference.to_string(),
        Act::Make { recipe, .. } => recipe.ingredients.to_string(),
        Act::Save { archive, .. } => archive.display().to_string(),
        Act::Create(container) if container.state.starts() => container.image.to_string(),
        Act::Create(container) => format!("{}, not started", container.image),
        Act::Block { why, .. } => why.clone(),
        _ => String::new(),
    };
    let unnamed =
        change.reasons.iter().filter(|reason| reason.field.is_empty()).filter_map(|reason| reason.to.clone());
    let parts: Vec<String> = Some(own).into_iter().filter(|own| !own.is_empty()).chain(unnamed).collect();
    crate::fields::plain(&parts.join(", "))
}

/// What a change does, in a word: `replace`.
pub fn action(change: &Change) -> &'static str {
    Verb::of(&change.act).as_str()
}

#[cfg(test)]
/// Every word that there is for what a change does.
pub fn actions() -> impl Iterator<Item = &'static str> {
    Verb::ALL.into_iter().map(Verb::as_str)
}

/// A change on one line, without its resource and action: `image: nginx:1.14 -> nginx:1.15; ...`.
pub fn because(change: &Change) -> String {
    let named = change.reasons.iter().filter(|reason| !reason.field.is_empty()).map(|reason| {
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "(none)".to_owned());
        format!("{}: {} -> {}", crate::fields::plain(&reason.field), side(&reason.from), side(&reason.to))
    });
    let parts: Vec<String> =
        Some(detail(change)).filter(|text| !text.is_empty()).into_iter().chain(named).collect();
    parts.join("; ")
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

impl Plan {
    /// The plan in words, ending with a line that counts.
    pub fn to_text(&self, palette: &Palette) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_text(&mut text, palette);
        text
    }

    fn write_text(&self, out: &mut String, palette: &Palette) -> fmt::Result {
        for change in &self.changes {
            let verb = Verb::of(&change.act);
            let (style, reset) = (verb.style(palette), palette.reset);
            write!(out, "{}  {style}{}{reset}", change.id, verb.headline())?;
            let detail = detail(change);
            if !detail.is_empty() {
                write!(out, "   {detail}")?;
            }
            if let Some(why) = self.waiting.get(&change.id) {
                write!(out, "   {}({why}){reset}", palette.dim)?;
            }
            out.push('\n');
            write_reasons(out, &change.reasons, palette)?;
        }
        for (id, why) in &self.withheld {
            writeln!(out, "{id}  {}kept{}   {why}", palette.dim, palette.reset)?;
        }
        let differs = |id: &ResourceId| self.changes.iter().any(|change| change.id == *id);
        for (id, why) in self.suspended.iter().filter(|(id, _)| !differs(id)) {
            let why = if why == "suspended" { String::new() } else { format!("   {why}") };
            writeln!(out, "{id}  {}suspended{}{why}", palette.dim, palette.reset)?;
        }
        for id in self.left.iter().filter(|id| !differs(id)) {
            writeln!(out, "{id}  {}left as it is{}   {LEFT}", palette.danger, palette.reset)?;
        }
        if self.wrong {
            writeln!(out, "{}error{}: {WRONG}", palette.danger, palette.reset)?;
        }
        for warning in &self.warnings {
            writeln!(out, "{}warning{}: {warning}", palette.danger, palette.reset)?;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        writeln!(out, "{}", self.summary())
    }

    /// The counting line: `Plan: 1 to load, 1 to replace; 14 unchanged.`
    pub fn summary(&self) -> String {
        let counts: Vec<String> = self
            .counts()
            .map(|(verb, count)| match verb {
                Verb::Blocked => format!("{count} blocked"),
                verb => format!("{count} to {}", verb.as_str()),
            })
            .collect();
        let head = match counts.is_empty() {
            true if self.wrong => "Nothing to do, as far as the manifests are right".to_owned(),
            true => "Nothing to do".to_owned(),
            false => format!("Plan: {}", counts.join(", ")),
        };
        let kept =
            if self.withheld.is_empty() { String::new() } else { format!(", {} kept", self.withheld.len()) };
        let suspended = match self.suspended.len() {
            0 => String::new(),
            count => format!(", {count} suspended"),
        };
        let left = match self.left.len() {
            0 => String::new(),
            count => format!(", {count} left as {}", if count == 1 { "it is" } else { "they are" }),
        };
        format!("{head}; {} unchanged{kept}{suspended}{left}.", self.unchanged.len())
    }

    /// How many changes there are of each sort, without those of which there are none: of one resource each sort counts
    /// once, however many images of its name go.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Verb, usize)> {
        let counted = self.counted();
        let count = move |verb| counted.iter().filter(|(_, counted)| *counted == verb).count();
        Verb::ALL.into_iter().map(move |verb| (verb, count(verb))).filter(|(_, count)| *count > 0)
    }

    /// What is counted, here and once it is done. What is suspended is counted as that.
    fn counted(&self) -> BTreeSet<(&ResourceId, Verb)> {
        let changes = self.changes.iter().filter(|change| !self.suspended.contains_key(&change.id));
        changes.map(|change| (&change.id, Verb::of(&change.act))).collect()
    }

    /// How many of the changes that the summary counts, but for those that are blocked, are of a resource that `is_it`.
    pub fn count(&self, is_it: impl Fn(&ResourceId) -> bool) -> usize {
        self.counted().into_iter().filter(|(id, verb)| *verb != Verb::Blocked && is_it(id)).count()
    }

    /// The steps in words, one line each, with what each needs: the language of this crate's tests.
    pub fn steps_text(&self) -> String {
        let mut text = String::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let named = |word: &str, nodes: &[usize]| {
                let numbers: Vec<String> = nodes.iter().map(|node| (node + 1).to_string()).collect();
                if numbers.is_empty() { String::new() } else { format!(" ({word} {})", numbers.join(", ")) }
            };
            let (after, instead) = (named("after", &node.needs), named("instead of", &node.instead));
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}. {}{after}{instead}", index + 1, node.step);
        }
        text
    }
}

fn write_reasons(out: &mut String, reasons: &[Told], palette: &Palette) -> fmt::Result {
    let named: Vec<&Told> = reasons.iter().filter(|reason| !reason.field.is_empty()).collect();
    let width = named.iter().map(|reason| reason.field.chars().count()).max().unwrap_or(0);
    for reason in named {
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "(none)".to_owned());
        let (from, to) = (side(&reason.from), side(&reason.to));
        let field = crate::fields::plain(&reason.field);
        let (dim, reset) = (palette.dim, palette.reset);
        writeln!(out, "  {field:<width$}   {dim}{from}{reset} -> {to}")?;
    }
    Ok(())
}
