use http_body_util::BodyExt;
use hyper::header::{ALLOW, CONTENT_TYPE, HOST};

use super::*;
use crate::daemon::wake::channel;

const MINUTE: Duration = Duration::from_mins(1);

/// A site, and its board.
pub fn bench() -> (Site, Arc<Board>) {
    let (_bell, wakes) = channel();
    let board = Arc::new(Board::new(&"exam".parse().unwrap(), &wakes, None));
    let (glances, _) = crate::daemon::glances::channel();
    (Site::new(Arc::clone(&board), MINUTE, glances), board)
}

fn site() -> Site {
    bench().0
}

pub fn ask(site: &Site, method: Method, path: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(path).header(HOST, "localhost:9090");
    site.answer(Door::Loopback, &request.body(()).unwrap())
}

pub async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn each_path_is_answered_in_its_form() {
    let site = site();
    for (path, code, form, begins) in [
        ("/", 200, "text/html; charset=utf-8", "<!DOCTYPE html>\n<html lang=\"en\">"),
        ("/resource/container/web", 404, "text/html; charset=utf-8", "<!DOCTYPE html>\n"),
        ("/v1/status", 200, "application/json", "{\"formatVersion\":1,\"owner\":\"exam\","),
        ("/healthz", 200, "text/plain; charset=utf-8", "ok\n"),
        ("/readyz", 503, "text/plain; charset=utf-8", "no pass has looked at everything yet\n"),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "# HELP invigil_build_info "),
    ] {
        let response = ask(&site, Method::GET, path);
        assert_eq!(response.status().as_u16(), code, "{path}");
        assert_eq!(response.headers()[CONTENT_TYPE], form, "{path}");
        let text = text(response).await;
        assert!(text.starts_with(begins), "{path}: {text}");
    }
}

#[test]
fn nothing_can_be_written_anywhere() {
    let site = site();
    for path in ["/", "/live", "/resource/container/web", "/v1/status", "/metrics", "/healthz", "/nope"] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PURGE"] {
            let response = ask(&site, method.parse().unwrap(), path);
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(response.headers()[ALLOW], "GET, HEAD", "{method} {path}");
        }
    }
}

#[test]
fn a_path_is_taken_as_it_is_written() {
    let site = site();
    for path in ["//", "/v1/status/", "/V1/status", "/v1/../v1/status", "/%76%31/status", "/metrics/x"] {
        assert_eq!(ask(&site, Method::GET, path).status(), StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(ask(&site, Method::GET, "/healthz?a=b").status(), StatusCode::OK);
}

#[test]
fn every_answer_lets_nothing_else_in() {
    let site = site();
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/live"),
        (Method::GET, "/v1/status"),
        (Method::POST, "/v1/status"),
        (Method::HEAD, "/nope"),
    ] {
        let response = ask(&site, method, path);
        let headers = response.headers();
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none';"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn who_was_led_here_by_another_name_is_told_nothing() {
    let request = Request::get("/v1/status").header(HOST, "exam.example:9090").body(()).unwrap();
    let response = site().answer(Door::Loopback, &request);
    assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(
        text(response).await,
        "this address answers only when it is called localhost, or by a loopback address\n"
    );
}

#[tokio::test]
async fn the_page_speaks_the_readers_language_and_the_address_decides_before_the_browser() {
    let site = site();
    let language = |path: &str, accept: &str| {
        let request = Request::get(path).header(HOST, "localhost").header(ACCEPT_LANGUAGE, accept);
        let response = site.answer(Door::Loopback, &request.body(()).unwrap());
        response.headers()[CONTENT_LANGUAGE].to_str().unwrap().to_owned()
    };
    assert_eq!(language("/", "zh-CN,en;q=0.5"), "zh-CN");
    assert_eq!(language("/?lang=en", "zh-CN"), "en");
    assert_eq!(language("/", "de"), "en");
    let page = text(ask(&site, Method::GET, "/?lang=zh")).await;
    assert!(page.contains("<html lang=\"zh-CN\">"), "{page}");
    assert!(page.contains("尚未检查"), "{page}");
}

#[tokio::test]
async fn what_a_page_loads_is_there_and_is_kept_and_nothing_stands_inline() {
    let site = site();
    let page = text(ask(&site, Method::GET, "/")).await;
    let paths: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(paths.len(), 3, "{page}");
    for path in paths {
        let response = ask(&site, Method::GET, path);
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(response.headers()["cache-control"].to_str().unwrap().ends_with("immutable"));
    }
    for inline in ["<style", "style=", "<script>", " onload", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
}

#[tokio::test]
async fn a_page_is_loaded_anew_where_no_script_runs() {
    let page = text(ask(&site(), Method::GET, "/")).await;
    assert!(page.contains("<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>"), "{page}");
}

#[tokio::test]
async fn a_resource_that_is_none_has_a_page_that_says_so() {
    let site = site();
    let response = ask(&site, Method::GET, "/resource/container/web");
    assert!(text(response).await.contains("There is no such resource"));
    for path in ["/resource/container/..", "/resource/container/a%3Cb", "/resource/nothing/web", "/resource/"]
    {
        let response = ask(&site, Method::GET, path);
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(text(response).await.starts_with("nothing is here"), "{path}");
    }
}

/// The next event.
async fn next(body: &mut Body) -> String {
    let frame = body.frame().await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_listens_is_told_what_changed_and_that_somebody_is_there() {
    let (site, board) = bench();
    let page = text(ask(&site, Method::GET, "/?lang=en")).await;
    let edition = page.split("data-edition=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut body = ask(&site, Method::GET, &format!("/live?lang=en&since={edition}")).into_body();
    assert_eq!(next(&mut body).await, "retry: 1000\n\nevent: alive\ndata:\n\n");
    assert_eq!(next(&mut body).await, "event: alive\ndata:\n\n");
    board.trouble("no engine answers at <b>");
    let event = next(&mut body).await;
    assert!(event.contains("\nevent: parts\ndata: {\"head\":"), "{event}");
    assert!(event.contains("no engine answers at &lt;b&gt;"), "{event}");
    assert_eq!(event.lines().count(), 4, "{event}");
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_daemon_before_this_one_is_loaded_anew() {
    let mut body = ask(&site(), Method::GET, "/live?since=1234-7").into_body();
    next(&mut body).await;
    assert_eq!(next(&mut body).await, "event: reload\ndata:\n\n");
}

#[tokio::test]
async fn too_many_listeners_are_asked_to_come_again() {
    let site = site();
    let listening: Vec<_> = (0..LISTENERS).map(|_| ask(&site, Method::GET, "/live")).collect();
    assert!(listening.iter().all(|response| response.status() == StatusCode::OK));
    let refused = ask(&site, Method::GET, "/live");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["connection"], "close");
    drop(listening);
    assert_eq!(ask(&site, Method::GET, "/live").status(), StatusCode::OK);
}
