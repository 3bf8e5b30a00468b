//! Whether the daemon does its work: what `/readyz` answers. In: the status, and how old the last look is. Out: a sentence,
//! and yes or no. A resource that failed is no reason: the daemon looked, and says so.

use std::time::Duration;

use crate::daemon::progress::seconds;
use crate::status::Status;

/// Whether everything was looked at lately, in a sentence.
///
/// # Errors
/// Why it was not.
pub(super) fn readiness(status: &Status, age: Option<Duration>, age_max: Duration) -> Result<String, String> {
    if let Some(trouble) = &status.trouble {
        return Err(format!("the last pass could not look at everything: {trouble}"));
    }
    match age {
        None => Err("no pass has looked at everything yet".to_owned()),
        Some(age) if age > age_max => Err(format!(
            "everything was last looked at {} ago, which is longer than {}",
            seconds(age),
            seconds(age_max)
        )),
        Some(_) => Ok("the last pass looked at everything".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_daemon_is_ready_while_its_last_look_is_good_and_recent() {
        let mut status = Status::new("exam", Timestamp::UNIX_EPOCH);
        let max = Duration::from_mins(4);
        let told =
            |status: &Status, age: Option<u64>| match readiness(status, age.map(Duration::from_secs), max) {
                Ok(told) => format!("yes: {told}"),
                Err(told) => format!("no: {told}"),
            };
        assert_eq!(told(&status, None), "no: no pass has looked at everything yet");
        assert_eq!(told(&status, Some(240)), "yes: the last pass looked at everything");
        assert_eq!(
            told(&status, Some(241)),
            "no: everything was last looked at 241.00s ago, which is longer than 240.00s"
        );
        status.trouble("no engine answers");
        assert_eq!(
            told(&status, Some(1)),
            "no: the last pass could not look at everything: no engine answers"
        );
    }
}
