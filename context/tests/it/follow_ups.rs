//! Jobs with actions and checks.

use std::{fs, sync::Arc};

use jobtracker_context::{Error, Fsync, JobTrackerContext};
use jobtracker_model::{
    Action, CheckKind, EmailAction, HttpAction, NewChange, NewCheck, NewJob, ProblemCode, State,
    StateSet, Target, Ways, limits,
    upload::{Item, Record, TREE_UPCOMING, TREE_UPCOMING_BYTES},
};

use crate::{
    recorded::{self, id, job, report, time},
    service::{Fault, Service, read, said},
};

fn check() -> NewCheck {
    let kind = CheckKind::State { at: time(9), states: StateSet::FINISHED };
    NewCheck::new(kind).on_failure(EmailAction::to("ops@example.com"))
}

/// A job with one action and one check.
fn followed(number: u64, parent: impl Into<Option<u64>>) -> NewJob {
    let http = HttpAction::new("https://example.com/hook").secret(format!("whsec_{:A<32}", ""));
    job(number, parent).notify_on_finish(http).check(check())
}

fn items(service: &Service) -> Vec<Item> {
    let kept = service.kept();
    read(&kept.streams[&kept.sent[0]])
}

#[tokio::test]
async fn they_are_sent_with_their_jobs() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    context.create(followed(1, None)).await.unwrap();
    context.create(job(2, 1)).await.unwrap();
    let named = NewJob { id: None, ..followed(3, 2) };
    let given = context.create(named).await.unwrap();
    context.update_options(id(1), Some("new".into())).await.unwrap();
    context.commit_and_close().await.unwrap();
    let (_, actions, checks) = said(followed(1, None));
    let kept = service.kept();
    for job in [id(1), given] {
        assert_eq!(kept.jobs[&job].said.1, actions);
        assert_eq!(kept.jobs[&job].said.2, checks);
    }
    assert_eq!(kept.jobs[&id(1)].said.0.options.as_deref(), Some("new"));
    drop(kept);
    // A job without any is sent as before.
    let items = items(&service);
    let plain = |item: &&Item| matches!(item.record, Record::Job { .. });
    assert_eq!(items.iter().filter(plain).count(), 1);
}

#[tokio::test]
async fn the_same_job_has_the_same_ones() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    context.create(followed(1, None)).await.unwrap();
    context.create(job(2, 1)).await.unwrap();
    let others = [
        (1, job(1, None)),
        (1, followed(1, None).notify_on(State::Running, HttpAction::new("http://a"))),
        (1, NewJob { checks: vec![], ..followed(1, None) }),
        (2, followed(2, 1)),
    ];
    for sent in [false, true] {
        assert_eq!(context.create(followed(1, None)).await.unwrap(), id(1));
        assert_eq!(context.create(job(2, 1)).await.unwrap(), id(2));
        for (number, other) in &others {
            let error = context.create(other.clone()).await.unwrap_err();
            assert!(matches!(error, Error::IdConflict(job) if job == id(*number)), "{sent}");
        }
        // Once they have been sent, the service is asked.
        context.flush().await.unwrap();
        report(&context, 1, State::Running).await;
        report(&context, 2, State::Running).await;
    }
}

#[tokio::test]
async fn they_are_checked_and_counted() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    let wrong = [
        job(1, None).notify_on_finish(HttpAction::new("ftp://a")),
        job(1, None).notify_on_finish(Target::default()),
        job(1, None).action(Action::new([], EmailAction::to("a@b.de"))),
        job(1, None).check(NewCheck { failure: None, ..check() }),
        NewJob { checks: vec![check(); limits::CHECKS + 1], ..job(1, None) },
    ];
    for job in wrong {
        let error = context.create(job).await.unwrap_err();
        assert_eq!(error.code(), Some(ProblemCode::InvalidField));
    }
    assert_eq!(context.stats().operations, 0);
    context.create(job(1, None)).await.unwrap();
    let plain = context.stats().bytes;
    let payload = jobtracker_model::Payload::of(&"x".repeat(10_000)).unwrap();
    let action = Action::on_finish(HttpAction::new("http://a").payload(payload));
    context.create(job(2, None).action(action)).await.unwrap();
    assert!(context.stats().bytes > 2 * plain + 10_000);
    context.commit_and_close().await.unwrap();
    assert_eq!(context.stats().bytes, 0);
}

fn journaled(service: &Arc<Service>, path: &std::path::Path) -> JobTrackerContext {
    recorded::builder(service).journal(path).fsync(Fsync::OnCall).build().unwrap()
}

async fn record(context: &JobTrackerContext) {
    context.create(followed(1, None)).await.unwrap();
    context.create(job(2, 1)).await.unwrap();
    context.create(followed(3, 2)).await.unwrap();
    report(context, 3, State::Running).await;
}

#[tokio::test]
async fn they_survive_in_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (service, other) = (Service::new(true), Service::new(true));
    let context = journaled(&service, &path);
    record(&context).await;
    context.sync().await.unwrap();
    let copy = path.with_extension("copy");
    fs::copy(&path, &copy).unwrap();
    let report = JobTrackerContext::recover(Arc::clone(&other) as _, &copy).await.unwrap();
    assert_eq!((report.operations, report.misplaced, report.flushed.jobs), (4, 0, 3));
    context.commit_and_close().await.unwrap();
    assert_eq!(items(&service), items(&other));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "secrets are in it");
    }
}

/// An upload that was sent, and perhaps arrived, is sent again byte for byte.
#[tokio::test]
async fn they_are_sent_again_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for fault in [Fault::LostReply, Fault::Unreachable] {
        let path = folder.path().join("journal");
        let service = Service::new(true);
        let context = journaled(&service, &path);
        record(&context).await;
        service.fail(fault);
        context.flush().await.unwrap_err();
        context.create(followed(4, 3)).await.unwrap();
        context.sync().await.unwrap();
        let copy = path.with_extension("copy");
        fs::copy(&path, &copy).unwrap();
        let report = JobTrackerContext::recover(Arc::clone(&service) as _, &copy).await.unwrap();
        assert_eq!((report.operations, report.flushed.uploads), (5, 2));
        assert_eq!(service.kept().jobs[&id(4)].said, said(followed(4, 3)));
        drop(context);
        fs::remove_file(&path).unwrap();
    }
}

/// The entries of a journal that was left before there were actions and checks: a root, a child,
/// and a change, without their frames.
const OLDER: [&str; 3] = [
    "01 01 00 01 d00f 05 6a6f622031 00 00 00 00",
    "01 02 01 01 02 d20f 05 6a6f622032 00 00 00 00",
    "02 02 03 02 d40f 00 00 00",
];

#[tokio::test]
async fn a_journal_of_an_older_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let mut bytes = b"JOBTRKJ\x01\x01".to_vec();
    for entry in OLDER {
        let digits: Vec<char> = entry.chars().filter(|char| *char != ' ').collect();
        let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
        let body: Vec<u8> = pairs.map(|pair| u8::from_str_radix(&pair, 16).unwrap()).collect();
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(xxhash_rust::xxh3::xxh3_64(&body).to_le_bytes());
        bytes.extend(body);
    }
    fs::write(&path, &bytes).unwrap();
    let service = Service::new(true);
    let report = JobTrackerContext::recover(Arc::clone(&service) as _, &path).await.unwrap();
    assert_eq!((report.operations, report.misplaced, report.torn_bytes), (3, 0, 0));
    // This version writes the same bytes.
    let again = folder.path().join("again");
    let context = journaled(&service, &again);
    context.create(job(1, None)).await.unwrap();
    context.create(job(2, 1)).await.unwrap();
    report_running(&context).await;
    context.sync().await.unwrap();
    assert_eq!(fs::read(&again).unwrap(), bytes);
    context.close().await.unwrap();
}

async fn report_running(context: &JobTrackerContext) {
    assert!(report(context, 2, State::Running).await);
}

/// Operations that the service would refuse, because too much follows from them, are refused before
/// they are recorded.
#[tokio::test]
async fn a_tree_has_only_so_much_that_follows() {
    let service = Service::new(false);
    let context = recorded::context(&service);
    // Every recipient is told in a delivery of its own.
    let to = (0..limits::RECIPIENTS).map(|number| format!("a{number}@b.de")).collect();
    let mail = EmailAction { to, ..EmailAction::default() };
    let target = Target::from(HttpAction::new("http://a")).and_email(mail);
    let each = Ways::from(&target).each().count() * limits::ACTIONS;
    assert_eq!(each, (1 + limits::RECIPIENTS) * limits::ACTIONS);
    let action = Action::new([State::Warning, State::Faulted], target);
    context.create(job(1, None)).await.unwrap();
    // One more than there is room for.
    let jobs = (TREE_UPCOMING / each + 1) as u64;
    for number in 2..2 + jobs {
        let actions = vec![action.clone(); limits::ACTIONS];
        context.create(NewJob { actions, ..job(number, 1) }).await.unwrap();
    }
    // The last state of a job counts, and not the states before.
    for _ in 0..jobs {
        report(&context, 2, State::Warning).await;
        report(&context, 2, State::Running).await;
    }
    for number in 2..1 + jobs {
        report(&context, number, State::Faulted).await;
    }
    let full = context.update(id(1 + jobs), NewChange::new(State::Faulted)).await.unwrap_err();
    assert!(matches!(full, Error::TreeFull(root) if root == id(1)) && full.is_retryable());
    context.flush().await.unwrap();
    report(&context, 1 + jobs, State::Faulted).await;

    let payload = jobtracker_model::Payload::of(&"x".repeat(16_000)).unwrap();
    let check = check().on_failure(HttpAction::new("http://a").payload(payload));
    let mut most = TREE_UPCOMING_BYTES / check.bytes() / limits::CHECKS;
    for number in 10_000.. {
        let checks = vec![check.clone(); limits::CHECKS];
        match context.create(NewJob { checks, ..job(number, 1) }).await {
            Ok(_) => most = most.saturating_sub(1),
            Err(error) => {
                assert!(matches!(error, Error::TreeFull(_)), "{error:?}");
                break;
            }
        }
    }
    assert_eq!(most, 0);
    context.close().await.unwrap();
}
