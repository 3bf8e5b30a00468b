//! How a container starts, stops, and is found to be well.

use serde_json::{Map, Value, json};

use super::Base::{Engine, Image, Nothing};
use super::Class::Update;
use super::Place::{Asked, Config, Host};
use super::codec::same;
use super::entry::{field, shown};
use super::{Around, Field, Live, Shape, notation, show};
use crate::resource::restart::RestartPolicy;

/// The entries, in the order in which a plan tells them.
pub(super) static FIELDS: &[Field] = &[
    field("restartPolicy", "--restart", Host("RestartPolicy"), Nothing, |s| {
        s.restart_policy.map(|policy| json!(policy.to_string()))
    })
    .class(Update)
    .form(encode_restart, decode_restart),
    field("stopSignal", "--stop-signal", Config("StopSignal"), Image, |s| {
        s.stop_signal.as_ref().map(|signal| decode_signal(&json!(signal)))
    })
    .form(same, decode_signal),
    field("stopTimeout", "--stop-timeout", Config("StopTimeout"), Nothing, |s| {
        s.stop_timeout.map(|timeout| json!(timeout.seconds()))
    })
    .notation(notation::seconds)
    .shown(show::seconds),
    field("healthcheck", "--health-cmd, --health-interval, --health-timeout, --health-retries, --health-start-period, --no-healthcheck", Config("Healthcheck"), Image, |s| {
        s.healthcheck.as_ref().map(|check| {
            let mut keys = Map::new();
            if let Some(test) = &check.test {
                keys.insert("test".to_owned(), json!(test.words()));
            }
            let durations = [
                ("interval", check.interval),
                ("timeout", check.timeout),
                ("startPeriod", check.start_period),
            ];
            // The engine takes 0 for silence: what the image says, or its own default.
            for (key, duration) in durations {
                if let Some(duration) = duration.filter(|duration| duration.nanos() > 0) {
                    keys.insert(key.to_owned(), json!(duration.nanos()));
                }
            }
            if let Some(retries) = check.retries.filter(|retries| *retries > 0) {
                keys.insert("retries".to_owned(), json!(retries));
            }
            Value::Object(keys)
        })
    })
    .shape(Shape::Map)
    .form(encode_health, decode_health)
    .notation(health)
    .shown(show::health),
    field("logging", "--log-driver, --log-opt", Host("LogConfig"), Engine(is_engines_logging), |s| {
        s.logging.as_ref().map(|logging| {
            let driver = logging.driver.iter().map(|driver| ("driver".to_owned(), driver));
            let options = logging.options.0.iter().map(|(key, value)| (format!("options.{key}"), value));
            Value::Object(driver.chain(options).map(|(key, value)| (key, json!(value))).collect())
        })
    })
    .shape(Shape::Map)
    .form(encode_logging, decode_logging)
    .notation(logging),
    field("platform", "--platform", Asked, Nothing, |s| shown(s.platform.as_ref())),
];

const HEALTH_KEYS: [(&str, &str); 5] = [
    ("test", "Test"),
    ("interval", "Interval"),
    ("timeout", "Timeout"),
    ("startPeriod", "StartPeriod"),
    ("retries", "Retries"),
];

/// The engine's restart policy to Docker's notation.
pub(super) fn decode_restart(value: &Value) -> Value {
    match value["Name"].as_str().unwrap_or_default() {
        "" => json!("no"),
        "on-failure" => match value["MaximumRetryCount"].as_u64().unwrap_or(0) {
            0 => json!("on-failure"),
            count => json!(format!("on-failure:{count}")),
        },
        name => json!(name),
    }
}

/// Docker's notation to the engine's restart policy.
pub(super) fn encode_restart(value: &Value) -> Value {
    let policy: RestartPolicy = value.as_str().unwrap_or_default().parse().unwrap_or(RestartPolicy::No);
    json!({"Name": policy.name(), "MaximumRetryCount": policy.maximum_retry_count()})
}

/// A signal by its whole name; engines fill in `SIGTERM`.
pub(super) fn decode_signal(value: &Value) -> Value {
    match value.as_str().unwrap_or_default() {
        "" => json!("SIGTERM"),
        signal if signal.starts_with("SIG") || signal.bytes().all(|b| b.is_ascii_digit()) => json!(signal),
        signal => json!(format!("SIG{signal}")),
    }
}

/// The engine's health check by the manifest's keys, without what is not set.
pub(super) fn decode_health(value: &Value) -> Value {
    let set = |value: &Value| !value.is_null() && *value != json!(0) && *value != json!([]);
    let keys = HEALTH_KEYS.iter().filter(|(_, theirs)| set(&value[*theirs]));
    Value::Object(keys.map(|(ours, theirs)| ((*ours).to_owned(), value[*theirs].clone())).collect())
}

/// The engine's health check from the manifest's keys.
pub(super) fn encode_health(value: &Value) -> Value {
    let keys = HEALTH_KEYS.iter().filter(|(ours, _)| !value[*ours].is_null());
    Value::Object(keys.map(|(ours, theirs)| ((*theirs).to_owned(), value[*ours].clone())).collect())
}

/// The manifest's form of a health check: durations have units.
fn health(value: &Value, _: &Live) -> Value {
    let entries = value.as_object().into_iter().flatten();
    let written = entries.map(|(key, value)| match (key.as_str(), value.as_u64()) {
        ("interval" | "timeout" | "startPeriod", Some(_)) => (key.clone(), json!(show::health(key, value))),
        _ => (key.clone(), value.clone()),
    });
    Value::Object(written.collect())
}

/// The engine's driver without options; options may be the engine's own, but nothing says so.
fn is_engines_logging(value: &Value, around: &Around<'_>) -> bool {
    let driver = value["driver"].as_str().unwrap_or_default();
    let alone = value.as_object().is_none_or(|keys| keys.keys().all(|key| key == "driver"));
    alone && (driver.is_empty() || around.info["LoggingDriver"] == driver)
}

/// The manifest's form: `{"driver": "json-file", "options": {"max-size": "1m"}}`.
fn logging(value: &Value, _: &Live) -> Value {
    let entries = value.as_object().into_iter().flatten();
    let options =
        entries.filter_map(|(key, value)| Some((key.strip_prefix("options.")?.to_owned(), value.clone())));
    let options: Map<String, Value> = options.collect();
    let driver = value["driver"].as_str().filter(|driver| !driver.is_empty());
    let driver = driver.map(|driver| ("driver".to_owned(), json!(driver)));
    let options = (!options.is_empty()).then(|| ("options".to_owned(), Value::Object(options)));
    Value::Object(driver.into_iter().chain(options).collect())
}

/// `{"driver": "json-file", "options.max-size": "1m"}` from the engine's `{"Type": ..., "Config": {...}}`.
fn decode_logging(value: &Value) -> Value {
    let driver = value["Type"].as_str().map(|driver| ("driver".to_owned(), json!(driver)));
    let options = value["Config"].as_object().into_iter().flatten();
    let options = options.map(|(key, value)| (format!("options.{key}"), value.clone()));
    Value::Object(driver.into_iter().chain(options).collect())
}

/// The engine's form of it; an empty type is the engine's own choice.
fn encode_logging(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    let options =
        entries.filter_map(|(key, value)| Some((key.strip_prefix("options.")?.to_owned(), value.clone())));
    let options: Map<String, Value> = options.collect();
    json!({"Type": value["driver"].as_str().unwrap_or_default(), "Config": options})
}
