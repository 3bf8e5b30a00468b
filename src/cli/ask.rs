//! Asks the daemon at its socket. In: whose. Out: what it answers, or why it does not. Asks no engine, and changes nothing.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::report::Advised;
use crate::daemon::web::STATUS_PATH;
use crate::resource::name::Owner;
use crate::status::{STATUS_FORMAT_VERSION, Source, Status};
use crate::turn::Turns;

/// How long the daemon may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long it is waited for by whom it is told something that can be done without.
const BY_THE_WAY: Duration = Duration::from_secs(1);

/// How the daemon says that the resources stand.
///
/// # Errors
/// If none runs, or what it answers cannot be read.
pub(super) async fn status(owner: &Owner) -> Result<Status> {
    for socket in Turns::sockets(owner) {
        let answer = timeout(ANSWER, get(&socket)).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
        match answer {
            Ok(bytes) => return read(&bytes),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("while asking the daemon of owner {owner} at {}", socket.display())
                });
            }
        }
    }
    Err(Advised {
        message: format!("no daemon of owner {owner} runs on this host"),
        hint: "start it with `invigil run`, or name another owner with --owner; `invigil plan` needs no daemon",
    }
    .into())
}

/// What the daemon says of its repository, where one runs that answers at once and whose revision `running` is.
pub(super) async fn source(owner: &Owner, running: &str) -> Option<Source> {
    let status = timeout(BY_THE_WAY, status(owner)).await.ok()?.ok()?;
    status.source.filter(|source| source.running.as_ref().is_some_and(|commit| commit.commit == running))
}

/// The daemon's answer.
fn read(bytes: &[u8]) -> Result<Status> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Form {
        format_version: u32,
    }
    if let Ok(Form { format_version }) = serde_json::from_slice(bytes)
        && format_version != STATUS_FORMAT_VERSION
    {
        let hint = "use the `invigil` that the daemon was started from, or restart the daemon with this one";
        let message = format!(
            "the daemon answers in form {format_version}, and this program reads form {STATUS_FORMAT_VERSION}"
        );
        return Err(Advised { message, hint }.into());
    }
    serde_json::from_slice(bytes).context("the daemon's answer cannot be read; is it of another version?")
}

async fn get(socket: &Path) -> io::Result<Bytes> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(STATUS_PATH)
        .header("host", "invigil")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    let code = answer.status();
    let bytes = answer.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    drop(sender);
    connection.abort();
    if code == StatusCode::OK { Ok(bytes) } else { Err(io::Error::other(format!("it answers {code}"))) }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn an_answer_in_another_form_is_told_as_that() {
        let bytes = |status: &Status| serde_json::to_vec(status).unwrap();
        let mut status = Status::new("exam", Timestamp::UNIX_EPOCH);
        assert_eq!(read(&bytes(&status)).unwrap(), status);
        status.format_version += 1;
        assert_eq!(
            read(&bytes(&status)).unwrap_err().to_string(),
            "the daemon answers in form 2, and this program reads form 1"
        );
        assert!(read(b"{}").unwrap_err().to_string().starts_with("the daemon's answer cannot be read"));
    }
}
