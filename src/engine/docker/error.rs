//! The engine's refusals and bollard's errors, as sentences for people.

use std::borrow::Cow;
use std::error::Error as _;

use bollard::errors::Error;

use crate::engine::EngineError;
use crate::fields::plain;
use crate::plan::Step;

/// The error of a call that was about `what`.
pub(super) fn failed(endpoint: &str, what: &str, error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code: 400, message }
            if message.contains("client version") && message.contains("is too old") =>
        {
            EngineError::Unreachable {
                endpoint: endpoint.to_owned(),
                cause: "the one that is there now has given up the API that was agreed on".to_owned(),
            }
        }
        Error::DockerResponseServerError { status_code: 400, message } if is_tls(&message) => {
            EngineError::Unreachable {
                endpoint: endpoint.to_owned(),
                cause: "the engine speaks TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH".to_owned(),
            }
        }
        Error::DockerResponseServerError { status_code, message } => {
            EngineError::refused(sentence(what, status_code, &message))
        }
        Error::DockerStreamError { error } => {
            let message = plain(error.trim());
            EngineError::refused(format!("{what}: {}", in_plain_words(&message)))
        }
        Error::JsonDataError { message, .. } => {
            EngineError::Unreadable { what: what.to_owned(), cause: plain(&message) }
        }
        Error::JsonSerdeError { err } => {
            EngineError::Unreadable { what: what.to_owned(), cause: plain(&err.to_string()) }
        }
        Error::RequestTimeoutError => {
            EngineError::refused(format!("{what}: the engine did not answer in time; it may still be at it"))
        }
        other => EngineError::Unreachable { endpoint: endpoint.to_owned(), cause: cause(&other) },
    }
}

/// Whether an engine that speaks TLS was spoken to without, in the words of Go's server.
fn is_tls(message: &str) -> bool {
    message.contains("HTTP request to an HTTPS server")
}

/// The innermost cause of an error: what the system said, not who passed it on.
pub(super) fn cause(error: &Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if let Error::HyperLegacyError { err } = error {
        let mut source = err.source();
        while let Some(inner) = source {
            innermost = inner;
            source = inner.source();
        }
    }
    plain(&innermost.to_string())
}

/// Whether the engine said that a thing is not there.
pub(super) const fn is_absent(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// Whether the engine said that no file is at a path of a container; it has no words of its own for one below a file.
pub(super) fn is_no_file(error: &Error) -> bool {
    let Error::DockerResponseServerError { status_code, message } = error else { return false };
    *status_code == 404 || message.contains("not a directory")
}

/// Whether asking again may bring an answer that can be read. Podman shows a state that bollard does not
/// know for some 45 ms after each exit; it and Docker 26 with the containerd image store fail to list images
/// while one of them is being removed.
pub(super) fn is_passing(error: &Error) -> bool {
    match error {
        Error::JsonDataError { .. } => true,
        Error::DockerResponseServerError { status_code: 404 | 500, message } => {
            (message.contains("content digest") && message.contains("not found"))
                || (message.contains("locating image with ID") && message.contains("image not known"))
        }
        _ => false,
    }
}

/// Whether the engine said that what `step` asks for is already so, or already being done. The words of one
/// step are a failure of another: a start that finds its endpoint "already exists in network" has failed.
pub(super) fn is_already(error: &Error, step: &Step) -> bool {
    let Error::DockerResponseServerError { status_code, message } = error else { return false };
    let words = match step {
        Step::Connect { .. } => "already exists in network",
        Step::Disconnect { .. } => "is not connected to",
        Step::Pause(_) => "is already paused",
        Step::Unpause(_) => "is not paused",
        Step::RemoveContainer(_) => "is already in progress",
        _ => return *status_code == 304,
    };
    *status_code == 304 || (matches!(status_code, 403 | 409 | 500) && message.contains(words))
}

/// A refusal that is known by its words.
struct Known {
    /// The status that it comes with, where that tells it from others.
    status: Option<u16>,
    /// One of them is in it.
    words: &'static [&'static str],
    /// The reason, and what to do.
    told: &'static str,
}

const KNOWN: [Known; 10] = [
    Known {
        status: Some(404),
        words: &["No such image", "no such image"],
        told: "the image is not on this host",
    },
    Known {
        status: Some(409),
        words: &["image is being used by", "is using its referenced image", "is in use by a container"],
        told: "a container still uses the image: remove that one first",
    },
    Known {
        status: None,
        words: &["nable to find user"],
        told: "the image has no such user: correct `user`",
    },
    Known {
        status: None,
        words: &["nable to find group"],
        told: "the image has no such group: correct `user` or `groupAdd`",
    },
    Known {
        status: None,
        words: &["error gathering device information"],
        told: "a device is not on this host: plug it in, or correct `resources.devices`",
    },
    Known {
        status: None,
        words: &["could not select device driver"],
        told: "the engine has no driver for these devices: set its runtime up on the host, or correct `resources.deviceRequests`",
    },
    Known {
        status: None,
        words: &["--storage-opt is supported only"],
        told: "what the engine keeps its data on knows no such limits: leave `storageOpt` out",
    },
    Known {
        status: None,
        words: &["cannot assign requested address"],
        told: "this host has no such address: correct the address in `ports`",
    },
    Known {
        status: None,
        words: &["does not match the specified platform"],
        told: "the image on this host is for another platform: correct `platform`, or pull the image for that one",
    },
    Known {
        status: Some(404),
        words: &["plugin \""],
        told: "the engine has no such driver: install its plugin, or correct `driver`",
    },
];

impl Known {
    fn is(&self, status: u16, message: &str) -> bool {
        self.status.is_none_or(|known| known == status)
            && self.words.iter().any(|words| message.contains(words))
    }
}

/// A refusal as a sentence: what it was about, the engine's reason in plain words with what to do where it is a
/// known one, and the engine's own words where they tell more.
fn sentence(what: &str, status: u16, message: &str) -> String {
    let message = plain(message.trim());
    if message.is_empty() {
        return format!("{what}: the answer was {status} and nothing else; is that a Docker engine?");
    }
    if let Some(port) = taken_port(&message) {
        return format!(
            "{what}: port {port} is already taken on this host: end what holds it, or publish another one"
        );
    }
    if let Some(name) = taken_name(&message) {
        return format!(
            "{what}: the name {name} is already taken by another container: remove or rename that one"
        );
    }
    if let Some(known) = KNOWN.iter().find(|known| known.is(status, &message)) {
        return format!("{what}: {} ({message})", known.told);
    }
    if let Some(why) = by_registry(&message) {
        return format!("{what}: {why}");
    }
    if is_about_absent_network(&message) {
        return format!(
            "{what}: a network is not there: describe it in a manifest, or make it with `docker network create` ({message})"
        );
    }
    // The runtime's own wrapping says nothing to a reader.
    let told = message.rsplit("OCI runtime create failed: ").next().unwrap_or(&message);
    let told = told.rsplit("starting container process caused: ").next().unwrap_or(told);
    let told = told.trim_end_matches(": unknown");
    if let Some(why) = bad_command(told).filter(|_| is_about_program(&message)) {
        return format!("{what}: {why} ({told})");
    }
    let remedy = match status {
        409 if told.ends_with("is not running") => " (start it first)",
        400 => " (the engine takes this for invalid: correct what it names)",
        409 => " (what is on the engine stands against this: look what uses it)",
        _ => "",
    };
    format!("{what}: {told}{remedy}")
}

/// The name that another container has: `The container name "/seat" is already in use by container "4f"`, in Podman's words `the
/// container name "seat" is already in use by 4f. You have to remove that container to be able to reuse that name`.
fn taken_name(message: &str) -> Option<&str> {
    let (name, rest) = message.split_once("container name \"")?.1.split_once('"')?;
    rest.trim_start().starts_with("is already in use").then(|| name.trim_start_matches('/'))
}

/// Whether a refusal is about a network that is not there: `network exam not found`, in Podman's words
/// `network not found`.
fn is_about_absent_network(message: &str) -> bool {
    let words: Vec<&str> = message.split_whitespace().collect();
    let is_absent = |after: &[&str]| matches!(after, ["not", found, ..] if found.starts_with("found"));
    let after = |place: usize| words.get(place..).unwrap_or_default();
    let mut networks = words.iter().enumerate().filter(|(_, word)| **word == "network");
    message.contains("No such network")
        || networks.any(|(place, _)| is_absent(after(place + 1)) || is_absent(after(place + 2)))
}

/// Whether a refusal is about a container's own program, and not one that the engine runs for itself.
fn is_about_program(message: &str) -> bool {
    message.contains("container process") || message.contains("executable file `")
}

/// Why a container's program could not be started, in the words of runc (`exec: "/nope": …`) or crun
/// (``executable file `/nope` not found``).
fn bad_command(message: &str) -> Option<String> {
    let quoted = |before: &str, end: char| message.split_once(before)?.1.split_once(end);
    let (program, rest) = quoted("exec: \"", '"').or_else(|| quoted("executable file `", '`'))?;
    let why = if rest.contains("permission denied") {
        format!("`{program}` may not be executed in the container: make it executable in the image")
    } else if rest.contains("no such file or directory") || rest.contains("not found") {
        format!("there is no program `{program}` in the container: correct `command` or `entrypoint`")
    } else {
        return None;
    };
    Some(why)
}

/// A message that came inside a stream, in plain words where it is a known one.
pub(super) fn in_plain_words(message: &str) -> Cow<'_, str> {
    by_registry(message).unwrap_or(Cow::Borrowed(message))
}

/// Whether a registry went away in the middle of a pull or a push. Only there: elsewhere these words are about files.
pub(super) fn broke_off(error: &Error) -> bool {
    let (Error::DockerStreamError { error: message } | Error::DockerResponseServerError { message, .. }) =
        error
    else {
        return false;
    };
    let message = message.trim();
    let words = [
        "unexpected EOF",
        "connection reset by peer",
        "broken pipe",
        "server closed idle connection",
        "use of closed network connection",
    ];
    message.ends_with(": EOF") || message == "EOF" || words.iter().any(|words| message.contains(words))
}

/// Why a registry gave no image, in plain words where it is a known reason.
fn by_registry(message: &str) -> Option<Cow<'static, str>> {
    let has = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    if has(&["no basic auth credentials", "authentication required", "unauthorized", "401 Unauthorized"]) {
        Some(
            "the registry wants a login: `docker login` as the user that Invigil runs as, or check the password"
                .into(),
        )
    } else if has(&[
        "no matching manifest for",
        "no match for platform in manifest",
        "no image found in manifest list",
    ]) {
        Some("the registry has the image for other platforms only".into())
    } else if has(&["manifest unknown", "failed to resolve reference"])
        && has(&["not found", "reading manifest"])
    {
        Some("the registry has no such image".into())
    } else if has(&["server gave HTTP response to HTTPS client"]) {
        Some(
            "the registry speaks plain HTTP, which the engine does only with its `insecure-registries`"
                .into(),
        )
    } else if let Some((_, why)) = message.rsplit_once("x509: ") {
        Some(by_certificate(message, why).into())
    } else if has(&["dial tcp", "failed to do request"])
        && has(&["connection refused", "no such host", "i/o timeout"])
    {
        let whose =
            if has(&["remote context", "downloaded context"]) { "context's address" } else { "registry" };
        Some(format!("the {whose} cannot be reached").into())
    } else if has(&["Get \"http", "Head \"http", "net/http"])
        && has(&["context deadline exceeded", "awaiting headers", "TLS handshake timeout"])
    {
        Some("the registry does not answer".into())
    } else {
        None
    }
}

/// What is wrong with a registry's certificate, and where its maker's is to be put.
fn by_certificate(message: &str, why: &str) -> String {
    if !message.contains("signed by unknown authority") {
        return format!("the engine does not accept the registry's certificate: {why}");
    }
    let host = message.split("https://").nth(1).and_then(|rest| rest.split(['/', '"']).next());
    format!(
        "the engine does not know who signed the registry's certificate: put the signer's into \
         /etc/docker/certs.d/{}/ca.crt",
        host.filter(|host| !host.is_empty()).unwrap_or("HOST:PORT")
    )
}

/// The host's port of a refusal to publish it.
fn taken_port(message: &str) -> Option<&str> {
    let taken = message.contains("port is already allocated") || message.contains("address already in use");
    let after = message.split("Bind for ").nth(1).or_else(|| message.split("listen tcp").nth(1))?;
    let address = after.split_whitespace().find(|word| word.contains(':'))?;
    let digits = address.trim_end_matches(|c: char| !c.is_ascii_digit()).rsplit(':').next()?;
    (taken && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_refusals_are_plain_sentences_with_what_to_do() {
        let taken = "port 8080 is already taken on this host: end what holds it, or publish another one";
        let named = "the name web is already taken by another container: remove or rename that one";
        for (status, message, told) in [
            (
                500,
                "driver failed programming external connectivity on endpoint web (0f): Bind for 0.0.0.0:8080 failed: port is already allocated",
                taken,
            ),
            (
                500,
                "driver failed programming external connectivity on endpoint web (0f): Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
                taken,
            ),
            (
                409,
                "Conflict. The container name \"/web\" is already in use by container \"0f\". You have to remove (or rename) that container to be able to reuse that name.",
                named,
            ),
            (
                500,
                "creating container storage: the container name \"web\" is already in use by 0f. You have to remove that container to be able to reuse that name: that name is already in use",
                named,
            ),
            (404, "No such image: nginx:1.15", "the image is not on this host (No such image: nginx:1.15)"),
            (
                409,
                "conflict: unable to delete 0f (cannot be forced) - image is being used by running container 1e",
                "a container still uses the image: remove that one first (conflict: unable to delete 0f (cannot be forced) - image is being used by running container 1e)",
            ),
            (
                409,
                "conflict: unable to remove repository reference \"app:1\" (must force) - container 0f is using its referenced image 1e",
                "a container still uses the image: remove that one first (conflict: unable to remove repository reference \"app:1\" (must force) - container 0f is using its referenced image 1e)",
            ),
            (
                404,
                "failed to set up container networking: network exam not found",
                "a network is not there: describe it in a manifest, or make it with `docker network create` (failed to set up container networking: network exam not found)",
            ),
            (
                400,
                "OCI runtime create failed: runc create failed: unable to start container process: exec: \"/nope\": stat /nope: no such file or directory: unknown",
                "there is no program `/nope` in the container: correct `command` or `entrypoint` (runc create failed: unable to start container process: exec: \"/nope\": stat /nope: no such file or directory)",
            ),
            (
                400,
                "OCI runtime create failed: container_linux.go:367: starting container process caused: exec: \"nope\": executable file not found in $PATH: unknown",
                "there is no program `nope` in the container: correct `command` or `entrypoint` (exec: \"nope\": executable file not found in $PATH)",
            ),
            (
                500,
                "crun: executable file `nope` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found",
                "there is no program `nope` in the container: correct `command` or `entrypoint` (crun: executable file `nope` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found)",
            ),
            (
                400,
                "OCI runtime create failed: runc create failed: unable to start container process: exec: \"/etc/passwd\": permission denied: unknown",
                "`/etc/passwd` may not be executed in the container: make it executable in the image (runc create failed: unable to start container process: exec: \"/etc/passwd\": permission denied)",
            ),
            (
                400,
                "invalid IP address: 300.1.1.1",
                "invalid IP address: 300.1.1.1 (the engine takes this for invalid: correct what it names)",
            ),
            (
                409,
                "You cannot remove a paused container 0f. Unpause and then stop the container before attempting removal or force remove",
                "You cannot remove a paused container 0f. Unpause and then stop the container before attempting removal or force remove (what is on the engine stands against this: look what uses it)",
            ),
            (409, "Container 0f is not running", "Container 0f is not running (start it first)"),
            (
                500,
                "driver failed programming external connectivity on endpoint web (0f): exec: \"docker-proxy\": executable file not found in $PATH",
                "driver failed programming external connectivity on endpoint web (0f): exec: \"docker-proxy\": executable file not found in $PATH",
            ),
            (
                400,
                "OCI runtime create failed: unable to retrieve OCI runtime error: exec: \"nvidia-container-runtime\": executable file not found in $PATH",
                "unable to retrieve OCI runtime error: exec: \"nvidia-container-runtime\": executable file not found in $PATH (the engine takes this for invalid: correct what it names)",
            ),
            (403, "authorization denied by plugin \"opa\": no", "authorization denied by plugin \"opa\": no"),
            (404, "repository exams/lab-network not found", "repository exams/lab-network not found"),
            (404, "manifest for lab/network:1 not found: manifest unknown", "the registry has no such image"),
            (500, "something went wrong", "something went wrong"),
        ] {
            assert_eq!(sentence("start web", status, message), format!("start web: {told}"));
        }
    }

    #[test]
    fn what_a_manifest_asks_for_in_vain_is_told_with_what_to_do() {
        for (status, message, told) in [
            (
                400,
                "unable to find user slq: no matching entries in passwd file",
                "the image has no such user: correct `user`",
            ),
            (
                400,
                "Unable to find group exam: no matching entries in group file",
                "the image has no such group: correct `user` or `groupAdd`",
            ),
            (
                500,
                "error gathering device information while adding custom device \"/dev/video9\": no such file or directory",
                "a device is not on this host: plug it in, or correct `resources.devices`",
            ),
            (
                500,
                "could not select device driver \"\" with capabilities: [[gpu]]",
                "the engine has no driver for these devices: set its runtime up on the host, or correct `resources.deviceRequests`",
            ),
            (
                400,
                "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
                "what the engine keeps its data on knows no such limits: leave `storageOpt` out",
            ),
            (
                500,
                "Error starting userland proxy: listen tcp4 10.9.9.9:80: bind: cannot assign requested address",
                "this host has no such address: correct the address in `ports`",
            ),
            (
                404,
                "image with reference app:1 was found but does not match the specified platform: wanted linux/arm64, actual: linux/amd64",
                "the image on this host is for another platform: correct `platform`, or pull the image for that one",
            ),
            (
                404,
                "error looking up logging plugin nosuch: plugin \"nosuch\" not found",
                "the engine has no such driver: install its plugin, or correct `driver`",
            ),
        ] {
            assert_eq!(sentence("start web", status, message), format!("start web: {told} ({message})"));
        }
    }

    #[test]
    fn a_list_of_images_that_fails_while_one_goes_is_asked_for_again() {
        let passing = |status_code, message: &str| {
            is_passing(&Error::DockerResponseServerError { status_code, message: message.to_owned() })
        };
        for message in [
            "reading image \"19\": locating image with ID \"19\": image not known",
            "retrieving parent of image \"3d\": you may need to remove the image to resolve the error: reading image \"18\": \
             locating image with ID \"18\": image not known",
            "content digest sha256:0f: not found",
        ] {
            assert!(passing(500, message), "{message}");
        }
        assert!(!passing(404, "no such image: docker.io/library/nosuch:1: image not known"));
    }

    #[test]
    fn what_is_already_so_is_so_for_its_own_step_alone() {
        let already = |step: &Step, status_code, message: &str| {
            is_already(&Error::DockerResponseServerError { status_code, message: message.to_owned() }, step)
        };
        let web = || "web".to_owned();
        let start = Step::Start(web());
        let stale = "endpoint with name web already exists in network exam";
        assert!(!already(&start, 403, stale) && already(&start, 304, ""));
        let endpoint = serde_json::Value::Null;
        assert!(already(
            &Step::Connect { container: web(), network: "exam".to_owned(), endpoint },
            403,
            stale
        ));
        let removing = "removal of container web is already in progress";
        assert!(already(&Step::RemoveContainer(web()), 409, removing) && !already(&start, 409, removing));
        assert!(already(&Step::Unpause(web()), 500, "Container web is not paused"));
        assert!(!already(&Step::Stop(web()), 500, "Container web is not paused"));
    }

    #[test]
    fn a_refusal_cannot_steer_the_terminal() {
        assert_eq!(sentence("x", 500, "a\u{1b}[31mb\r\nc"), "x: a\\u{1b}[31mb\\r\\nc");
    }

    #[test]
    fn what_registries_do_is_told_in_plain_words() {
        for (message, told) in [
            ("Get \"http://10.0.0.7:5000/v2/\": context deadline exceeded", "the registry does not answer"),
            (
                "Get \"http://10.0.0.7:5000/v2/\": net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
                "the registry does not answer",
            ),
            (
                "Get \"https://10.0.0.7:5000/v2/\": x509: certificate signed by unknown authority",
                "the engine does not know who signed the registry's certificate: put the signer's into /etc/docker/certs.d/10.0.0.7:5000/ca.crt",
            ),
            (
                "Get \"https://10.0.0.7:5000/v2/\": x509: certificate is valid for 10.0.0.8, not 10.0.0.7",
                "the engine does not accept the registry's certificate: certificate is valid for 10.0.0.8, not 10.0.0.7",
            ),
            (
                "Get \"https://10.0.0.7:5000/v2/\": http: server gave HTTP response to HTTPS client",
                "the registry speaks plain HTTP, which the engine does only with its `insecure-registries`",
            ),
            ("unexpected EOF", "unexpected EOF"),
        ] {
            assert_eq!(in_plain_words(message), told);
        }
    }
}
