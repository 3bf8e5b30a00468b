//! A headless Chromium of a test's own, spoken to through its driver (W3C `WebDriver`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// How long an answer may take; far more than any does.
const PATIENCE: Duration = Duration::from_mins(2);

/// A browser with one page.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// One that prefers these languages.
    pub fn start(languages: &str) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver, which Debian's package chromium-driver has");
        let mut said = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
        let port = loop {
            let line = said.next().expect("chromedriver ended").expect("a line");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').parse().expect("a port");
            }
        };
        let arguments = [
            "--headless=new".to_owned(),
            // A test is root, in a container maybe.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            // It ends with its driver.
            "--remote-debugging-pipe".to_owned(),
            format!("--accept-lang={languages}"),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        let session = browser.ask("POST", "/session", &wanted);
        session["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        browser
    }

    /// Shows a page.
    pub fn open(&self, address: &str) {
        self.post("url", &json!({"url": address}));
    }

    /// What a script says on the page.
    pub fn says(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": format!("return {script}"), "args": []}))
    }

    /// A window of this size, light or dark.
    pub fn looks(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.commands("Emulation.setDeviceMetricsOverride", &size);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.commands("Emulation.setEmulatedMedia", &features);
    }

    /// What has been written into its console since the last call, but for what its own first page says.
    pub fn console(&self) -> Vec<String> {
        let entries = self.post("se/log", &json!({"type": "browser"}));
        let is_its_own =
            |entry: &&Value| entry["message"].as_str().is_some_and(|said| said.starts_with("chrome://"));
        let entries = entries.as_array().expect("a list").iter().filter(|entry| !is_its_own(entry));
        entries.map(ToString::to_string).collect()
    }

    fn commands(&self, command: &str, parameters: &Value) {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}/{what}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("chromedriver");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let body = body.to_string();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).expect("a request");
        // It keeps its connections, whatever it is asked: the length says where an answer ends.
        let mut answer = BufReader::new(stream);
        let (mut length, mut line) = (0, String::new());
        answer.read_line(&mut line).expect("an answer");
        assert!(line.starts_with("HTTP/1.1 200"), "{path}: {line}");
        while !line.trim().is_empty() {
            line.clear();
            answer.read_line(&mut line).expect("a head");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).expect("a body");
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
