//! The common form to the notation of manifests, where the two differ. In and out: JSON values.

use serde_json::{Value, json};

use super::{Live, show};

/// A number of bytes, with its unit; -1 as it is.
pub(super) fn size(value: &Value, _: &Live) -> Value {
    if value.is_u64() { json!(show::size("", value)) } else { value.clone() }
}

/// A number of CPUs.
pub(super) fn cpus(value: &Value, _: &Live) -> Value {
    let written = show::cpus("", value);
    written.parse::<f64>().map_or_else(
        |_| value.clone(),
        |cpus| {
            if cpus.fract() == 0.0 { json!(written.parse::<u64>().unwrap_or_default()) } else { json!(cpus) }
        },
    )
}

/// A number of seconds.
pub(super) fn seconds(value: &Value, _: &Live) -> Value {
    if value.is_i64() { json!(show::seconds("", value)) } else { value.clone() }
}
