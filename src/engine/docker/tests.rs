use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::{AHEAD, DockerEngine, DockerReader};
use crate::engine::{EngineError, Inspect, Observe, Perform, Scope};
use crate::observed::AtRegistry;
use crate::plan::Step;
use crate::resource::reference::ImageReference;

/// An engine that answers what `answer` says to a path. Keeps what was asked for.
fn answering(
    listener: UnixListener,
    asked: Arc<Mutex<Vec<String>>>,
    answer: impl Fn(&str) -> (&'static str, String) + Send + 'static,
) {
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let path = request.split_whitespace().nth(1).unwrap_or_default().to_owned();
            let (status, body) = answer(&path);
            asked.lock().unwrap().push(path);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
}

/// An engine that knows no API older than `oldest`, and no image.
fn engine(listener: UnixListener, oldest: Arc<Mutex<&'static str>>, asked: Arc<Mutex<Vec<String>>>) {
    answering(listener, asked, move |path| {
        let oldest = *oldest.lock().unwrap();
        if path == "/version" {
            ("200 OK", format!(r#"{{"ApiVersion": "1.47", "MinAPIVersion": "{oldest}"}}"#))
        } else if path.starts_with(&format!("/v{oldest}/")) || oldest < "1.41" {
            ("404 Not Found", r#"{"message": "No such image"}"#.to_owned())
        } else {
            let why = format!(
                "client version 1.41 is too old. Minimum supported API version is {oldest}, please upgrade"
            );
            ("400 Bad Request", format!(r#"{{"message": "{why}"}}"#))
        }
    });
}

#[tokio::test]
async fn an_engine_that_was_exchanged_is_agreed_with_anew() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let (oldest, asked) = (Arc::new(Mutex::new("1.24")), Arc::new(Mutex::new(Vec::new())));
    engine(UnixListener::bind(&socket).unwrap(), Arc::clone(&oldest), Arc::clone(&asked));
    let reader = DockerReader::at(&format!("unix://{}", socket.display()));
    let id = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    for _ in 0..2 {
        assert!(matches!(reader.image(&id).await, Err(EngineError::Refused { .. })));
    }
    *oldest.lock().unwrap() = "1.44";
    let lost = reader.image(&id).await.unwrap_err();
    let shown = socket.display();
    assert_eq!(
        lost.to_string(),
        format!(
            "no engine answers at unix://{shown}: the one that is there now has given up the API that was agreed on"
        )
    );
    assert!(matches!(reader.image(&id).await, Err(EngineError::Refused { .. })));
    let asked: Vec<String> =
        asked.lock().unwrap().iter().map(|path| path.split("/images").next().unwrap().to_owned()).collect();
    assert_eq!(asked, ["/version", "/v1.41", "/v1.41", "/v1.41", "/version", "/v1.44"]);
}

/// An engine that says which API it speaks, and takes everything else in without a word.
fn silent_engine(listener: UnixListener, asked: Arc<Mutex<Vec<String>>>) {
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = Arc::clone(&asked);
            tokio::spawn(async move {
                let mut received = vec![0; 4096];
                let count = stream.read(&mut received).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&received[..count]).into_owned();
                let path = request.split_whitespace().nth(1).unwrap_or_default().to_owned();
                if path == "/version" {
                    let body = r#"{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}"#;
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                    return;
                }
                asked.lock().unwrap().push(path);
                while stream.read(&mut received).await.is_ok_and(|count| count > 0) {}
            });
        }
    });
}

#[tokio::test]
async fn an_archive_that_cannot_be_read_to_its_end_is_no_lost_engine() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    silent_engine(UnixListener::bind(&socket).unwrap(), Arc::default());
    let engine = DockerEngine::new(DockerReader::at(&format!("unix://{}", socket.display())));
    // A directory can be opened, and not read.
    let archive = dir.path().to_owned();
    let load = Step::LoadArchive { archive: archive.clone(), ids: Vec::new(), brings: [].into() };
    let error = engine.perform(&load, &|_| {}).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} cannot be read: Is a directory (os error 21)", archive.display())
    );
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_silent_holds_up_a_pass_once() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let asked = Arc::new(Mutex::new(Vec::new()));
    silent_engine(UnixListener::bind(&socket).unwrap(), Arc::clone(&asked));
    let reader = DockerReader::at(&format!("unix://{}", socket.display()));
    let tag = |number: usize| -> ImageReference { format!("10.0.0.7:5000/exam:{number}").parse().unwrap() };
    let tags = (0..100).map(tag).collect();
    let begun = tokio::time::Instant::now();
    let answers = reader.at_registries(&tags).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 10);
    let silent = AtRegistry::Silent("no answer within 10 s".to_owned());
    assert!(answers.len() == 100 && answers.values().all(|answer| *answer == silent), "{answers:?}");
    assert_eq!(asked.lock().unwrap().len(), 8);
}

/// A look for nothing in particular.
fn scope() -> Scope {
    Scope {
        owner: "exam".parse().unwrap(),
        containers: [].into(),
        images: [].into(),
        assembled: [].into(),
        adopted: [].into(),
        at_registries: [].into(),
    }
}

#[tokio::test]
async fn what_was_asked_ahead_is_not_asked_again_by_one_look_and_what_cannot_be_read_is() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let (asked, is_whole) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let whole = Arc::clone(&is_whole);
    answering(UnixListener::bind(&socket).unwrap(), Arc::clone(&asked), move |path| {
        let body = match path {
            "/version" => r#"{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}"#,
            "/v1.41/volumes" if !whole.load(Ordering::Relaxed) => r#"{"Volumes": [{"Na"#,
            "/v1.41/volumes" => r#"{"Volumes": [{"Name": "answers"}]}"#,
            _ => "[]",
        };
        ("200 OK", body.to_owned())
    });
    let paths = || {
        let mut paths = std::mem::take(&mut *asked.lock().unwrap());
        paths.sort();
        paths
    };
    let lists =
        ["/v1.41/containers/json?all=true", "/v1.41/images/json", "/v1.41/networks", "/v1.41/volumes"];
    let reader = DockerReader::at(&format!("unix://{}", socket.display()));
    let reader = reader.connect_and_list().await.unwrap();
    assert_eq!(paths(), [&lists[..], &["/version"]].concat());
    is_whole.store(true, Ordering::Relaxed);
    let scope = scope();
    let observed = reader.observe(&scope).await.unwrap();
    assert_eq!(observed.volumes[0].name, "answers");
    assert_eq!(paths(), ["/v1.41/volumes"]);
    reader.observe(&scope).await.unwrap();
    assert_eq!(paths(), lists);
    // What was said long before the look is not of its moment.
    let reader = reader.connect_and_list().await.unwrap();
    assert_eq!(paths(), [&lists[..], &["/version"]].concat());
    tokio::time::pause();
    tokio::time::advance(AHEAD + Duration::from_millis(1)).await;
    tokio::time::resume();
    reader.observe(&scope).await.unwrap();
    assert_eq!(paths(), lists);
}

#[tokio::test]
async fn what_an_engine_says_in_an_api_that_was_not_agreed_on_then_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let asked = Arc::new(Mutex::new(Vec::new()));
    answering(UnixListener::bind(&socket).unwrap(), Arc::clone(&asked), |path| {
        let body = match path {
            "/version" => r#"{"ApiVersion": "1.52", "MinAPIVersion": "1.44"}"#,
            "/v1.44/volumes" => r#"{"Volumes": [{"Name": "answers"}]}"#,
            "/v1.41/volumes" => r#"{"Volumes": []}"#,
            _ => "[]",
        };
        ("200 OK", body.to_owned())
    });
    let reader = DockerReader::at(&format!("unix://{}", socket.display())).connect_and_list().await.unwrap();
    let observed = reader.observe(&scope()).await.unwrap();
    assert_eq!(observed.volumes[0].name, "answers");
    let asked = asked.lock().unwrap();
    assert_eq!(asked.iter().filter(|path| path.starts_with("/v1.44/")).count(), 4, "{asked:?}");
}
