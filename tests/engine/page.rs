//! The status page, of a daemon on a real engine, in a real browser.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::browser::Browser;
use crate::daemon::Daemon;
use crate::support::{BUSYBOX, Host, check_health, docker};

/// What a browser would obey, in a path that a plan repeats.
const HOSTILE: &str = "/nowhere/<img src=x onerror=document.title=1>";

fn seat(more: &str) -> String {
    format!("{{image: '{BUSYBOX}', command: [sleep, '1000'], stopSignal: SIGKILL, networkMode: none{more}}}")
}

#[tokio::test]
async fn law_13_the_page_shows_how_things_stand_now_and_whatever_it_repeats_stays_text() {
    let host = Host::new("page").await;
    host.container("seat-1", &seat(""));
    host.container("seat-2", &seat(&format!(", binds: ['{HOSTILE}:/data']")));
    let (path, both) = (host.path().as_os_str(), "127.0.0.1:0,127.0.0.2:0");
    let daemon = Daemon::start_without_manifests(&host, &["--listen".as_ref(), both.as_ref(), path]);
    let address = daemon.address();
    daemon.until("it listens at both", || daemon.said("the status page is served address=127.0.0.") == 2);
    let browser = Browser::start("zh-CN");
    browser.open(&format!("http://{address}/"));
    browser.says("void (window.isSame = true)");
    let tile = |name: &str| {
        let id = format!("tile-container-{}", host.name(name));
        browser.says(&format!("document.getElementById('{id}')?.className")).as_str().map(str::to_owned)
    };
    let sentence = || browser.says("document.querySelector('h1').textContent").as_str().unwrap().to_owned();

    // What becomes different is put in, and the page is still the same.
    daemon.until("a seat is ready", || tile("seat-1").as_deref() == Some("Ready"));
    daemon.until("one is not", || tile("seat-2").as_deref() == Some("Stalled"));
    assert_eq!(sentence(), "1 项需要处理（共 2 项）");
    let reason = browser.says("document.querySelector('.Stalled .why').textContent");
    assert!(reason.as_str().unwrap().contains(HOSTILE), "{reason}");
    assert_eq!(browser.says("document.querySelectorAll('img').length"), 0);
    host.remove("seat-2.yaml");
    daemon.until("all is well", || sentence() == "全部正常（1 项）");
    assert_eq!(browser.says("window.isSame"), true);

    // The page of one resource, by its tile.
    docker(&["kill", &host.name("seat-1")]);
    daemon.until("what was done is told", || {
        browser.says("document.querySelector('#actions').textContent").as_str().unwrap().contains(" 启动: ")
    });
    browser.says("void document.querySelector('.tiles a').click()");
    daemon.until("it leads there", || sentence() == host.name("seat-1"));
    assert_eq!(browser.says("document.documentElement.lang"), "zh-CN");

    // Nothing is cut off at the side of a phone, and dark is dark.
    browser.open(&format!("http://{address}/?lang=en"));
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (375, "light"), (375, "dark")] {
        browser.looks(width, 800, scheme);
        let wide = browser.says("document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= width.into(), "{wide} of {width}");
        let ground = browser.says("getComputedStyle(document.body).backgroundColor");
        assert_eq!(ground == "rgb(16, 19, 24)", scheme == "dark", "{ground}");
    }
    assert_eq!(browser.console(), [""; 0]);

    // A page that hears nothing says so.
    daemon.until("it is shown", || browser.says("document.getElementById('lost').hidden") == true);
    daemon.ends();
    let begun = std::time::Instant::now();
    while browser.says("document.getElementById('lost').hidden") == true {
        assert!(begun.elapsed().as_secs() < 60, "it does not say that it is lost");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// What an address says.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout");
    let head = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn json(address: SocketAddr, path: &str) -> Value {
    let answer = get(address, path);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(" 200 ") && head.contains("content-type: application/json"), "{head}");
    serde_json::from_str(body).expect("JSON")
}

/// Says what somebody in a container may say who means harm, then as much as there is no room for, then something again and
/// again.
const TALKS: &str = "printf '\\033[31mred\\033[0m <b onclick=x>bold</b>\\n'; echo \"in as $EXAM_PASSWORD\" >&2; \
    i=0; while true; do i=$((i+1)); echo tick $i; sleep 1; done";

#[tokio::test]
async fn law_12_law_13_what_a_container_uses_and_writes_is_on_its_page_as_text_and_stays_up_to_date() {
    let host = Host::new("inside").await;
    let talks = serde_json::to_string(TALKS).expect("text");
    host.container(
        "talks",
        &format!(
            "{{image: '{BUSYBOX}', command: [sh, -c, {talks}], stopSignal: SIGKILL, networkMode: none, \
             env: {{EXAM_PASSWORD: canary-of-the-room}}, resources: {{memory: 64Mi}}}}"
        ),
    );
    host.container("silent", &format!("{{image: '{BUSYBOX}', state: created}}"));
    host.write(
        "exam.yaml",
        "apiVersion: invigil/v1\nkind: ProblemSet\nmetadata: {name: '@exam'}\nspec: {title: Exam, owner: o, items: \
         [{id: '1', type: short_answer, prompt: why, key: {reference: canary-of-the-key}, points: 1}]}\n---\n\
         apiVersion: invigil/v1\nkind: Container\nmetadata: {name: '@seat'}\n\
         spec: {problemSet: '@exam', networkMode: none}\n",
    );
    let path = host.path().as_os_str();
    let daemon = Daemon::start_without_manifests(&host, &["--listen".as_ref(), "127.0.0.1:0".as_ref(), path]);
    let address = daemon.address();
    let state = |name: &str| {
        json(address, "/v1/status")["resources"][format!("container/{}", host.name(name))].clone()
    };
    for name in ["talks", "silent", "seat"] {
        daemon.until("it is ready", || {
            check_health(&host.name(name));
            state(name)["condition"] == "Ready"
        });
    }

    // For programs.
    let inside = |name: &str| json(address, &format!("/v1/container/{}", host.name(name)));
    daemon.until("it has said something", || inside("talks")["output"].as_array().unwrap().len() >= 3);
    let talks = inside("talks");
    let said = |text: &str, is_error: bool| {
        let mut lines = talks["output"].as_array().unwrap().iter();
        lines.any(|line| line["text"] == text && line["isError"] == is_error)
    };
    assert!(said("red <b onclick=x>bold</b>", false) && said("in as (hidden)", true), "{talks:#}");
    assert_eq!(talks["usage"]["memoryLimit"], 64 << 20, "{talks:#}");
    assert!(talks["usage"]["processes"].as_u64().unwrap() >= 1, "{talks:#}");
    let silent = inside("silent");
    assert_eq!(
        (&silent["usageTrouble"], &silent["output"]),
        (&"it does not run".into(), &serde_json::json!([]))
    );
    let none = get(address, "/v1/container/nobody");
    assert!(none.starts_with("HTTP/1.0 404 ") || none.starts_with("HTTP/1.1 404 "), "{none}");

    // For people, without a script.
    let page = |name: &str| get(address, &format!("/resource/container/{}?lang=en", host.name(name)));
    let plain = page("talks");
    assert!(
        plain.contains("red &lt;b onclick=x&gt;bold&lt;/b&gt;") && plain.contains("in as (hidden)"),
        "{plain}"
    );
    assert!(plain.contains(" / 64.0MiB") && plain.trim_end().ends_with("</html>"), "{plain}");
    assert!(page("silent").contains("It does not run."));
    let seat = format!("{}{}{}", page("seat"), inside("seat"), page("silent"));
    assert!(!format!("{plain}{talks}{seat}").contains("canary"), "law 12");

    // And with one, it goes on.
    let browser = Browser::start("en");
    browser.open(&format!("http://{address}/resource/container/{}", host.name("talks")));
    browser.says("void (window.isSame = true)");
    let last = || {
        let tick =
            browser.says("[...document.querySelectorAll('#log span')].at(-1).textContent.split(' ')[1]");
        tick.as_str().and_then(|tick| tick.parse::<u32>().ok()).unwrap_or_default()
    };
    let before = last();
    daemon.until("it is told what is written", || last() > before + 3);
    assert_eq!(browser.says("window.isSame"), true);
    assert_eq!(browser.says("document.querySelectorAll('#log b').length"), 0);
    assert_eq!(browser.says("document.querySelector('.log').scrollTop"), 0, "the last line is in view");
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (375, "light"), (375, "dark")] {
        browser.looks(width, 900, scheme);
        let wide = browser.says("document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= width.into(), "{wide} of {width}");
    }
    assert_eq!(browser.console(), [""; 0]);
}
