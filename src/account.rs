//! What becomes of each change while a plan is walked. In: the executor's events. Out: one deed for each change that is
//! done, failed or left unfinished, and for what was put back: for the log and for the journal. Decides nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::diff::Change;
use crate::execute::Event;
use crate::journal::{By, Entry, Reason, What};
use crate::plan::{Node, Plan, action, detail};

/// Follows one plan.
#[derive(Debug)]
pub struct Account<'a> {
    plan: &'a Plan,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How far each change of the plan is.
    courses: Vec<Course>,
    /// Whether something is done, and not only waited for.
    is_begun: bool,
}

/// How far a change is.
#[derive(Debug, Clone, Default)]
struct Course {
    /// How many of its steps are left.
    left: usize,
    /// When its first began.
    begun: Option<Instant>,
    /// Whether one that does something is done.
    is_partly_done: bool,
    /// Whether it is told already how it ended.
    is_over: bool,
}

/// What became of one change.
#[derive(Debug)]
pub struct Deed<'a> {
    /// What was to be done, with its reasons, in which secrets are hidden.
    pub change: &'a Change,
    /// How that ended.
    pub ending: Ending,
}

/// How it ended.
#[derive(Debug)]
pub enum Ending {
    /// All of its steps are done, in this time.
    Done(Duration),
    /// Some of its steps are done, this long after the first began; a later pass goes on.
    Unfinished(Duration),
    /// A step failed.
    Failed {
        /// Which.
        step: String,
        /// Why.
        why: String,
        /// How long after the first step.
        took: Duration,
    },
    /// What was there before is put back, which is all that was to be done.
    Returned,
    /// What was there before a step failed is put back; it was away for so long, if it was.
    PutBack(Option<Duration>),
    /// What was there before cannot be put back, and why.
    NotPutBack(String),
}

impl<'a> Account<'a> {
    /// Of a plan that is going to be walked.
    pub fn of(plan: &'a Plan) -> Self {
        let mut courses = vec![Course::default(); plan.changes.len()];
        let steps = plan.nodes.iter().filter(|node| node.instead.is_empty());
        for at in steps.flat_map(|node| &node.changes) {
            courses[*at].left += 1;
        }
        Self { plan, state: Mutex::new(State { courses, is_begun: false }) }
    }

    /// That the plan is being walked, once something is done and not only waited for: should that be broken off by force,
    /// the journal says what it was about.
    pub fn pass(&self, event: &Event<'_>, by: By, revision: Option<&str>, time: Timestamp) -> Option<Entry> {
        let Event::Started(_, node) = event else { return None };
        if node.step.only_waits() || std::mem::replace(&mut self.state().is_begun, true) {
            return None;
        }
        let what = What::Pass { plan: self.plan.summary() };
        let revision = revision.map(str::to_owned);
        Some(Entry { time, by, revision, resource: None, what })
    }

    /// What has become of changes by this event; mostly nothing yet.
    pub fn hear(&self, event: &Event<'_>) -> Vec<Deed<'a>> {
        match event {
            Event::Started(_, node) => {
                let mut state = self.state();
                for at in &node.changes {
                    state.courses[*at].begun.get_or_insert_with(Instant::now);
                }
                Vec::new()
            }
            Event::Done(_, node, _) if !node.instead.is_empty() => self.each(node, |_| Ending::PutBack(None)),
            Event::Failed(_, node, why) if !node.instead.is_empty() => {
                self.each(node, |_| Ending::NotPutBack(format!("{}: {why}", node.step)))
            }
            Event::Done(_, node, _) => self.done(node),
            Event::Failed(_, node, why) => self.each(node, |took| Ending::Failed {
                step: node.step.to_string(),
                why: why.to_string(),
                took,
            }),
            Event::Rescued(_, node, result) => {
                let back = || match result {
                    Ok(away) => Ending::PutBack(*away),
                    Err(why) => Ending::NotPutBack(why.clone()),
                };
                let others = self.plan.changes.iter().enumerate();
                let others = others.filter(|(_, change)| node.undoes.contains(&change.id));
                let others: Vec<usize> = others.map(|(at, _)| at).collect();
                self.of_each(node.changes.iter().chain(&others), |_| back())
            }
            Event::Progress(..) | Event::Left(..) | Event::Skipped(..) => Vec::new(),
        }
    }

    /// What was begun in this walk, and is neither done nor failed at its end: what it waits for has come to no result, or
    /// it was cut off.
    pub fn unfinished(&self) -> Vec<Deed<'a>> {
        let state = self.state();
        let changes = self.plan.changes.iter().zip(&state.courses);
        let begun = changes.filter(|(change, course)| {
            course.is_partly_done && !course.is_over && self.plan.tries(&change.id)
        });
        begun.map(|(change, course)| Deed { change, ending: Ending::Unfinished(course.took()) }).collect()
    }

    fn done(&self, node: &Node) -> Vec<Deed<'a>> {
        let mut state = self.state();
        let mut deeds = Vec::new();
        for at in &node.changes {
            let (change, course) = (&self.plan.changes[*at], &mut state.courses[*at]);
            course.left = course.left.saturating_sub(1);
            course.is_partly_done |= !node.step.only_waits();
            if course.left == 0 {
                course.is_over = true;
                let is_back = !self.plan.tries(&change.id);
                let ending = if is_back { Ending::Returned } else { Ending::Done(course.took()) };
                deeds.push(Deed { change, ending });
            }
        }
        deeds
    }

    fn each(&self, node: &Node, ending: impl Fn(Duration) -> Ending) -> Vec<Deed<'a>> {
        self.of_each(node.changes.iter(), ending)
    }

    fn of_each<'c>(
        &self,
        changes: impl Iterator<Item = &'c usize>,
        ending: impl Fn(Duration) -> Ending,
    ) -> Vec<Deed<'a>> {
        let mut state = self.state();
        let mut deeds = Vec::new();
        for at in changes {
            let course = &mut state.courses[*at];
            course.is_over = true;
            deeds.push(Deed { change: &self.plan.changes[*at], ending: ending(course.took()) });
        }
        deeds
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts stay true whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Course {
    fn took(&self) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| begun.elapsed())
    }
}

impl Deed<'_> {
    /// The same for the journal.
    pub fn entry(&self, by: By, revision: Option<&str>, time: Timestamp) -> Entry {
        let (action, detail) = (action(self.change).to_owned(), detail(self.change));
        let reasons = self.change.reasons.iter().filter(|reason| !reason.field.is_empty()).map(|reason| {
            Reason { field: reason.field.clone(), from: reason.from.clone(), to: reason.to.clone() }
        });
        let reasons = reasons.collect();
        let what = match &self.ending {
            Ending::Done(took) => What::Done { action, detail, reasons, took_ms: milliseconds(*took) },
            Ending::Unfinished(took) => {
                What::Unfinished { action, detail, reasons, took_ms: milliseconds(*took) }
            }
            Ending::Failed { step, why, took } => What::Failed {
                action,
                detail,
                reasons,
                step: step.clone(),
                why: why.clone(),
                took_ms: milliseconds(*took),
            },
            Ending::Returned => What::PutBack { away_ms: None },
            Ending::PutBack(away) => What::PutBack { away_ms: away.map(milliseconds) },
            Ending::NotPutBack(why) => What::NotPutBack { why: why.clone() },
        };
        let revision = revision.map(str::to_owned);
        Entry { time, by, revision, resource: Some(self.change.id.clone()), what }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{Act, Told};
    use crate::plan::{Await, Step};

    fn change(id: &str, act: Act) -> Change {
        let reasons = vec![Told { field: "image".to_owned(), from: None, to: Some("1.15".to_owned()) }];
        Change { id: id.parse().unwrap(), act, reasons, needs: Vec::new() }
    }

    fn node(change: usize, step: Step) -> Node {
        Node {
            step,
            resources: Vec::new(),
            changes: vec![change],
            needs: Vec::new(),
            rescue: Vec::new(),
            undoes: Vec::new(),
            instead: Vec::new(),
        }
    }

    fn told(deeds: &[Deed<'_>]) -> Vec<String> {
        let entry = |deed: &Deed<'_>| deed.entry(By::Daemon, None, Timestamp::UNIX_EPOCH).to_string();
        deeds.iter().map(entry).map(|told| told.replace("0.00s", "TIME")).collect()
    }

    const IMAGE: &str = "image/midterm";

    #[tokio::test(start_paused = true)]
    async fn each_change_of_one_resource_is_told() {
        let push = |tag: &str| Step::Push(tag.parse().unwrap());
        let tags = |tag: &str| vec![tag.parse().unwrap()];
        let plan = Plan {
            changes: vec![
                change(IMAGE, Act::Push { tags: tags("a:1") }),
                change(IMAGE, Act::Push { tags: tags("b:1") }),
            ],
            nodes: vec![node(0, push("a:1")), node(1, push("b:1"))],
            ..Plan::default()
        };
        let account = Account::of(&plan);
        for node in &plan.nodes {
            let deeds = account.hear(&Event::Done(0, node, Duration::ZERO));
            assert_eq!(told(&deeds).len(), 1);
        }
        assert!(account.unfinished().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn law_7_all_that_are_put_back_together_are_told() {
        let remove = |id: &str| change(id, Act::Remove(Vec::new()));
        let start = Step::Start("side".to_owned());
        let failing = Node { undoes: vec!["container/web".parse().unwrap()], ..node(0, start) };
        let plan = Plan {
            changes: vec![remove("container/side"), remove("container/web")],
            nodes: vec![failing, node(1, Step::RemoveContainer("web".to_owned()))],
            ..Plan::default()
        };
        let account = Account::of(&plan);
        let back = Event::Rescued(0, &plan.nodes[0], Ok(Some(Duration::from_secs(2))));
        assert_eq!(
            told(&account.hear(&back)),
            [
                "container/side what was there before is put back; it was away for 2.00s",
                "container/web what was there before is put back; it was away for 2.00s"
            ]
        );
        assert!(account.unfinished().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_begun_and_not_at_its_end_is_told_and_what_only_waits_is_not() {
        let step = Step::Await { container: "web".to_owned(), until: Await::Healthy };
        let plan = Plan {
            changes: vec![change("container/web", Act::Push { tags: Vec::new() })],
            nodes: vec![node(0, Step::Start("web".to_owned())), node(0, step)],
            ..Plan::default()
        };
        let [start, wait] = &plan.nodes[..] else { unreachable!() };
        let pass = |account: &Account<'_>, node| {
            account.pass(&Event::Started(0, node), By::Daemon, None, Timestamp::UNIX_EPOCH).is_some()
        };

        let account = Account::of(&plan);
        assert_eq!(
            (pass(&account, start), pass(&account, wait), pass(&account, start)),
            (true, false, false)
        );
        account.hear(&Event::Started(0, start));
        account.hear(&Event::Done(0, start, Duration::ZERO));
        account.hear(&Event::Left(1, wait));
        assert_eq!(
            told(&account.unfinished()),
            ["container/web push begun, and not at its end after TIME (image: (none) -> 1.15)"]
        );

        let account = Account::of(&plan);
        assert!(!pass(&account, wait));
        account.hear(&Event::Started(1, wait));
        account.hear(&Event::Left(1, wait));
        assert!(account.unfinished().is_empty());
    }
}
