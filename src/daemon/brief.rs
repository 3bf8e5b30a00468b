//! An engine that holds up no pass for long. In: an engine, a plan, and the wish to stop. Out: the same engine, whose
//! waits for a container's health are broken off after a while; later passes go on with them. Never breaks off a step that
//! changes something.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use crate::diff::{Act, Change, NEXT_SUFFIX};
use crate::engine::{EngineError, Observe, Perform, Progress, Scope};
use crate::observed::Observed;
use crate::plan::{Plan, Step};

/// How long a pass waits for what it started itself: most have proved themselves by then.
const STARTED: Duration = Duration::from_secs(30);
/// How long it waits for what an earlier one started.
const EARLIER: Duration = Duration::from_secs(2);

/// An engine for the steps of one plan.
#[derive(Debug)]
pub(super) struct Brief<'a, E> {
    engine: &'a E,
    /// Turns true when it is time to stop.
    shutdown: &'a Receiver<bool>,
    /// Containers that take the place of one that somebody else made, which is not known as their predecessor once its
    /// name is another: no later pass would put it back.
    adopting: BTreeSet<String>,
    /// What was started so far.
    started: Mutex<BTreeSet<String>>,
}

impl<'a, E> Brief<'a, E> {
    pub(super) fn new(engine: &'a E, plan: &Plan, shutdown: &'a Receiver<bool>) -> Self {
        let takes_over = |change: &&Change| matches!(&change.act, Act::Replace { old, .. } if !old.is_ours);
        let adopting = plan.changes.iter().filter(takes_over).map(|change| change.id.name.to_string());
        Self { engine, shutdown, adopting: adopting.collect(), started: Mutex::default() }
    }

    /// How long a container is waited for; `None` as long as it takes.
    fn patience(&self, container: &str) -> Option<Duration> {
        // Beside its predecessor it would be made anew.
        if container.ends_with(NEXT_SUFFIX) {
            return None;
        }
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner).contains(container);
        Some(if started { STARTED } else { EARLIER })
    }
}

impl<E: Observe> Observe for Brief<'_, E> {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        self.engine.observe(scope).await
    }

    async fn data_directory(&self) -> Result<Option<String>, EngineError> {
        self.engine.data_directory().await
    }
}

impl<E: Perform> Perform for Brief<'_, E> {
    async fn perform(&self, step: &Step, progress: &Progress<'_>) -> Result<(), EngineError> {
        let doing = self.engine.perform(step, progress);
        match step {
            Step::Await { container, .. } if !self.adopting.contains(container) => {
                let mut shutdown = self.shutdown.clone();
                let waiting = async {
                    match self.patience(container) {
                        Some(patience) => {
                            timeout(patience, doing).await.unwrap_or(Err(EngineError::Undecided))
                        }
                        None => doing.await,
                    }
                };
                tokio::select! {
                    biased;
                    waited = waiting => waited,
                    _ = shutdown.wait_for(|stop| *stop) => Err(EngineError::Undecided),
                }
            }
            Step::Start(container) => {
                self.started.lock().unwrap_or_else(PoisonError::into_inner).insert(container.clone());
                doing.await
            }
            _ => doing.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::diff::{NewContainer, Old};
    use crate::plan::Await;

    /// An engine on which everything takes ten minutes.
    struct Slow;

    const SLOW: Duration = Duration::from_mins(10);

    impl Observe for Slow {
        async fn observe(&self, _: &Scope) -> Result<Observed, EngineError> {
            Ok(Observed::default())
        }
    }

    impl Perform for Slow {
        async fn perform(&self, _: &Step, _: &Progress<'_>) -> Result<(), EngineError> {
            sleep(SLOW).await;
            Ok(())
        }
    }

    fn wait(container: &str) -> Step {
        Step::Await { container: container.to_owned(), until: Await::Healthy }
    }

    /// Whether the step came to its end, and after how many seconds.
    async fn took(engine: &Brief<'_, Slow>, step: Step) -> (bool, u64) {
        let begun = Instant::now();
        let done = engine.perform(&step, &|_| {}).await;
        assert!(matches!(done, Ok(()) | Err(EngineError::Undecided)), "{done:?}");
        (done.is_ok(), begun.elapsed().as_secs())
    }

    /// A plan that replaces a container, be it one that somebody else made.
    fn replacing(name: &str, is_ours: bool) -> Plan {
        let old = Old { is_ours, ..Old::named(name, true) };
        let container = NewContainer::running(true);
        let act = Act::Replace { old, container: Box::new(container), leftovers: Vec::new() };
        let id = format!("container/{name}").parse().unwrap();
        Plan { changes: vec![Change { id, act, reasons: Vec::new(), needs: Vec::new() }], ..Plan::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_waits_for_health_for_a_while_only_and_for_everything_else_as_long_as_it_takes() {
        let (_stop, shutdown) = watch::channel(false);
        let engine = Brief::new(&Slow, &replacing("web", true), &shutdown);
        assert_eq!(took(&engine, wait("web")).await, (false, 2));
        assert_eq!(took(&engine, Step::Start("web".to_owned())).await, (true, 600));
        assert_eq!(took(&engine, wait("web")).await, (false, 30));
        assert_eq!(took(&engine, wait("web.invigil-next")).await, (true, 600));
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_the_place_of_somebody_elses_is_waited_for_as_long_as_it_takes_and_that_once() {
        let (_stop, shutdown) = watch::channel(false);
        for (is_ours, waited) in [(false, (true, 600)), (true, (false, 2))] {
            let plan = replacing("adopted", is_ours);
            assert_eq!(took(&Brief::new(&Slow, &plan, &shutdown), wait("adopted")).await, waited);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_it_is_time_to_stop_health_is_not_waited_for() {
        let (stop, shutdown) = watch::channel(false);
        let engine = Brief::new(&Slow, &Plan::default(), &shutdown);
        let stopping = async {
            sleep(Duration::from_secs(1)).await;
            stop.send_replace(true);
        };
        let (waited, stopped, ()) = tokio::join!(
            took(&engine, wait("web.invigil-next")),
            took(&engine, Step::Stop("web".to_owned())),
            stopping
        );
        assert_eq!((waited, stopped), ((false, 1), (true, 600)));
    }
}
