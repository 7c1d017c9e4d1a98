//! The command: what it prints, how it ends.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
};

pub const BINARY: &str = env!("CARGO_BIN_EXE_jobtracker");

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

pub fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let message: Vec<_> = text.lines().filter(|line| line.starts_with("jobtracker: ")).collect();
    assert_eq!(message.len(), 1, "{text}");
    message[0].to_owned()
}

/// A served process; killed when a test fails before it stops it.
pub struct Served(Child);

impl Served {
    fn start(arguments: &[&str]) -> (Self, String) {
        let mut command = Command::new(BINARY);
        Self::spawn(command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments))
    }

    /// Starts a process and answers where it listens.
    pub fn spawn(command: &mut Command) -> (Self, String) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http"), "{line}");
        // A process that listens on all addresses listens here too.
        (Self(child), url.replace("//0.0.0.0:", "//127.0.0.1:"))
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub fn terminate(mut self) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(self.0.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // An error means that the process has ended, which is the goal.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_says_what_it_is() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for word in ["serve", "check-config", "openapi", "--version"] {
        assert!(help.contains(word), "{help}");
    }
    let version = String::from_utf8(run(&["--version"]).stdout).unwrap();
    assert_eq!(version.trim(), format!("jobtracker {}", env!("CARGO_PKG_VERSION")));
    let document = String::from_utf8(run(&["openapi"]).stdout).unwrap();
    assert_eq!(document, jobtracker_server::openapi_document());
}

#[test]
fn the_configuration_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jobtracker.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "[auth]\ntoken = 'very-secret-token'\n").unwrap();
    let good = run(&["check-config", "--config", path]);
    let printed = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success() && printed.contains("listen"), "{printed}");
    assert!(!printed.contains("very-secret"), "{printed}");

    std::fs::write(&file, "[server]\nlisen = '127.0.0.1:1'\n").unwrap();
    for command in ["check-config", "serve"] {
        let message = refusal(&[command, "--config", path]);
        assert!(
            message.contains("server.lisen") && message.contains("jobtracker.toml"),
            "{message}"
        );
    }
    assert!(refusal(&["check-config", "--config", "/nowhere.toml"]).contains("/nowhere.toml"));
    let open = refusal(&["serve", "--listen", "0.0.0.0:0", "--store", "memory"]);
    assert!(open.contains("--allow-open"), "{open}");
}

#[test]
fn what_is_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let message = refusal(&["serve", "--store", "memory", "--listen", &address]);
    assert!(message.contains(&address) && message.contains("in use"), "{message}");

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let (first, _) = Served::start(&["--data-dir", path]);
    let message = refusal(&["serve", "--listen", "127.0.0.1:0", "--data-dir", path]);
    assert!(message.contains(path) && message.contains("another process"), "{message}");
    first.terminate();
}

#[tokio::test]
async fn a_signal_ends_it_and_the_data_stays() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--data-dir", directory.path().to_str().unwrap()];
    let (served, url) = Served::start(&arguments);
    let http = reqwest::Client::new();
    let create =
        http.post(format!("{url}/api/v1/jobs")).json(&serde_json::json!({"id": 7, "name": "a"}));
    assert_eq!(create.send().await.unwrap().status(), 201);
    served.terminate();
    let (served, url) = Served::start(&arguments);
    assert_eq!(http.get(format!("{url}/api/v1/jobs/7")).send().await.unwrap().status(), 200);
    served.terminate();
}
