//! Waits for containers: until they are well, have stayed up, or have run to their end. Only looks.

use std::cmp::Reverse;
use std::time::Duration;

use bollard::models::HealthConfig;
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep};

use super::observe::read;
use super::perform::{LOOK, segment};
use super::{Session, podman};
use crate::engine::{EngineError, Progress};
use crate::fields;
use crate::plan::Await;
use crate::resource::env::{looks_secret, without_passwords};

/// How long a health check may take to come to a result at least, and how long a pass waits for a job.
const HEALTH: Duration = Duration::from_mins(5);
/// The longest that any health check is waited for.
const HEALTH_MAX: Duration = Duration::from_hours(24);
/// How often health is checked, and how long a check may take, where nothing is said.
pub(super) const CHECK: Duration = Duration::from_secs(30);
/// How often it is told that a health check has come to no result yet.
const TELL: Duration = Duration::from_mins(1);
/// How many of a failed container's last lines are told, and how much of them.
const LAST_LINES: &str = "5";
const LAST_LINES_BYTES: usize = 2000;
/// From how many bytes on a value is looked for in what a program said: `1` stands everywhere.
const SECRET_MIN: usize = 3;

/// Waits until a container is as far as it has to be. A failure tells the container's last output.
pub(super) async fn until(
    engine: &Session,
    container: &str,
    until: Await,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    let waited = match until {
        Await::Healthy => healthy(engine, container, progress).await,
        Await::Steady(time) => steady(engine, container, time.into()).await,
        Await::Well(time) => match glance(engine, container).await?.health.as_deref() {
            None | Some("" | "none") => steady(engine, container, time.into()).await,
            Some(_) => healthy(engine, container, progress).await,
        },
        Await::Completed => completed(engine, container).await,
    };
    match waited {
        Err(EngineError::Refused { sentence }) => {
            let told = sentence + &last_words(engine, container).await;
            Err(EngineError::refused(without_secrets(&told, &secrets(engine, container).await)))
        }
        waited => waited,
    }
}

/// What a container that is waited for is doing.
struct Glance {
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
    let last_check = health
        .as_ref()
        .and_then(|health| health.log.as_ref()?.last()?.output.clone())
        .map(|output| fields::plain(output.trim()));
    let check = answer.config.and_then(|config| config.healthcheck);
    Ok(Glance {
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

async fn healthy(engine: &Session, container: &str, progress: &Progress<'_>) -> Result<(), EngineError> {
    let begun = Instant::now();
    let (mut told, mut next) = (String::new(), begun + TELL);
    let mut checked = begun;
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
                progress(told.clone());
            }
            Some(still) => {
                if Instant::now() >= next {
                    next += TELL;
                    progress(format!("{still} for {} s", begun.elapsed().as_secs()));
                }
            }
        }
        if begun.elapsed() >= glance.patience {
            let seconds = glance.patience.as_secs();
            return Err(EngineError::refused(format!("it did not become healthy in {seconds} s")));
        }
        sleep(LOOK).await;
    }
}

async fn steady(engine: &Session, container: &str, time: Duration) -> Result<(), EngineError> {
    let first = glance(engine, container).await?;
    first.up()?;
    let end = Instant::now() + time;
    while Instant::now() < end {
        sleep(LOOK).await;
        let now = glance(engine, container).await?;
        now.up()?;
        if now.started_at != first.started_at {
            return Err(EngineError::refused("it ended, and the engine started it again"));
        }
    }
    Ok(())
}

async fn completed(engine: &Session, container: &str) -> Result<(), EngineError> {
    let deadline = Instant::now() + HEALTH;
    loop {
        let glance = glance(engine, container).await?;
        match (glance.status.as_str(), glance.exit_code) {
            ("exited" | "stopped", 0) => return Ok(()),
            ("exited" | "stopped" | "dead", _) => return glance.up(),
            _ if Instant::now() >= deadline => {
                return Err(EngineError::refused(format!("it still runs after {} s", HEALTH.as_secs())));
            }
            _ => sleep(LOOK).await,
        }
    }
}

/// What a container that failed wrote last; nothing if that cannot be read, which must not hide the failure.
async fn last_words(engine: &Session, container: &str) -> String {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(LAST_LINES).build();
    let mut output = engine.docker.logs(container, Some(options));
    let mut bytes = Vec::new();
    while let Some(Ok(part)) = output.next().await {
        bytes.extend(part.into_bytes());
        if bytes.len() > LAST_LINES_BYTES {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(|line| fields::plain(line.trim_end())).collect();
    if lines.is_empty() { String::new() } else { format!("; its last output: {}", lines.join(" | ")) }
}

/// The values of a container's variables that look secret, the longest first.
async fn secrets(engine: &Session, container: &str) -> Vec<String> {
    let answer = engine.docker.inspect_container(container, None::<InspectContainerOptions>).await;
    let variables = answer.ok().and_then(|answer| answer.config?.env).unwrap_or_default();
    let mut values: Vec<String> = variables
        .iter()
        .filter_map(|variable| variable.split_once('='))
        .filter(|(key, value)| looks_secret(key) && value.len() >= SECRET_MIN)
        .map(|(_, value)| fields::plain(value))
        .collect();
    values.sort_by_key(|value| Reverse(value.len()));
    values
}

/// What a program said, with nothing in it that a plan would hide (law 12).
fn without_secrets(told: &str, secrets: &[String]) -> String {
    let told = secrets.iter().fold(told.to_owned(), |told, secret| told.replace(secret.as_str(), "(hidden)"));
    without_passwords(&told).into_owned()
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

    #[test]
    fn law_12_what_a_program_says_of_its_secrets_is_hidden() {
        let secrets = ["hunter2".to_owned()];
        for (told, shown) in [
            (
                "FATAL: cannot connect to postgres://app:s3cret@db/x: timeout",
                "FATAL: cannot connect to postgres://app:(hidden)@db/x: timeout",
            ),
            ("token=hunter2, again", "token=(hidden), again"),
            ("nothing  to hide", "nothing  to hide"),
        ] {
            assert_eq!(without_secrets(told, &secrets), shown);
        }
    }
}
