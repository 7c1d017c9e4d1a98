use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use mail_parser::MessageParser;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{Config, Secret, clock};

/// Names the SMTP server that `dev/smtp/run` has started.
const SERVER: &str = "JOBTRACKER_TEST_SMTP";
/// The server's folder, if it is not the default.
const FOLDER: &str = "JOBTRACKER_SMTP_DIR";

fn config(addr: SocketAddr) -> SmtpConfig {
    SmtpConfig {
        host: addr.ip().to_string(),
        port: addr.port(),
        tls: SmtpTls::None,
        from: "Jobs <jobs@example.com>".into(),
        timeout_ms: 5_000,
        ..Config::defaults().smtp
    }
}

async fn send_to(config: &SmtpConfig, email: &EmailAction, recipient: u32) -> Outcome {
    assert_eq!(email.check("email"), Ok(()));
    let mailer = Mailer::new(config).unwrap().unwrap();
    mailer.send(&Notice::example(), email, recipient, clock::now()).await
}

async fn send(config: &SmtpConfig, email: &EmailAction) -> Outcome {
    send_to(config, email, 0).await
}

fn email(to: &[&str]) -> EmailAction {
    let to = to.iter().map(|to| format!("{to}@example.com")).collect();
    EmailAction { to, ..EmailAction::default() }
}

/// A server that answers recipients according to their names, and everything else as it should. It
/// records who received an e-mail.
async fn sink(greeting: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&taken);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(talk(stream, greeting, Arc::clone(&notes)));
        }
    });
    (addr, taken)
}

async fn talk(stream: TcpStream, greeting: &str, taken: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(format!("{greeting}\r\n").as_bytes()).await.ok()?;
    let (mut to, mut in_data) = (Vec::new(), false);
    while let Some(line) = lines.next_line().await.ok()? {
        let answer = match line.split([':', ' ']).next().unwrap() {
            "." if in_data => {
                in_data = false;
                taken.lock().append(&mut to);
                "250 kept"
            }
            _ if in_data => continue,
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "RCPT" if line.contains("unknown") => "550 5.1.1 no such mailbox",
            "RCPT" if line.contains("later") => "451 4.2.1 not now",
            "RCPT" => {
                to.extend(line.split(['<', '@']).nth(1).map(str::to_owned));
                "250 OK"
            }
            "MAIL" => {
                to.clear();
                "250 OK"
            }
            _ => "250 OK",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    Some(())
}

fn status(outcome: &Outcome) -> (&'static str, Option<u16>) {
    match outcome {
        Outcome::Delivered(answer) => ("delivered", Some(answer.status)),
        Outcome::Refused(answer) => ("refused", Some(answer.status)),
        Outcome::Failed { answer, .. } => ("failed", answer.as_ref().map(|answer| answer.status)),
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let (addr, taken) = sink("220 sink").await;
    for (to, expected) in [
        ("a", ("delivered", Some(250))),
        ("unknown", ("refused", Some(550))),
        ("later", ("failed", Some(451))),
    ] {
        taken.lock().clear();
        let outcome = send(&config(addr), &email(&[to])).await;
        assert_eq!(status(&outcome), expected, "{to:?}: {outcome:?}");
        assert_eq!(taken.lock().len(), usize::from(expected.0 == "delivered"), "{to:?}");
    }
}

#[tokio::test]
async fn each_recipient_is_told_alone() {
    let (addr, taken) = sink("220 sink").await;
    let all = EmailAction { cc: vec!["c@example.com".into()], ..email(&["a", "unknown", "b"]) };
    let expected = [Some("a"), None, Some("b"), Some("c"), None];
    for (recipient, who) in (0..).zip(expected) {
        taken.lock().clear();
        let outcome = send_to(&config(addr), &all, recipient).await;
        assert_eq!(matches!(outcome, Outcome::Delivered(_)), who.is_some(), "{outcome:?}");
        assert_eq!(taken.lock().first().map(String::as_str), who);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_not_well_is_tried_again() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = send(&config(gone), &email(&["a"])).await;
    assert_eq!(status(&outcome), ("failed", None));
    let (full, _) = sink("421 too busy").await;
    let outcome = send(&config(full), &email(&["a"])).await;
    assert_eq!(status(&outcome), ("failed", Some(421)));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let patience = SmtpConfig { timeout_ms: 200, ..config(silent.local_addr().unwrap()) };
    let outcome = send(&patience, &email(&["a"])).await;
    assert_eq!(status(&outcome), ("failed", None));
    // It cannot encrypt, so it receives no e-mail.
    let (plain, taken) = sink("220 sink").await;
    let secure = SmtpConfig { tls: SmtpTls::Starttls, ..config(plain) };
    let outcome = send(&secure, &email(&["a"])).await;
    assert_eq!(status(&outcome).0, "failed", "{outcome:?}");
    assert!(taken.lock().is_empty());
}

#[test]
fn without_a_server_there_is_no_mailer() {
    assert!(Mailer::new(&Config::defaults().smtp).unwrap().is_none());
    let addr = "127.0.0.1:25".parse().unwrap();
    let lame = SmtpConfig { from: "nobody".into(), ..config(addr) };
    assert!(Mailer::new(&lame).is_err());
    let file = PathBuf::from("/nowhere.pem");
    let lame = SmtpConfig { tls: SmtpTls::Tls, tls_ca_file: file, ..config(addr) };
    assert!(Mailer::new(&lame).is_err());
}

/// The files with e-mails that the real server has, and their texts.
fn kept(folder: &Path, subject: &str) -> Vec<String> {
    let files = fs::read_dir(folder.join("mail")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let whole = paths.filter(|path| path.extension().is_some_and(|ending| ending == "eml"));
    let texts = whole.map(|path| fs::read_to_string(path).unwrap());
    texts.filter(|text| text.contains(subject)).collect()
}

#[tokio::test]
async fn a_real_server_gets_what_was_written() {
    let addr = std::env::var(SERVER)
        .unwrap_or_else(|_| panic!("no SMTP server for tests: run `dev/test`, or set {SERVER}"));
    let folder = std::env::var_os(FOLDER)
        .map_or_else(|| std::env::temp_dir().join("jobtracker-smtp"), PathBuf::from);
    let good = SmtpConfig {
        tls: SmtpTls::Starttls,
        tls_ca_file: folder.join("cert.pem"),
        user: "jobtracker".into(),
        password: Secret::new("a sink's password"),
        ..config(addr.parse().unwrap())
    };
    let subject = format!("test {:x}", rand::random::<u128>());
    let email = |to: &[&str]| email(to).subject(&subject);
    let outcome = send(&good, &EmailAction { cc: vec!["c@b.de".into()], ..email(&["a"]) }).await;
    assert_eq!(status(&outcome), ("delivered", Some(250)), "{outcome:?}");
    let files = kept(&folder, &subject);
    assert_eq!(files.len(), 1);
    assert!(files[0].starts_with("X-Envelope-To: a@example.com\r\n"), "{}", files[0]);
    let message = MessageParser::default().parse(files[0].as_bytes()).unwrap();
    assert_eq!(message.subject(), Some(subject.as_str()));
    assert_eq!(message.message_id(), Some("dlv_01@example.com"));
    assert_eq!(message.cc().and_then(|cc| cc.first()?.address()), Some("c@b.de"));
    let (text, html) = (message.body_text(0).unwrap(), message.body_html(0).unwrap());
    assert!(text.contains("nightly <import>: Faulted") && text.contains("37 successful"), "{text}");
    assert!(html.contains("nightly &#60;import&#62;: Faulted"), "{html}");
    let outcome = send(&good, &email(&["unknown"])).await;
    assert_eq!(status(&outcome), ("refused", Some(550)), "{outcome:?}");
    let outcome = send(&good, &email(&["later"])).await;
    assert_eq!(status(&outcome), ("failed", Some(451)), "{outcome:?}");
    let password = Secret::new("geheim");
    for lame in [
        // The login fails, which is not the recipient's fault.
        SmtpConfig { password, ..good.clone() },
        // No trusted authority has signed its certificate.
        SmtpConfig { tls_ca_file: PathBuf::new(), ..good.clone() },
    ] {
        let outcome = send(&lame, &email(&["a"])).await;
        assert_eq!(status(&outcome).0, "failed", "{outcome:?}");
        assert!(!format!("{outcome:?}").contains("geheim"), "{outcome:?}");
    }
    assert_eq!(kept(&folder, &subject).len(), 1);
}
