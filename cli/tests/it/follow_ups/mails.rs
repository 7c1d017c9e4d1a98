//! E-mails, sent through a real SMTP server that `dev/test` starts.

use std::{fs, path::PathBuf};

use jobtracker_client::{
    CheckKind, DeliveryStatus, EmailAction, NewChange, NewCheck, NewJob, State, Target, Timestamp,
};
use jobtracker_server::{Config, Secret, SmtpTls, StoreKind};
use mail_parser::{Message, MessageParser};

use super::{id, settled};
use crate::harness::Harness;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("no SMTP server: run `dev/test`, or set {name}"))
}

fn folder() -> PathBuf {
    PathBuf::from(variable("JOBTRACKER_SMTP_DIR"))
}

fn with_smtp(config: &mut Config) {
    let address = variable("JOBTRACKER_TEST_SMTP");
    let (host, port) = address.split_once(':').unwrap();
    let smtp = &mut config.smtp;
    (smtp.host, smtp.port) = (host.to_owned(), port.parse().unwrap());
    smtp.tls = SmtpTls::Starttls;
    smtp.tls_ca_file = folder().join("cert.pem");
    (smtp.user, smtp.password) = ("jobtracker".into(), Secret::new("a sink's password"));
    smtp.from = "Jobs <jobs@example.com>".into();
    super::quick(config);
}

/// The texts of the e-mails with this subject.
fn kept(subject: &str) -> Vec<String> {
    let files = fs::read_dir(folder().join("mail")).unwrap().map(|file| file.unwrap().path());
    let whole = files.filter(|path| path.extension().is_some_and(|ending| ending == "eml"));
    let texts = whole.map(|path| fs::read_to_string(path).unwrap());
    texts.filter(|text| text.contains(subject)).collect()
}

fn parsed(text: &str) -> Message<'_> {
    MessageParser::default().parse(text.as_bytes()).unwrap()
}

#[tokio::test]
async fn each_recipient_gets_one_that_says_what_happened() {
    let harness = Harness::start(StoreKind::Fjall, with_smtp).await;
    let client = harness.client();
    let subject = format!("subject {:x}", rand::random::<u128>());
    let email = EmailAction {
        to: vec!["a@example.com".into(), "unknown@example.com".into()],
        cc: vec!["c@example.com".into()],
        subject: Some(subject.clone()),
    };
    let job = NewJob::new("nightly <import>").id(id(1)).notify_on_finish(email);
    client.create(job).await.unwrap();
    client.create(NewJob::new("page").id(id(2)).under(id(1))).await.unwrap();
    client.update(id(1), NewChange::new(State::RanToCompletion)).await.unwrap();
    client.update(id(2), NewChange::new(State::Faulted).message("disk full")).await.unwrap();
    let all = settled(&client, id(1)).await;
    let seen: Vec<_> = all.iter().map(|one| (one.recipient, one.status)).collect();
    let (done, failed) = (DeliveryStatus::Delivered, DeliveryStatus::Failed);
    assert_eq!(seen, [(Some(0), done), (Some(1), failed), (Some(2), done)]);
    assert_eq!(all[1].last_attempt.as_ref().unwrap().status, Some(550));
    let texts = kept(&subject);
    let mut to: Vec<_> = texts.iter().filter_map(|text| text.lines().next()).collect();
    to.sort_unstable();
    assert_eq!(to, ["X-Envelope-To: a@example.com", "X-Envelope-To: c@example.com"]);
    let message = parsed(&texts[0]);
    assert_eq!(message.subject(), Some(subject.as_str()));
    let (text, html) = (message.body_text(0).unwrap(), message.body_html(0).unwrap());
    for words in ["nightly <import>", "Faulted", "disk full", "1 failed"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(html.contains("nightly &#60;import&#62;") && !html.contains("<import>"), "{html}");
    harness.stop().await;
}

#[tokio::test]
async fn a_check_says_what_it_expected_and_found() {
    let harness = Harness::start(StoreKind::Memory, with_smtp).await;
    let client = harness.client();
    let subject = format!("subject {:x}", rand::random::<u128>());
    let kind = CheckKind::State { at: Timestamp::MIN, states: "RanToCompletion".parse().unwrap() };
    let target: Target = EmailAction::to("a@example.com").subject(&subject).into();
    let job = NewJob::new("job").id(id(1)).check(NewCheck::new(kind).on_failure(target.clone()));
    client.create(job).await.unwrap();
    super::eventually(async || settled(&client, id(1)).await.len() == 1).await;
    let texts = kept(&subject);
    let message = parsed(&texts[0]);
    let text = message.body_text(0).unwrap();
    assert!(text.contains("RanToCompletion") && text.contains("WaitingToRun"), "{text}");
    let tested = client.test_target(&target).await.unwrap().email.unwrap();
    assert!(tested.delivered, "{tested:?}");
    assert_eq!(kept(&subject).len(), 2);
    harness.stop().await;
}
