//! What is said once, however many passes see it. In: how things stand in each pass. Out: log lines for
//! what is new, and for what is over.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{error, info, warn};

use super::files::UNSETTLED;
use crate::manifest::diagnostic::Diagnostic;
use crate::plan::Plan;
use crate::resource::name::ResourceId;
use crate::resource::printable::printable;

/// Remembers what was said.
#[derive(Debug, Default)]
pub struct Announcements {
    trouble: Option<String>,
    errors: BTreeSet<String>,
    warnings: BTreeSet<String>,
    withheld: BTreeMap<ResourceId, String>,
    blocked: BTreeMap<ResourceId, String>,
    waiting: BTreeMap<ResourceId, String>,
    notes: BTreeSet<String>,
    notice: Option<String>,
    suspended: Option<String>,
}

impl Announcements {
    /// A pass could not look at everything, and why.
    pub fn trouble(&mut self, why: &str) {
        if self.trouble.as_deref() != Some(why) {
            error!("{}; nothing is changed until it can be looked at again", printable(why));
            self.trouble = Some(why.to_owned());
        }
    }

    /// A pass could look at everything.
    pub fn no_trouble(&mut self) {
        if self.trouble.take().is_some() {
            info!("manifests and engine can be looked at again");
        }
    }

    /// What is wrong with the manifests. Returns all errors if they are others than before.
    pub fn diagnostics(&mut self, diagnostics: &[Diagnostic]) -> Option<Vec<String>> {
        let (errors, warnings): (Vec<&Diagnostic>, Vec<&Diagnostic>) =
            diagnostics.iter().partition(|diagnostic| diagnostic.is_error());
        let lines = |list: Vec<&Diagnostic>| list.into_iter().map(one_line).collect::<BTreeSet<String>>();
        let (errors, warnings) = (lines(errors), lines(warnings));
        for line in errors.difference(&self.errors) {
            error!("{line}");
        }
        for line in warnings.difference(&self.warnings) {
            warn!("{line}");
        }
        let over = self.errors.difference(&errors).count();
        if over > 0 && errors.is_empty() {
            info!("the manifests hold again");
        } else if over > 0 {
            info!(over, left = errors.len(), "some errors in the manifests are gone");
        }
        self.warnings = warnings;
        if errors == self.errors {
            return None;
        }
        self.errors = errors;
        Some(self.errors.iter().cloned().collect())
    }

    /// That there is no manifest at all, or are some again.
    pub fn notice(&mut self, notice: Option<&str>) {
        if notice.is_none() && self.notice.is_some() {
            info!("there are manifests again");
        }
        if let Some(notice) = notice.filter(|notice| self.notice.as_deref() != Some(*notice)) {
            warn!("{}", printable(notice));
        }
        self.notice = notice.map(str::to_owned);
    }

    /// Why the host is suspended, if it is; a plan warns of that. Says whether that is news.
    pub fn suspension(&mut self, why: Option<&str>) -> bool {
        if why.is_none() && self.suspended.is_some() {
            info!("the host is resumed");
        }
        let is_news = self.suspended.as_deref() != why;
        self.suspended = why.map(str::to_owned);
        is_news
    }

    /// What a plan leaves undone. Changes in `held` were logged when they failed. What waits is told by the next look if
    /// this one saw something that is over in a `moment`.
    pub fn undone(&mut self, plan: &Plan, held: &BTreeMap<ResourceId, String>, moment: bool) {
        let notes: BTreeSet<String> = plan.warnings.iter().cloned().collect();
        for note in notes.difference(&self.notes) {
            warn!("{}", printable(note));
        }
        self.notes = notes;
        let is_soon = |id: &ResourceId| moment && plan.soon.contains(id);
        let blocked = plan.blocked().filter(|(id, _)| !is_soon(id));
        let blocked = blocked.map(|(id, why)| (id.clone(), why.to_owned())).collect();
        for (id, why) in news(&mut self.blocked, blocked) {
            warn!(resource = %id, why = %printable(why), "blocked");
        }
        // What waits for a moment only is not worth a line.
        let withheld = plan.withheld.iter().filter(|(_, why)| why != UNSETTLED).cloned().collect();
        for (id, why) in news(&mut self.withheld, withheld) {
            warn!(resource = %id, why = %printable(why), "kept, though no manifest describes it");
        }
        if moment {
            return;
        }
        let mut waiting = plan.waiting.clone();
        waiting.retain(|id, _| !held.contains_key(id));
        for (id, why) in news(&mut self.waiting, waiting) {
            info!(resource = %id, why = %printable(why), "not tried yet");
        }
    }
}

/// Replaces what was said; gives what has to be said now.
fn news(
    said: &mut BTreeMap<ResourceId, String>,
    now: BTreeMap<ResourceId, String>,
) -> Vec<(&ResourceId, &String)> {
    let before = std::mem::replace(said, now);
    said.iter().filter(|(id, why)| before.get(*id) != Some(*why)).collect()
}

fn one_line(diagnostic: &Diagnostic) -> String {
    let shown = diagnostic.to_string();
    shown
        .split_once("\n  hint: ")
        .map_or_else(|| shown.clone(), |(what, hint)| format!("{what} (hint: {hint})"))
}
