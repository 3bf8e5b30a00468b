//! Tells of a plan while it is walked. In: the executor's events. Out: one line in the log, in the journal and on the board for
//! each change that is done, failed or left unfinished, and which predecessors were interrupted. Changes nothing.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use super::board::Board;
use super::pulse::Pulse;
use crate::account::{Account, Deed, Ending};
use crate::execute::Event;
use crate::journal::{By, Writer};
use crate::plan::{Node, Plan, Step, action, because};
use crate::resource::name::ResourceId;
use crate::resource::printable::printable;
use crate::source::git::short;

/// Follows one plan.
#[derive(Debug)]
pub(super) struct Progress<'a> {
    account: Account<'a>,
    pulse: &'a Pulse,
    board: &'a Board,
    journal: Option<&'a Writer>,
    /// What the plan is of, where the manifests' source has a name for it.
    revision: Option<&'a str>,
    disturbed: Mutex<BTreeSet<ResourceId>>,
}

impl<'a> Progress<'a> {
    pub(super) fn of(
        plan: &'a Plan,
        pulse: &'a Pulse,
        board: &'a Board,
        journal: Option<&'a Writer>,
        revision: Option<&'a str>,
    ) -> Self {
        Self { account: Account::of(plan), pulse, board, journal, revision, disturbed: Mutex::default() }
    }

    /// Notes what happens.
    pub(super) fn note(&self, event: &Event<'_>) {
        self.pulse.beat();
        match event {
            Event::Started(_, node) => {
                debug!(step = %node.step, "step begins");
                if node.step.disturbs() {
                    self.disturbs(node);
                }
            }
            Event::Progress(_, node, stage) => {
                debug!(step = %node.step, "{}", printable(&stage.to_string()));
            }
            Event::Done(_, node, took) => debug!(step = %node.step, took = %seconds(*took), "step done"),
            Event::Left(_, node) => debug!(step = %node.step, "no result yet, a later pass goes on"),
            // What has to be started again was interrupted, maybe by an earlier pass.
            Event::Rescued(_, node, _) => {
                if node.rescue.iter().any(|step| matches!(step, Step::Start(_) | Step::Restart(_))) {
                    self.disturbs(node);
                }
            }
            Event::Skipped(_, node) => debug!(step = %node.step, "step left out"),
            Event::Failed(..) => {}
        }
        let now = Timestamp::now();
        if let Some((journal, pass)) =
            self.journal.zip(self.account.pass(event, By::Daemon, self.revision, now))
        {
            journal.note(pass);
        }
        self.did(&self.account.hear(event));
    }

    fn did(&self, deeds: &[Deed<'_>]) {
        for deed in deeds {
            self.tell(deed);
            if let Some(journal) = self.journal {
                journal.note(deed.entry(By::Daemon, self.revision, Timestamp::now()));
            }
        }
        self.board.did(deeds);
    }

    /// The walk is over. The resources of which something that was there has been interrupted.
    pub(super) fn into_disturbed(self) -> BTreeSet<ResourceId> {
        self.did(&self.account.unfinished());
        self.disturbed.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn disturbs(&self, node: &Node) {
        let mut disturbed = self.disturbed.lock().unwrap_or_else(PoisonError::into_inner);
        disturbed.extend(node.concerns().cloned());
    }

    /// Logs what became of a resource.
    fn tell(&self, Deed { change, ending }: &Deed<'_>) {
        let revision = self.revision.map(short);
        // Secrets are masked in them already.
        let (id, action, reasons) = (&change.id, action(change), because(change));
        match ending {
            Ending::Done(took) => {
                info!(resource = %id, action, reasons, revision, took = %seconds(*took), "done");
            }
            Ending::Unfinished(took) => {
                info!(resource = %id, action, reasons, revision, took = %seconds(*took), "begun, a later pass goes on");
            }
            Ending::Failed { step, why, .. } => {
                error!(resource = %id, action, reasons, revision, step = %step, why = %printable(why), "failed");
            }
            Ending::Returned => info!(resource = %id, revision, "what was there before is put back"),
            Ending::PutBack(away) => {
                warn!(resource = %id, revision, away = away.map(seconds), "what was there before is put back");
            }
            Ending::NotPutBack(why) => {
                error!(resource = %id, revision, why = %printable(why), "what was there before cannot be put back");
            }
        }
    }
}

/// A time as people say it: `0.42s`.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2}s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::wake::channel;

    #[test]
    fn law_7_a_predecessor_that_an_earlier_pass_stopped_was_interrupted_when_it_is_put_back() {
        let (web, start) = ("container/web".parse::<ResourceId>().unwrap(), Step::Start("old".to_owned()));
        let interrupted = |rescue: Vec<Step>| {
            let step = Step::Pause("web".to_owned());
            let node = Node {
                step,
                resources: vec![web.clone()],
                changes: Vec::new(),
                needs: Vec::new(),
                rescue,
                undoes: Vec::new(),
                instead: Vec::new(),
            };
            let plan = Plan { nodes: vec![node], ..Plan::default() };
            let pulse = Pulse::default();
            let board = Board::new(&"exam".parse().unwrap(), &channel().1, None);
            let progress = Progress::of(&plan, &pulse, &board, None, None);
            progress.note(&Event::Rescued(0, &plan.nodes[0], Ok(None)));
            progress.into_disturbed().contains(&web)
        };
        assert!(interrupted(vec![Step::RemoveContainer("web".to_owned()), start]));
        assert!(!interrupted(vec![Step::RemoveContainer("web.invigil-next".to_owned())]));
    }
}
