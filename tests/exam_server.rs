//! Starts the real `invigil-exam` on a loopback port of its own and looks at it from outside: every
//! route, the headers, the signals, the exit codes and what it says on stdout and stderr.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

const PAPER: &str = r#"{"formatVersion":1,"name":"img-test","title":"期中考试","language":"zh-CN","items":[
{"id":"8","label":"第8题","type":"single_choice","prompt":{"text":"1+1=？\n<script>alert(1)</script>","format":"text"},
 "choices":[{"id":"A","text":"1"},{"id":"B","text":"2"}],"centipoints":500},
{"id":"9","label":"第9题","type":"programming","prompt":{"text":"写一个 [程序](javascript:alert(1))。","format":"markdown"}}]}
"#;

/// Every response carries these, whatever it says.
const EVERYWHERE: [&str; 4] = [
    "content-security-policy: default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; \
     frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options: nosniff",
    "referrer-policy: no-referrer",
    "cache-control: no-store",
];

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_invigil-exam"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running server, killed when the test is over.
struct Server {
    child: Child,
    address: SocketAddr,
    first_line: String,
    _directory: TempDir,
}

impl Server {
    fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let paper = paper_file(directory.path(), PAPER)?;
        let mut child =
            program().env("INVIGIL_EXAM_PAPER", paper).env("INVIGIL_EXAM_LISTEN", "127.0.0.1:0").spawn()?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut first_line = String::new();
        BufReader::new(stdout).read_line(&mut first_line)?;
        let (_, address) = first_line.trim_end().split_once("http://").context(first_line.clone())?;
        Ok(Self { address: address.parse()?, child, first_line, _directory: directory })
    }

    /// Sends a request as it is written and reads to the end of the connection.
    fn ask(&self, method: &str, target: &str, headers: &str) -> Result<Answer> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: exam\r\nConnection: close\r\n{headers}\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
        let mut lines = head.split("\r\n").map(str::to_owned);
        let status = lines.next().context("a head has a status line")?;
        Ok(Answer { status, headers: lines.collect(), body: body.to_owned() })
    }

    fn get(&self, target: &str) -> Result<Answer> {
        self.ask("GET", target, "")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status()?;
        ensure!(sent.success(), "kill: {sent}");
        Ok(())
    }

    fn exit_within(&mut self, patience: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(start.elapsed() < patience, "still running after {patience:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: String,
    headers: Vec<String>,
    body: String,
}

impl Answer {
    fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|line| line == header)
    }
}

fn paper_file(directory: &Path, json: &str) -> Result<PathBuf> {
    let path = directory.join("paper.json");
    std::fs::write(&path, json)?;
    Ok(path)
}

fn serve_paper(json: &str) -> Result<(Output, PathBuf)> {
    let directory = tempfile::tempdir()?;
    let path = paper_file(directory.path(), json)?;
    // Without a paper to show, the server must not get as far as this address.
    let output =
        program().env("INVIGIL_EXAM_PAPER", &path).env("INVIGIL_EXAM_LISTEN", "127.0.0.1:0").output()?;
    Ok((output, path))
}

fn health(address: SocketAddr) -> Result<Output> {
    Ok(program().arg("health").env("INVIGIL_EXAM_LISTEN", address.to_string()).output()?)
}

#[test]
fn one_line_on_stdout_says_what_is_served_where() -> Result<()> {
    let server = Server::start()?;
    assert_eq!(
        server.first_line,
        format!("invigil-exam: 2 items of img-test on http://{}\n", server.address)
    );
    Ok(())
}

#[test]
fn every_route_answers_with_its_type_and_the_common_headers() -> Result<()> {
    let server = Server::start()?;
    for (target, content_type) in [
        ("/", "content-type: text/html; charset=utf-8"),
        ("/api/paper", "content-type: application/json"),
        ("/healthz", "content-type: text/plain; charset=utf-8"),
        ("/style.css", "content-type: text/css; charset=utf-8"),
        ("/icon.svg", "content-type: image/svg+xml"),
    ] {
        let answer = server.get(target)?;
        assert_eq!(answer.status, "HTTP/1.1 200 OK", "{target}");
        for header in EVERYWHERE.into_iter().chain([content_type]) {
            assert!(answer.has(header), "{target} lacks {header}: {:?}", answer.headers);
        }
    }
    Ok(())
}

#[test]
fn the_page_shows_the_paper_and_nothing_in_it_acts() -> Result<()> {
    let page = Server::start()?.get("/")?;
    assert!(page.has("content-language: zh-CN") && page.has("vary: accept-language"), "{:?}", page.headers);
    for part in [
        "<html lang=\"zh-CN\">",
        "<h1 lang=\"zh-CN\" dir=\"auto\">期中考试</h1>",
        "<p class=\"facts\">共 2 题</p>",
        "<p class=\"plain\">1+1=？\n&lt;script&gt;alert(1)&lt;/script&gt;</p>",
        "<p>写一个 程序。</p>",
        "<input type=\"radio\" name=\"item-1\" value=\"B\" autocomplete=\"off\">",
        "<textarea id=\"answer-2\" name=\"item-2\"",
    ] {
        assert!(page.body.contains(part), "no {part} in {}", page.body);
    }
    for part in ["<script", "javascript:", "<form", "submit"] {
        assert!(!page.body.contains(part), "{part} in {}", page.body);
    }
    Ok(())
}

#[test]
fn the_language_is_asked_for_or_preferred_or_the_papers() -> Result<()> {
    let server = Server::start()?;
    let language = |target, headers| -> Result<String> {
        let page = server.ask("GET", target, headers)?;
        Ok(page.body.lines().nth(1).unwrap_or_default().to_owned())
    };
    assert_eq!(language("/", "")?, "<html lang=\"zh-CN\">");
    assert_eq!(language("/", "Accept-Language: en-GB,zh;q=0.5\r\n")?, "<html lang=\"en\">");
    assert_eq!(language("/?lang=zh-CN", "Accept-Language: en\r\n")?, "<html lang=\"zh-CN\">");
    Ok(())
}

#[test]
fn the_papers_json_is_served_byte_for_byte() -> Result<()> {
    assert_eq!(Server::start()?.get("/api/paper")?.body, PAPER);
    Ok(())
}

#[test]
fn healthz_says_ok() -> Result<()> {
    assert_eq!(Server::start()?.get("/healthz")?.body, "ok");
    Ok(())
}

#[test]
fn head_tells_what_get_would_without_its_body() -> Result<()> {
    let server = Server::start()?;
    for target in ["/", "/api/paper", "/healthz", "/style.css", "/icon.svg", "/nope"] {
        let get = server.get(target)?;
        let head = server.ask("HEAD", target, "")?;
        let but_date = |answer: &Answer| -> Vec<String> {
            answer.headers.iter().filter(|line| !line.starts_with("date:")).cloned().collect()
        };
        assert_eq!((&head.status, but_date(&head)), (&get.status, but_date(&get)), "{target}");
        assert!(head.has(&format!("content-length: {}", get.body.len())), "{target}: {:?}", head.headers);
        assert_eq!(head.body, "", "{target}");
    }
    Ok(())
}

#[test]
fn everything_else_is_404_or_405_in_a_few_words() -> Result<()> {
    let server = Server::start()?;
    let missing = server.get("/exam/paper.json")?;
    assert_eq!((missing.status.as_str(), missing.body.as_str()), ("HTTP/1.1 404 Not Found", "not found"));
    assert!(missing.has("content-type: text/plain; charset=utf-8"), "{:?}", missing.headers);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let refused = server.ask(method, "/", "")?;
        assert_eq!(
            (refused.status.as_str(), refused.body.as_str()),
            ("HTTP/1.1 405 Method Not Allowed", "method not allowed"),
            "{method}"
        );
        for header in EVERYWHERE.into_iter().chain(["allow: GET, HEAD"]) {
            assert!(refused.has(header), "{method}: {:?}", refused.headers);
        }
    }
    Ok(())
}

#[test]
fn sigterm_and_sigint_end_it_within_a_second_with_code_0() -> Result<()> {
    for name in ["TERM", "INT"] {
        let mut server = Server::start()?;
        // A connection in the middle of its request, and one that is idle, must not hold it up.
        let mut half = TcpStream::connect(server.address)?;
        half.write_all(b"GET / HTTP/1.1\r\n")?;
        let mut idle = TcpStream::connect(server.address)?;
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: exam\r\n\r\n")?;
        idle.read_exact(&mut [0; 15])?;
        server.signal(name)?;
        assert_eq!(server.exit_within(Duration::from_secs(1))?.code(), Some(0), "{name}");
    }
    Ok(())
}

#[test]
fn health_is_0_while_it_runs_and_1_after() -> Result<()> {
    let mut server = Server::start()?;
    let well = health(server.address)?;
    assert_eq!((well.status.code(), well.stdout, well.stderr), (Some(0), vec![], vec![]));
    server.signal("TERM")?;
    server.exit_within(Duration::from_secs(1))?;
    let gone = health(server.address)?;
    assert_eq!(gone.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(gone.stderr)?,
        format!("invigil-exam: no answer from {}: Connection refused (os error 111)\n", server.address)
    );
    Ok(())
}

#[test]
fn a_paper_that_cannot_be_shown_is_refused_in_one_sentence() -> Result<()> {
    let refusal = |json: &str| -> Result<String> {
        let (output, path) = serve_paper(json)?;
        assert_eq!(output.status.code(), Some(1), "{json}");
        assert_eq!(output.stdout, b"", "{json}");
        Ok(String::from_utf8(output.stderr)?.replace(&path.display().to_string(), "PAPER"))
    };
    assert_eq!(
        refusal(&PAPER.replace("\"formatVersion\":1", "\"formatVersion\":2"))?,
        "invigil-exam: the paper PAPER has formatVersion 2, but this exam server reads formatVersion 1\n"
    );
    assert_eq!(
        refusal("{\"formatVersion\":1,")?,
        "invigil-exam: PAPER is not a paper: EOF while parsing a value at line 1 column 19\n"
    );
    assert_eq!(
        refusal(&PAPER.replace("\"id\":\"9\",", "\"id\":\"9\",\"\\u001b[2Jkey\":\"B\","))?,
        "invigil-exam: PAPER is not a paper: unknown field `\\u{1b}[2Jkey`, expected one of `id`, `label`, \
         `type`, `prompt`, `choices`, `centipoints` at line 4 column 24\n"
    );
    Ok(())
}

#[test]
fn without_a_paper_it_says_where_it_looked() -> Result<()> {
    let output = program().env("INVIGIL_EXAM_PAPER", "/nowhere/paper.json").output()?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr)?,
        "invigil-exam: cannot read the paper /nowhere/paper.json: No such file or directory (os error 2)\n"
    );
    Ok(())
}

#[test]
fn an_address_in_use_is_named() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let directory = tempfile::tempdir()?;
    let output = program()
        .env("INVIGIL_EXAM_PAPER", paper_file(directory.path(), PAPER)?)
        .env("INVIGIL_EXAM_LISTEN", address.to_string())
        .output()?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr)?,
        format!("invigil-exam: cannot listen on {address}: Address already in use (os error 98)\n")
    );
    Ok(())
}

#[test]
fn the_command_line_explains_itself() -> Result<()> {
    let help = program().arg("--help").output()?;
    assert_eq!(help.status.code(), Some(0));
    let usage = String::from_utf8(help.stdout)?;
    assert!(
        usage.starts_with("Shows one exam paper over HTTP.\n\nUsage: invigil-exam [serve | health]\n"),
        "{usage}"
    );
    let version = program().arg("--version").output()?;
    assert_eq!(String::from_utf8(version.stdout)?, concat!("invigil-exam ", env!("CARGO_PKG_VERSION"), "\n"));
    let mistake = program().arg("sreve").output()?;
    assert_eq!(mistake.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(mistake.stderr)?,
        format!("invigil-exam: unknown argument \"sreve\"\n\n{usage}")
    );
    Ok(())
}
