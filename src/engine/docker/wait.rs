//! Waits for containers: until they are well, have stayed up, or have run to their end. Only looks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::models::{ContainerConfig, HealthConfig};
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep};

use super::observe::read;
use super::perform::{LOOK, segment};
use super::{Session, podman};
use crate::engine::hidden::Hidden;
use crate::engine::{EngineError, Progress, Stage};
use crate::fields;
use crate::plan::Await;

/// How long a health check may take to come to a result at least, and how long a pass waits for a job.
const HEALTH: Duration = Duration::from_mins(5);
/// The longest that any health check is waited for.
const HEALTH_MAX: Duration = Duration::from_hours(24);
/// How often health is checked, and how long a check may take, where nothing is said.
pub(super) const CHECK: Duration = Duration::from_secs(30);
/// How often it is told that a health check has come to no result yet.
const TELL: Duration = Duration::from_mins(1);
/// A wait that was broken off goes on if it is taken up again within this time.
const GOES_ON: Duration = Duration::from_mins(5);
/// How many of a failed container's last lines are told, and how much of them.
const LAST_LINES: &str = "5";
const LAST_LINES_BYTES: usize = 2000;

/// Waits until a container is as far as it has to be. A failure tells the container's last output.
pub(super) async fn until(
    engine: &Session,
    container: &str,
    until: Await,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let first = glance(engine, container).await?;
    let is_checked = !matches!(first.health.as_deref(), None | Some("" | "none"));
    // One that is to stay up, and was started anew between two looks, has not stayed up.
    let started = match until {
        Await::Steady(_) => Some(first.started_at.as_str()),
        Await::Well(_) if !is_checked => Some(first.started_at.as_str()),
        _ => None,
    };
    let what = format!("{} {until:?}", first.id);
    if !engine.waits.are_of(&what, started) {
        engine.waits.open().remove(&what);
        let sentence = "it ended before it had stayed up as long as it has to".to_owned();
        return Err(EngineError::refused(sentence + &last_words(engine, container).await));
    }
    let wait = Wait::of(&engine.waits, what, started);
    let waited = match until {
        Await::Healthy => healthy(engine, container, &wait, progress).await,
        Await::Well(_) if is_checked => healthy(engine, container, &wait, progress).await,
        Await::Steady(time) | Await::Well(time) => {
            steady(engine, container, &wait, (&first.started_at, time.into())).await
        }
        Await::Completed => completed(engine, container, &wait).await,
    };
    engine.waits.open().remove(&wait.what);
    match waited {
        Err(EngineError::Refused { sentence }) => {
            Err(EngineError::refused(sentence + &last_words(engine, container).await))
        }
        waited => waited,
    }
}

/// What is waited for, also over waits that were broken off.
struct Wait<'a> {
    waits: &'a Waits,
    what: String,
    /// Since when.
    begun: Instant,
}

/// A wait that has come to no result yet.
#[derive(Debug)]
struct Open {
    /// When it began.
    begun: Instant,
    /// When it was seen last.
    seen: Instant,
    /// When the container's program was started, by the engine's clock, where it is to stay up.
    started: Option<String>,
}

/// The waits that have not come to a result, of all passes as long as the engine is there: one that was away has started
/// its containers anew.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<BTreeMap<String, Open>>);

impl Waits {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, open| open.seen.elapsed() < GOES_ON);
        open
    }

    /// Whether a wait for `what` that was broken off, if there is one, was for the program that was started then.
    fn are_of(&self, what: &str, started: Option<&str>) -> bool {
        self.open().get(what).is_none_or(|open| open.started.as_deref() == started)
    }
}

impl<'a> Wait<'a> {
    /// Goes on with a wait for `what`, or begins one.
    fn of(waits: &'a Waits, what: String, started: Option<&str>) -> Self {
        let now = Instant::now();
        let begin = || Open { begun: now, seen: now, started: started.map(str::to_owned) };
        let mut open = waits.open();
        let one = open.entry(what.clone()).or_insert_with(begin);
        one.seen = now;
        let begun = one.begun;
        drop(open);
        Self { waits, what, begun }
    }

    /// Waits a moment.
    async fn moment(&self) {
        sleep(LOOK).await;
        if let Some(open) = self.waits.open().get_mut(&self.what) {
            open.seen = Instant::now();
        }
    }
}

/// What a container that is waited for is doing.
struct Glance {
    id: String,
    status: String,
    health: Option<String>,
    exit_code: i64,
    started_at: String,
    last_check: Option<String>,
    /// How long its health check may take to come to a result.
    patience: Duration,
    /// How often its health is to be checked.
    interval: Duration,
}

async fn glance(engine: &Session, container: &str) -> Result<Glance, EngineError> {
    let container = segment(container)?;
    let ask = || engine.docker.inspect_container(container, None::<InspectContainerOptions>);
    let answer = read(engine, "look at it", ask).await?;
    let state = answer.state.unwrap_or_default();
    let health = state.health;
    let secrets = answer.config.as_ref().map(secrets);
    let last_check = health
        .as_ref()
        .and_then(|health| health.log.as_ref()?.last()?.output.clone())
        .and_then(|output| Some(fields::plain(&secrets?.without(output.trim()))));
    let check = answer.config.and_then(|config| config.healthcheck);
    Ok(Glance {
        id: answer.id.unwrap_or_default(),
        status: state.status.map(|status| status.to_string()).unwrap_or_default(),
        health: health.and_then(|health| health.status).map(|status| status.to_string()),
        exit_code: state.exit_code.unwrap_or_default(),
        started_at: state.started_at.unwrap_or_default(),
        last_check,
        patience: patience(check.as_ref()),
        interval: time(check.and_then(|check| check.interval), CHECK),
    })
}

/// How long a health check may take to come to a result: through its start period, in which no failure
/// counts, and all of its tries. The defaults are Docker's.
fn patience(check: Option<&HealthConfig>) -> Duration {
    let Some(check) = check else { return HEALTH };
    let tries = check.retries.and_then(|retries| u32::try_from(retries).ok()).filter(|retries| *retries > 0);
    let each = time(check.interval, CHECK).saturating_add(time(check.timeout, CHECK));
    time(check.start_period, Duration::ZERO)
        .saturating_add(each.saturating_mul(tries.unwrap_or(3).saturating_add(1)))
        .clamp(HEALTH, HEALTH_MAX)
}

/// A time in nanoseconds, of which 0 means what engines take where nothing is said.
fn time(nanos: Option<i64>, default: Duration) -> Duration {
    nanos
        .and_then(|nanos| u64::try_from(nanos).ok())
        .filter(|nanos| *nanos > 0)
        .map_or(default, Duration::from_nanos)
}

impl Glance {
    /// An error if the program is not there any more.
    fn up(&self) -> Result<(), EngineError> {
        match self.status.as_str() {
            "running" | "paused" => Ok(()),
            _ => Err(EngineError::refused(format!("it ended with exit code {}", self.exit_code))),
        }
    }
}

async fn healthy(
    engine: &Session,
    container: &str,
    wait: &Wait<'_>,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let (mut told, mut next) = (String::new(), Instant::now() + TELL);
    let mut checked = Instant::now();
    loop {
        let mut glance = glance(engine, container).await?;
        // Podman leaves the checks to systemd, which may not be there.
        if engine.is_podman && checked.elapsed() >= glance.interval && glance.status == "running" {
            checked = Instant::now();
            Box::pin(podman::check_health(engine, container)).await?;
            glance = self::glance(engine, container).await?;
        }
        // What the engine restarts by itself may still become well.
        if glance.status != "restarting" {
            glance.up()?;
        }
        match glance.health.as_deref() {
            Some("healthy") => return Ok(()),
            Some("unhealthy") => {
                let check = glance.last_check.filter(|output| !output.is_empty());
                let check = check.map(|output| format!(": {output}")).unwrap_or_default();
                return Err(EngineError::refused(format!("it is unhealthy{check}")));
            }
            None | Some("" | "none") => {
                return Err(EngineError::refused("it has no health check to wait for"));
            }
            Some(other) if other != told => {
                told = other.to_owned();
                progress(Stage::of(&told));
            }
            Some(still) => {
                if Instant::now() >= next {
                    next += TELL;
                    progress(Stage::counted(still, format!("for {} s", wait.begun.elapsed().as_secs())));
                }
            }
        }
        if wait.begun.elapsed() >= glance.patience {
            let seconds = glance.patience.as_secs();
            return Err(EngineError::refused(format!("it did not become healthy in {seconds} s")));
        }
        wait.moment().await;
    }
}

async fn steady(
    engine: &Session,
    container: &str,
    wait: &Wait<'_>,
    (started_at, time): (&str, Duration),
) -> Result<(), EngineError> {
    let end = wait.begun + time;
    loop {
        // Time first: what is seen then is how it is at the end.
        let is_over = Instant::now() >= end;
        let now = glance(engine, container).await?;
        now.up()?;
        if now.started_at != started_at {
            return Err(EngineError::refused("it ended, and the engine started it again"));
        }
        if is_over {
            return Ok(());
        }
        wait.moment().await;
    }
}

async fn completed(engine: &Session, container: &str, wait: &Wait<'_>) -> Result<(), EngineError> {
    let deadline = wait.begun + HEALTH;
    loop {
        let glance = glance(engine, container).await?;
        match (glance.status.as_str(), glance.exit_code) {
            ("exited" | "stopped", 0) => return Ok(()),
            ("exited" | "stopped" | "dead", _) => return glance.up(),
            _ if Instant::now() >= deadline => {
                return Err(EngineError::Undecided);
            }
            _ => wait.moment().await,
        }
    }
}

/// What a container that failed wrote last; nothing if that cannot be read, which must not hide the failure, or if it
/// cannot be told what is secret in it.
async fn last_words(engine: &Session, container: &str) -> String {
    let answer = engine.docker.inspect_container(container, None::<InspectContainerOptions>).await;
    let Some(secrets) = answer.ok().and_then(|answer| answer.config).as_ref().map(secrets) else {
        return String::new();
    };
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(LAST_LINES).build();
    let mut output = engine.docker.logs(container, Some(options));
    let mut bytes = Vec::new();
    while let Some(Ok(part)) = output.next().await {
        bytes.extend(part.into_bytes());
        if bytes.len() > LAST_LINES_BYTES {
            break;
        }
    }
    let text = secrets.without(&String::from_utf8_lossy(&bytes));
    let lines: Vec<String> = text.lines().map(|line| fields::plain(line.trim_end())).collect();
    if lines.is_empty() { String::new() } else { format!("; its last output: {}", lines.join(" | ")) }
}

/// What looks secret of all that a container was given.
fn secrets(config: &ContainerConfig) -> Hidden {
    let test = config.healthcheck.as_ref().map(|check| &check.test);
    let words = config.entrypoint.iter().chain(&config.cmd).chain(test.into_iter().flatten());
    let words: Vec<&str> = words.flatten().map(String::as_str).collect();
    Hidden::of_container(config.env.iter().flatten().map(String::as_str), &words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_check_is_waited_for_through_its_start_and_all_its_tries() {
        let seconds = |check: Option<&HealthConfig>| patience(check).as_secs();
        let minutes = |minutes: i64| Some(minutes * 60_000_000_000);
        assert_eq!(seconds(None), 300);
        assert_eq!(seconds(Some(&HealthConfig::default())), 300);
        let slow_start = HealthConfig { start_period: minutes(10), ..HealthConfig::default() };
        assert_eq!(seconds(Some(&slow_start)), 10 * 60 + 4 * 60);
        let rare = HealthConfig {
            interval: minutes(6),
            timeout: minutes(1),
            retries: Some(1),
            ..HealthConfig::default()
        };
        assert_eq!(seconds(Some(&rare)), 2 * 7 * 60);
        let endless =
            HealthConfig { interval: Some(i64::MAX), retries: Some(i64::MAX), ..HealthConfig::default() };
        assert_eq!(seconds(Some(&endless)), 24 * 3600);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_was_broken_off_goes_on_when_it_is_soon_taken_up_again() {
        let waits = Waits::default();
        let wait = || Wait::of(&waits, "one that is waited for".to_owned(), None);
        let begun = wait().begun;
        for _ in 0..10 {
            tokio::time::advance(Duration::from_mins(4)).await;
            let wait = wait();
            wait.moment().await;
            assert_eq!(wait.begun, begun);
        }
        tokio::time::advance(Duration::from_mins(6)).await;
        assert_ne!(wait().begun, begun);
    }

    #[test]
    fn law_7_what_is_to_stay_up_has_not_where_it_was_started_anew_between_two_looks() {
        let (waits, what) = (Waits::default(), "one that is to stay up");
        assert!(waits.are_of(what, Some("10:00")), "nobody waited before");
        drop(Wait::of(&waits, what.to_owned(), Some("10:00")));
        assert!(waits.are_of(what, Some("10:00")));
        assert!(!waits.are_of(what, Some("10:01")));
        waits.open().remove(what);
        assert!(waits.are_of(what, Some("10:01")));
    }

    #[test]
    fn law_12_what_a_program_says_of_its_secrets_is_hidden() {
        let env = |variables: &[&str]| ContainerConfig {
            env: Some(variables.iter().map(|&variable| variable.to_owned()).collect()),
            ..ContainerConfig::default()
        };
        let config =
            env(&["TOKEN=hunter2", "PORT=4000", "TLS_KEY=-----BEGIN\nMIIEcanary\r\n  q==\n", "API_KEY=1"]);
        let config = ContainerConfig {
            cmd: Some(["app", "--secret=hunter3", "--pwd", "hunter4"].map(str::to_owned).to_vec()),
            ..config
        };
        let secrets = secrets(&config);
        for (told, shown) in [
            ("bad secret hunter3, bad pwd: hunter4", "bad secret (hidden), bad pwd: (hidden)"),
            (
                "FATAL: cannot connect to postgres://app:s3cret@db/x: timeout",
                "FATAL: cannot connect to postgres://app:(hidden)@db/x: timeout",
            ),
            ("token=hunter2, again", "token=(hidden), again"),
            ("nothing  to hide on 4000", "nothing  to hide on 4000"),
            ("the key is\n-----BEGIN\nMIIEcanary\n  q==\n1", "the key is\n(hidden)\n(hidden)\n  (hidden)\n1"),
            ("key: \"-----BEGIN\\nMIIEcanary\\r\"", "key: \"(hidden)\\n(hidden)\\r\""),
        ] {
            assert_eq!(secrets.without(told), shown);
        }
    }
}
