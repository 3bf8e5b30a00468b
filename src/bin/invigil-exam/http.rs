//! A request's head -> a response from memory. Every page is rendered when the site is made; after
//! that nothing is computed, read or kept, but when the health check asked last, and a request's body is
//! never looked at.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_LANGUAGE, ALLOW, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use invigil::problemset::paper::Paper;

use crate::language::Language;
use crate::page::Page;
use crate::rhythm::Rhythm;
use crate::style;

/// On every response. The page loads its own style and icon and nothing else; no script runs, no
/// form leaves, nobody frames it; and a shared computer keeps no copy of the paper.
const EVERYWHERE: [(HeaderName, HeaderValue); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; \
             frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Where the container's health check asks.
pub const UNHURRIED: &str = "/healthz?unhurried";
/// What it is answered where it may rest before it says so.
pub const MAY_REST: &str = "ok, no hurry";

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const PLAIN: &str = "text/plain; charset=utf-8";

/// One paper, ready to be shown.
pub struct Site {
    chinese: Bytes,
    english: Bytes,
    json: Bytes,
    language: Language,
    rhythm: Rhythm,
}

impl Site {
    /// Renders every page of `paper`; `json` is what `/api/paper` answers.
    pub fn new(paper: &Paper, json: Bytes) -> Self {
        let page = |language| Bytes::from(Page { paper, language }.to_string());
        Self {
            chinese: page(Language::Chinese),
            english: page(Language::English),
            json,
            language: Language::from_tag(&paper.language).unwrap_or(Language::English),
            rhythm: Rhythm::default(),
        }
    }

    /// Answers a request, from this host itself or from another one. The server drops the body again for
    /// `HEAD`, so that a `HEAD` tells what a `GET` would.
    pub fn answer<B>(&self, request: &Request<B>, is_from_itself: bool) -> Response<Full<Bytes>> {
        let reading = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut response = match request.uri().path() {
            "/" | "/api/paper" | "/healthz" | "/style.css" | "/icon.svg" if !reading => {
                let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
            "/" => self.page(self.choose_language(request.uri(), request.headers())),
            "/api/paper" => found(JSON, self.json.clone()),
            "/healthz" => {
                // A stranger's question must not put the container's own check out of step.
                let is_check = is_from_itself && request.uri().query() == Some("unhurried");
                let text = if is_check && self.rhythm.may_rest() { MAY_REST } else { "ok" };
                found(PLAIN, Bytes::from_static(text.as_bytes()))
            }
            "/style.css" => found(CSS, Bytes::from_static(style::CSS.as_bytes())),
            "/icon.svg" => found(SVG, Bytes::from_static(style::ICON.as_bytes())),
            _ => refusal(StatusCode::NOT_FOUND, "not found"),
        };
        response.headers_mut().extend(EVERYWHERE);
        response
    }

    /// What the reader asks for in the address, else prefers, else what the paper is written in.
    fn choose_language(&self, uri: &Uri, headers: &HeaderMap) -> Language {
        let asked = uri.query().and_then(Language::from_query);
        let preferred =
            || headers.get(ACCEPT_LANGUAGE)?.to_str().ok().and_then(Language::from_accept_language);
        asked.or_else(preferred).unwrap_or(self.language)
    }

    fn page(&self, language: Language) -> Response<Full<Bytes>> {
        let page = match language {
            Language::Chinese => &self.chinese,
            Language::English => &self.english,
        };
        let mut response = found(HTML, page.clone());
        response.headers_mut().insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept-language"));
        response
    }
}

fn found(content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn refusal(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = found(PLAIN, Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(language: &str) -> Site {
        let paper = Paper {
            format_version: 1,
            name: "a".into(),
            title: "A".into(),
            language: language.into(),
            items: vec![],
        };
        Site::new(&paper, Bytes::from_static(b"{}"))
    }

    fn page_language(site: &Site, uri: &str, accept: Option<&str>) -> String {
        let mut request = Request::get(uri);
        if let Some(accept) = accept {
            request = request.header(ACCEPT_LANGUAGE, accept);
        }
        let response = site.answer(&request.body(()).unwrap(), false);
        response.headers()[CONTENT_LANGUAGE].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_address_decides_the_language_before_the_browser_and_the_browser_before_the_paper() {
        let site = site("zh-CN");
        assert_eq!(page_language(&site, "/?lang=en", Some("zh")), "en");
        assert_eq!(page_language(&site, "/", Some("en-GB")), "en");
        assert_eq!(page_language(&site, "/?lang=xx", Some("en-GB")), "en");
        assert_eq!(page_language(&site, "/", Some("de")), "zh-CN");
        assert_eq!(page_language(&site, "/", None), "zh-CN");
    }

    #[test]
    fn a_paper_in_a_language_the_page_does_not_speak_gets_english_words() {
        assert_eq!(page_language(&site("de"), "/", None), "en");
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_containers_own_check_is_told_that_it_may_rest_and_counts() {
        use http_body_util::BodyExt;
        let site = site("en");
        let mut told = Vec::new();
        for (path, is_from_itself) in [
            (UNHURRIED, false),
            (UNHURRIED, false),
            ("/healthz", true),
            (UNHURRIED, true),
            (UNHURRIED, false),
            ("/healthz", true),
            (UNHURRIED, true),
        ] {
            let request = Request::get(path).body(()).unwrap();
            let body = site.answer(&request, is_from_itself).into_body();
            told.push(body.collect().await.unwrap().to_bytes());
        }
        assert_eq!(told, ["ok", "ok", "ok", "ok", "ok", "ok", MAY_REST]);
    }

    #[test]
    fn an_unknown_path_is_not_found_whatever_the_method() {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let request = Request::builder().method(method).uri("/nope").body(()).unwrap();
            assert_eq!(site("en").answer(&request, false).status(), StatusCode::NOT_FOUND);
        }
    }

    #[test]
    fn a_path_is_taken_as_it_is_written() {
        for path in ["//", "/index.html", "/%2e", "/api/paper/", "/../exam/paper.json", "/API/paper"] {
            let request = Request::get(path).body(()).unwrap();
            assert_eq!(site("en").answer(&request, false).status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
