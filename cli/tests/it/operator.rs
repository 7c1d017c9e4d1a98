//! What an operator sees: the log, signals, outputs that cannot be written.

mod hang_ups;

use std::{
    io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::{Pid, Resource, Rlimit, getrlimit, prlimit},
};

use crate::command_line::{BINARY, Served};

/// Much longer than any wait here.
const HANGS: Duration = Duration::from_secs(60);

pub fn serve(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
    command
}

pub fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

/// The log of a process, line by line.
pub struct Log(Receiver<String>);

impl Log {
    pub fn of(stderr: ChildStderr) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self(lines)
    }

    /// The next line with these words.
    pub fn line_with(&self, words: &str) -> String {
        let begun = Instant::now();
        while let Ok(line) = self.0.recv_timeout(HANGS.saturating_sub(begun.elapsed())) {
            if line.contains(words) {
                return line;
            }
        }
        panic!("no line has {words:?}");
    }

    /// Ends when the log is closed.
    fn ends(self) {
        let next = || self.0.recv_timeout(HANGS);
        let end = std::iter::repeat_with(next).find_map(Result::err);
        assert_eq!(end, Some(RecvTimeoutError::Disconnected), "it does not end");
    }
}

async fn status(url: &str, path: &str, token: &str) -> u16 {
    let request = reqwest::Client::new().get(format!("{url}{path}")).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

async fn create(url: &str, count: usize) {
    let http = reqwest::Client::new();
    for _ in 0..count {
        let job = serde_json::json!({"name": "a"});
        let reply = http.post(format!("{url}/api/v1/jobs")).json(&job).send().await.unwrap();
        assert_eq!(reply.status(), 201);
    }
}

/// A metric of the metrics page.
async fn number(url: &str, name: &str) -> u64 {
    let page = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
    let value = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
    page.lines().find_map(value).unwrap()
}

#[tokio::test]
async fn a_log_that_cannot_be_written_fails_no_request_and_is_counted() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = serve(&["--store", "memory"]);
    let (served, url) = Served::spawn(command.env("JOBTRACKER__LOG__FILTER", "debug").stderr(full));
    create(&url, 300).await;
    // The log has a thread of its own, which may be behind. Each poll adds lines too, far fewer of
    // them than the lines that the test waits for.
    let mut looks = 0;
    while number(&url, "jobtracker_log_lines_dropped_total").await < 300 {
        looks += 1;
        assert!(looks < 50, "lines are not counted");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    served.terminate();
}

#[tokio::test]
async fn a_log_that_is_not_read_holds_up_neither_requests_nor_the_stop() {
    let (_unread, stderr) = pipe().unwrap();
    let mut command = serve(&["--store", "memory"]);
    let (served, url) =
        Served::spawn(command.env("JOBTRACKER__LOG__FILTER", "debug").stderr(stderr));
    // More than the buffer of a pipe holds, each with a line that has the path.
    let path = format!("/{}", "x".repeat(8_000));
    for _ in 0..40 {
        assert_eq!(status(&url, &path, "").await, 404);
    }
    create(&url, 10).await;
    served.terminate();
}

/// A full pipe, and its other end, which must not be read.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (unread, mut full) = pipe().unwrap();
    fcntl_setfl(&full, OFlags::NONBLOCK).unwrap();
    for bytes in [4096, 1] {
        while full.write(&vec![b'x'; bytes]).is_ok() {}
    }
    fcntl_setfl(&full, OFlags::empty()).unwrap();
    (unread, full)
}

#[test]
fn a_failure_that_nothing_reads_ends_a_command_all_the_same() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // Before there is a log, and with waiting lines in it.
    for arguments in [
        &["check-config", "--config", "/nowhere.toml"][..],
        &["serve", "--store", "memory", "--listen", &address],
    ] {
        let (_unread, stderr) = full_pipe();
        let mut command = Command::new(BINARY);
        command.args(arguments).env("JOBTRACKER__LOG__FILTER", "trace").stderr(stderr);
        let status = end_of(command.stdout(Stdio::null()).spawn().unwrap());
        assert_eq!(status.code(), Some(1), "{arguments:?}");
    }
}

/// The exit status of a process, which must end by itself.
fn end_of(mut child: Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status,
            None if begun.elapsed() < HANGS => std::thread::sleep(Duration::from_millis(20)),
            None => {
                child.kill().unwrap();
                panic!("it hangs");
            }
        }
    }
}

/// A service that lacks any descriptor for its start ends, rather than run without serving.
#[test]
fn a_service_that_cannot_take_connections_ends() {
    for descriptors in [8, 9, 10, 12, 14, 16] {
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        shell.args(["-c", &limited, BINARY, "serve", "--store", "memory"]);
        shell.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let log = Log::of(child.stderr.take().unwrap());
        let status = end_of(child);
        assert!(!status.success(), "{descriptors}");
        log.line_with("Too many open files");
    }
}

#[test]
fn commands_end_quietly_when_what_they_write_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let (served, _) = Served::spawn(&mut serve(&["--data-dir", data]));
    served.terminate();
    for arguments in
        [&["openapi"][..], &["check-config"], &["export", "--data-dir", data, "--to", "-"]]
    {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = Command::new(BINARY)
            .args(arguments)
            .env("JOBTRACKER__LOG__FILTER", "error")
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(BINARY).arg("openapi").stdout(full).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("standard output") && !told.contains("panic"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn exports_are_for_their_owner_and_need_no_reader_of_what_they_say() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (data, file) = (place("data"), place("trees.export"));
    let (served, _) = Served::spawn(&mut serve(&["--data-dir", &data]));
    served.terminate();
    let mode = |file: &str| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
    for arguments in [&[][..], &["--resume"]] {
        let (reader, stderr) = pipe().unwrap();
        drop(reader);
        let export = ["export", "--data-dir", &data, "--to", &file];
        let mut command = Command::new("sh");
        command.args(["-c", "umask 000; exec \"$@\"", "sh", BINARY]).args(export);
        assert!(command.args(arguments).stderr(stderr).status().unwrap().success());
        assert_eq!(mode(&file), 0o600);
        // As earlier versions left it.
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    }
}

#[tokio::test]
async fn the_log_of_a_start_says_what_an_operator_wants_to_know() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let (served, url) = Served::spawn(&mut serve(&["--data-dir", data]));
    create(&url, 3).await;
    served.terminate();
    let mut command = serve(&["--data-dir", data]);
    let (mut served, url) = Served::spawn(command.stderr(Stdio::piped()));
    let mut stderr = served.child().stderr.take().unwrap();
    served.terminate();
    let mut log = String::new();
    stderr.read_to_string(&mut log).unwrap();
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    let line = log.lines().find(|line| line.contains("jobtracker serves")).unwrap();
    for word in [&*version, &url, "store=\"fjall\"", data, "jobs=3", "opening_ms="] {
        assert!(line.contains(word), "{word}: {line}");
    }
    // On a machine that allows few descriptors the service warns about that.
    let is_warning = |line: &&str| line.contains("WARN") && !line.contains("more descriptors");
    assert_eq!(log.lines().find(is_warning), None, "{log}");
    assert!(!log.contains("actix") && !log.contains('\u{1b}'), "{log}");
}

/// The limit is lowered to the open descriptors of the process, so that it cannot accept
/// connections.
#[tokio::test]
async fn connections_wait_while_there_are_no_descriptors() {
    let mut command = serve(&["--store", "memory"]);
    let (mut served, url) = Served::spawn(command.stderr(Stdio::piped()));
    let log = Log::of(served.child().stderr.take().unwrap());
    // From here on only connections open descriptors.
    assert_eq!(status(&url, "/healthz", "").await, 200);
    let process = Pid::from_child(served.child());
    let whole =
        Rlimit { current: getrlimit(Resource::Nofile).maximum, ..getrlimit(Resource::Nofile) };
    let limit = |to| prlimit(Some(process), Resource::Nofile, to).unwrap();
    limit(Rlimit { current: Some(3), ..whole });
    let mut first = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    log.line_with("Error accepting connection");
    limit(whole);
    first.set_read_timeout(Some(HANGS)).unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    served.terminate();
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut command = serve(&["--store", "memory"]);
    command.env("JOBTRACKER__SERVER__SHUTDOWN_GRACE_MS", "600000");
    let (mut served, url) = Served::spawn(command.stderr(Stdio::piped()));
    let log = Log::of(served.child().stderr.take().unwrap());
    let mut half = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    let head = "POST /api/v1/jobs HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    half.write_all(format!("{head}content-length: 9\r\n\r\n").as_bytes()).unwrap();
    // Including the request that reads the metric.
    while number(&url, "jobtracker_http_requests_in_flight").await < 2 {
        tokio::task::yield_now().await;
    }
    signal(served.child(), "-TERM");
    log.line_with("stopping");
    signal(served.child(), "-TERM");
    // The code is 0 if no request delayed the stop after all.
    log.ends();
    let code = served.child().wait().unwrap().code();
    assert!(matches!(code, Some(143 | 0)), "{code:?}");
}
