//! The daemon's HTTP server: how things stand, for programs and for people. In: the daemon's board, and requests, on a Unix
//! socket and at an address. Out: answers. Nothing can be changed here: a forge that knows the secret may say that there is
//! something to fetch. Nobody who asks, or does not listen, holds up a pass.

mod assets;
mod door;
mod hook;
mod listen;
mod live;
mod metrics;
pub mod openapi;
mod page;
mod press;
mod process;
mod readiness;
mod reply;
mod router;

use std::time::Duration;

pub(super) use self::hook::Hook;
pub use self::hook::{GITHUB_SIGNATURE, WebhookSecret};
pub(super) use self::listen::{bind, on_address, on_socket};
pub(super) use self::router::Site;

/// Where the status is.
pub const STATUS_PATH: &str = "/v1/status";
/// Where it says what is in a container, before its name.
const CONTAINER_PATH: &str = "/v1/container/";
/// Where it says what is where.
const OPENAPI_PATH: &str = "/v1/openapi.json";

/// How old the last look at everything may be: a few of the timer's rounds, and a minute for a slow one.
const fn age_max(interval: Duration) -> Duration {
    interval.saturating_mul(3).saturating_add(Duration::from_mins(1))
}
