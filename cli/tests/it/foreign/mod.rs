//! HTTP clients of other languages against the service, in their default settings: they rely on
//! other properties of a server than the client of this project.

use std::process::{Command, Stdio};

use jobtracker_server::Config;

use crate::harness::{Harness, STORES};

/// Set to `all`, no client may be missing.
const WANTED: &str = "JOBTRACKER_TEST_CLIENTS";

/// How long a connection may be idle on the second service; the clients pause for longer.
const KEEP_ALIVE_MS: u64 = 1_000;

fn is_there(command: &[&str]) -> bool {
    let mut check = Command::new(command[0]);
    check.args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    let is_there = check.status().is_ok_and(|status| status.success());
    let may_miss = std::env::var(WANTED).is_ok_and(|clients| clients == "all");
    assert!(is_there || !may_miss, "{command:?} does not run here, and {WANTED}=all");
    if !is_there {
        eprintln!("skipped: {command:?} does not run here");
    }
    is_there
}

/// Runs a client on two services, if `check` runs. The client tests its results itself.
async fn run(check: &[&str], client: &[&str]) {
    if !is_there(check) {
        return;
    }
    let harness = Harness::start(STORES[0], |_| {}).await;
    let short = |config: &mut Config| config.server.keep_alive_ms = KEEP_ALIVE_MS;
    let closing = Harness::start(STORES[0], short).await;
    let mut command = tokio::process::Command::new(client[0]);
    command.args(&client[1..]).args([harness.url(), closing.url()]).kill_on_drop(true);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/foreign"));
    // No proxy of this machine may be used.
    command.env("NO_PROXY", "*").env("no_proxy", "*");
    let output = command.output().await.unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{client:?}: {}\n{}", said[0], said[1]);
    harness.stop().await;
    closing.stop().await;
}

#[tokio::test]
async fn java() {
    run(&["javac", "-version"], &["java", "Client.java"]).await;
}

#[tokio::test]
async fn python() {
    run(&["python3", "-c", "import http.client"], &["python3", "client.py"]).await;
}

#[tokio::test]
async fn node() {
    run(&["node", "-e", "fetch"], &["node", "client.mjs"]).await;
}

#[tokio::test]
async fn curl() {
    run(&["curl", "--version"], &["bash", "curl.sh"]).await;
}
