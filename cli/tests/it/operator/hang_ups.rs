use std::{
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use super::{HANGS, Log, serve, signal, status};
use crate::command_line::{BINARY, Served};

fn write_config(path: &Path, token: &str, filter: &str, body: &str) {
    let text = format!("[auth]\ntoken = '{token}'\n[log]\nfilter = '{filter}'\n{body}\n");
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_hang_up_reads_the_token_and_the_log_filter_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jobtracker.toml");
    write_config(&file, "the-first-token", "info", "");
    let mut command = serve(&["--store", "memory", "--config", file.to_str().unwrap()]);
    let (mut served, url) = Served::spawn(command.stderr(Stdio::piped()));
    let log = Log::of(served.child().stderr.take().unwrap());
    assert_eq!(status(&url, "/metrics", "the-first-token").await, 200);

    write_config(&file, "the-second-token", "debug", "[engine]\nqueue_operations = 5");
    signal(served.child(), "-HUP");
    let line = log.line_with("configuration read again");
    for words in ["token=\"changed\"", "filter=\"changed\"", "needs_restart=\"engine\""] {
        assert!(line.contains(words), "{line}");
    }
    assert!(!line.contains("-token"), "{line}");
    assert_eq!(status(&url, "/metrics", "the-first-token").await, 401);
    assert_eq!(status(&url, "/metrics", "the-second-token").await, 200);
    log.line_with("request answered");

    write_config(&file, "the-third-token", "info", "[engine]\nqueue = 5");
    signal(served.child(), "-HUP");
    let line = log.line_with("not read again");
    assert!(line.contains("engine.queue") && !line.contains("-token"), "{line}");
    assert_eq!(status(&url, "/metrics", "the-second-token").await, 200);
    served.terminate();
}

/// For a server that others can reach: a new token in its file, and then none.
#[tokio::test]
async fn a_hang_up_reads_the_file_of_the_token_again_and_takes_no_token_away() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let (file, token) = (place("jobtracker.toml"), place("token"));
    let server = "[server]\nlisten = '0.0.0.0:0'\n";
    let auth = format!("[auth]\ntoken_file = '{}'\n", token.display());
    std::fs::write(&file, format!("{server}{auth}")).unwrap();
    std::fs::write(&token, "the-first-token\n").unwrap();
    let mut command = Command::new(BINARY);
    command.args(["serve", "--store", "memory", "--config"]).arg(&file);
    let (mut served, url) = Served::spawn(command.stderr(Stdio::piped()));
    let log = Log::of(served.child().stderr.take().unwrap());
    let asked = async || {
        let mut asked = Vec::new();
        for token in ["the-first-token", "the-second-token", ""] {
            asked.push(status(&url, "/metrics", token).await);
        }
        asked
    };
    assert_eq!(asked().await, [200, 401, 401]);

    std::fs::write(&token, "the-second-token\n").unwrap();
    assert_eq!(asked().await, [200, 401, 401]);
    signal(served.child(), "-HUP");
    let line = log.line_with("configuration read again");
    assert!(line.contains("token=\"changed\""), "{line}");
    assert_eq!(asked().await, [401, 200, 401]);

    // The file of the token is empty, or gone, or not named any more, or the address is allowed to
    // be open, which is for the next start.
    std::fs::write(&token, "\n").unwrap();
    signal(served.child(), "-HUP");
    log.line_with("not read again");
    std::fs::remove_file(&token).unwrap();
    signal(served.child(), "-HUP");
    log.line_with("not read again");
    for text in [server.to_owned(), format!("{server}allow_open = true\n"), String::new()] {
        std::fs::write(&file, text).unwrap();
        signal(served.child(), "-HUP");
        let line = log.line_with("not read again");
        assert!(!line.contains("-token"), "{line}");
    }
    assert_eq!(asked().await, [401, 200, 401]);
    served.terminate();
}

#[tokio::test]
async fn a_file_that_does_not_end_holds_up_nothing_but_the_hang_up() {
    let directory = tempfile::tempdir().unwrap();
    let [file, token] = ["jobtracker.toml", "token"].map(|name| directory.path().join(name));
    std::fs::write(&file, format!("[auth]\ntoken_file = '{}'\n", token.display())).unwrap();
    std::fs::write(&token, "the-first-token\n").unwrap();
    let arguments = ["--store", "memory", "--config", file.to_str().unwrap()];
    let (mut served, url) = Served::spawn(&mut serve(&arguments));
    std::fs::remove_file(&token).unwrap();
    mknodat(CWD, &token, FileType::Fifo, Mode::RWXU, 0).unwrap();
    signal(served.child(), "-HUP");
    // The open succeeds as soon as the service reads the file.
    let open = || {
        std::fs::OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(&token)
    };
    let begun = Instant::now();
    let _unfinished = loop {
        match open() {
            Ok(file) => break file,
            Err(_) => assert!(begun.elapsed() < HANGS, "it is not read"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(status(&url, "/metrics", "the-first-token").await, 200);
    served.terminate();
}
