//! What the daemon answers at an address, asked of the program itself. Needs no engine: a daemon answers without one.

mod daemon;
mod http;
mod monitoring;
mod notifications;
mod notified;
mod postman;
#[path = "../receiver/mod.rs"]
mod receiver;
#[path = "../repository/mod.rs"]
mod repository;
mod webhook;

use daemon::Daemon;
use http::{get, request};

#[test]
fn a_daemon_answers_at_the_address_that_it_was_given_and_takes_nothing() {
    let daemon = Daemon::without_engine("answers");
    let ready = get(daemon.address, "/readyz");
    assert_eq!(ready.code, 503, "{}", ready.body);
    assert_eq!(get(daemon.address, "/healthz").code, 200);
    let status: serde_json::Value = serde_json::from_str(&get(daemon.address, "/v1/status").body).unwrap();
    assert_eq!(status["owner"], daemon.owner);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = request(daemon.address, method, "/v1/status", &[("Host", "localhost")]);
        assert_eq!((answer.code, answer.body.as_str()), (405, "this can only be read\n"));
    }
    // Led here by a name of somebody else's, a browser gets nothing.
    let answer = request(daemon.address, "GET", "/v1/status", &[("Host", "exam.example")]);
    assert_eq!(answer.code, 421, "{}", answer.body);
}
