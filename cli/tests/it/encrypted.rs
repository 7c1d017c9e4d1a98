//! Connections that the service encrypts itself.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use jobtracker_client::JobTrackerClient;
use jobtracker_model::{NewJob, limits};
use jobtracker_server::{Config, Secret};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::header::SET_COOKIE;
use serde_json::json;
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::TcpStream, process::Command};

use crate::{
    command_line::{BINARY, Served, refusal},
    harness::{Harness, STORES},
    operator::{Log, serve, signal},
};

const TOKEN: &str = "a-token-for-tests";

/// A folder with a certificate and its key.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.renew();
        files
    }

    /// Writes another certificate; answers its text.
    fn renew(&self) -> String {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        fs::write(self.key(), signing_key.serialize_pem()).unwrap();
        fs::write(self.certificate(), cert.pem()).unwrap();
        cert.pem()
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    fn set(&self, config: &mut Config) {
        config.auth.token = Secret::new(TOKEN);
        config.server.tls_cert_file = self.certificate();
        config.server.tls_key_file = self.key();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.certificate()).unwrap()
    }
}

fn client(url: &str, trusted: &str) -> JobTrackerClient {
    let client = JobTrackerClient::builder(url).bearer_token(TOKEN).root_certificate(trusted);
    client.retry(jobtracker_client::RetryPolicy::never()).build().unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_is_served_and_no_other() {
    let files = Files::new();
    let harness = Harness::start(STORES[0], |config| files.set(config)).await;
    assert!(harness.url().starts_with("https://"));
    let trusting = client(harness.url(), &files.text());
    // Larger than what encryption keeps at a time.
    let text = "x".repeat(limits::ATTACHMENT);
    let id = trusting.create(NewJob::new("a")).await.unwrap().id;
    trusting.put_attachment(id, "a", text.clone()).await.unwrap();
    assert!(trusting.attachment(id, "a").await.unwrap() == text);
    let other = Files::new();
    client(harness.url(), &other.text()).session().await.unwrap_err();
    JobTrackerClient::new(harness.url()).unwrap().session().await.unwrap_err();
    let plain = harness.url().replace("https://", "http://");
    client(&plain, &files.text()).session().await.unwrap_err();
    assert!(trusting.session().await.is_ok());

    let trusted = reqwest::Certificate::from_pem(files.text().as_bytes()).unwrap();
    let browser = reqwest::Client::builder().tls_certs_only([trusted]).build().unwrap();
    let login = browser.post(format!("{}/api/v1/session", harness.url()));
    let login = login.json(&json!({"token": TOKEN})).send().await.unwrap();
    let cookie = login.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("Secure"), "{cookie}");
    harness.stop().await;
}

#[tokio::test]
async fn a_client_that_agrees_on_no_encryption_is_disconnected() {
    let files = Files::new();
    let harness = Harness::start(STORES[0], |config| {
        files.set(config);
        // The client has to agree within this time, on a busy machine too.
        config.server.head_timeout_ms = 1_000;
    })
    .await;
    let address = harness.url().trim_start_matches("https://").to_owned();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), silent.read(&mut [0])).await;
    assert!(matches!(ended.unwrap(), Ok(0) | Err(_)));
    assert!(client(harness.url(), &files.text()).session().await.is_ok());
    // Neither this one nor an idle one delays a stop.
    let _silent = TcpStream::connect(harness.url().trim_start_matches("https://")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), harness.stop()).await.unwrap();
}

#[tokio::test]
async fn a_hang_up_takes_a_new_certificate_and_keeps_the_old_one_if_that_is_broken() {
    let files = Files::new();
    let first = files.text();
    let mut command = serve(&["--store", "memory"]);
    command
        .env("JOBTRACKER__AUTH__TOKEN", TOKEN)
        .env("JOBTRACKER__SERVER__TLS_CERT_FILE", files.certificate())
        .env("JOBTRACKER__SERVER__TLS_KEY_FILE", files.key());
    let (mut served, url) = Served::spawn(command.stderr(Stdio::piped()));
    let log = Log::of(served.child().stderr.take().unwrap());
    assert!(url.starts_with("https://"), "{url}");
    assert!(client(&url, &first).session().await.is_ok());

    let second = files.renew();
    // Before the signal nothing is read.
    assert!(client(&url, &first).session().await.is_ok());
    signal(served.child(), "-HUP");
    let line = log.line_with("configuration read again");
    assert!(line.contains("certificate=\"changed\"") && !line.contains("needs_restart"), "{line}");
    assert!(client(&url, &first).session().await.is_err());
    assert!(client(&url, &second).session().await.is_ok());

    fs::write(files.certificate(), "no certificate").unwrap();
    signal(served.child(), "-HUP");
    let line = log.line_with("not read again");
    assert!(line.contains("server.tls_cert_file"), "{line}");
    fs::write(files.certificate(), &first).unwrap();
    signal(served.child(), "-HUP");
    let line = log.line_with("not read again");
    assert!(line.contains("server.tls_key_file"), "the key of another one: {line}");
    assert!(client(&url, &second).session().await.is_ok());

    // The command trusts it when it is told to.
    fs::write(files.certificate(), &second).unwrap();
    let list = async |ca: Option<&Path>| {
        let mut command = Command::new(BINARY);
        command.args(["token", "list", "--url", &url]).env("JOBTRACKER_TOKEN", TOKEN);
        match ca {
            Some(ca) => command.arg("--ca").arg(ca),
            None => command.env("JOBTRACKER_CA", files.certificate()),
        };
        command.output().await.unwrap().status.success()
    };
    assert!(list(None).await && list(Some(&files.certificate())).await);
    assert!(!list(Some(&files.key())).await);
    served.terminate();
}

#[test]
fn a_certificate_that_cannot_be_used_fails_the_start_and_says_why() {
    let files = Files::new();
    let config = |certificate: &Path, key: &Path| {
        let file = files.0.path().join("jobtracker.toml");
        let (certificate, key) = (certificate.display(), key.display());
        let text = format!("tls_cert_file = '{certificate}'\ntls_key_file = '{key}'");
        fs::write(&file, format!("[server]\n{text}\n")).unwrap();
        file
    };
    let (none, missing) = (Path::new(""), files.0.path().join("missing"));
    let others = Files::new();
    for (certificate, key, words) in [
        (files.certificate(), none.to_owned(), "belong together"),
        (none.to_owned(), files.key(), "belong together"),
        (missing.clone(), files.key(), "server.tls_cert_file names"),
        (files.certificate(), missing, "server.tls_key_file names"),
        (files.key(), files.key(), "has no certificate"),
        (files.certificate(), files.certificate(), "server.tls_key_file names"),
        (files.certificate(), others.key(), "cannot be used with the certificate"),
    ] {
        let file = config(&certificate, &key);
        for command in ["serve", "check-config"] {
            let said = refusal(&[command, "--config", file.to_str().unwrap()]);
            assert!(said.contains(words), "{said}, not {words}");
        }
    }
}
