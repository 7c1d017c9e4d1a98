use jobtracker_context::Error;
use jobtracker_model::{JobId, NewChange, NewJob, ProblemCode, State, Updated, limits};

use crate::{
    recorded::{self, id, job, report, seen, status},
    service::Service,
};

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> ProblemCode {
    result.unwrap_err().code().unwrap()
}

#[tokio::test]
async fn creations_are_checked_as_the_service_does() {
    let context = recorded::context(&Service::new(true));
    context.create(job(1, None)).await.unwrap();
    let cases = [
        (job(2, 2), ProblemCode::ParentIsSelf),
        (job(2, 7), ProblemCode::ParentNotFound),
        (NewJob::new(""), ProblemCode::InvalidField),
        (NewJob::new("a").tag("x,y"), ProblemCode::InvalidField),
        (NewJob::new("other").id(id(1)), ProblemCode::IdConflict),
        (job(1, 1), ProblemCode::ParentIsSelf),
    ];
    for (job, expected) in cases {
        assert_eq!(code(context.create(job).await), expected);
    }
    // The same job again is the existing one.
    assert_eq!(context.create(job(1, None)).await.unwrap(), id(1));
    context.create(job(2, 1)).await.unwrap();
    assert_eq!(context.create(job(2, 1)).await.unwrap(), id(2));
    assert_eq!(code(context.create(job(2, None)).await), ProblemCode::IdConflict);
    // Other options later do not make it another job.
    context.update_options(id(2), Some("new".into())).await.unwrap();
    assert_eq!(context.create(job(2, 1)).await.unwrap(), id(2));
    assert_eq!(context.stats().operations, 3);
    assert_eq!(context.close().await.unwrap().operations, 3);
}

#[tokio::test]
async fn a_tree_has_its_depth() {
    let context = recorded::context(&Service::new(true));
    context.create(job(1, None)).await.unwrap();
    for number in 2..=u64::from(limits::DEPTH) + 1 {
        context.create(job(number, number - 1)).await.unwrap();
    }
    let deepest = u64::from(limits::DEPTH) + 1;
    assert_eq!(seen(&context, deepest).await.node.depth, limits::DEPTH);
    assert_eq!(code(context.create(job(99, deepest)).await), ProblemCode::TooDeep);
    report(&context, deepest, State::Running).await;
    assert_eq!(status(&context, 1).await.tree_start.unwrap().source, id(2));
    context.close().await.unwrap();
}

#[tokio::test]
async fn changes_are_checked_as_the_service_does() {
    let context = recorded::context(&Service::new(true));
    context.create(job(1, None)).await.unwrap();
    let running = || NewChange::new(State::Running);
    let none = NewChange::new(State::WaitingForActivation);
    assert_eq!(code(context.update(id(1), none).await), ProblemCode::StateNotAllowed);
    let long = running().change_id("c".repeat(limits::REPEAT_ID + 1));
    assert_eq!(code(context.update(id(1), long).await), ProblemCode::InvalidField);
    assert_eq!(code(context.update(id(7), running()).await), ProblemCode::JobNotFound);
    // Words are no reason.
    let trace = format!("panicked{}: the disk is full", "ü".repeat(limits::MESSAGE));
    let long = running().message(&trace).reason_code("r".repeat(limits::REASON_CODE + 1));
    context.create(job(2, None)).await.unwrap();
    assert!(context.update(id(2), long).await.unwrap().applied);

    let named = |message: &str| running().change_id("one").message(message);
    let first = context.update(id(1), named("a")).await.unwrap();
    assert_eq!(
        first,
        Updated { applied: true, repeated: false, state: State::Running, changes: 2 }
    );
    let again = context.update(id(1), named("a")).await.unwrap();
    assert_eq!(again, Updated { applied: true, repeated: true, state: State::Running, changes: 2 });
    assert_eq!(code(context.update(id(1), named("b")).await), ProblemCode::RepeatConflict);
    assert_eq!(status(&context, 1).await.changes, 2);
    assert_eq!(context.stats().operations, 4);

    let late = running().expect_changes(1);
    assert_eq!(code(context.update(id(1), late).await), ProblemCode::UnexpectedState);
    let late = running().expect_last([State::WaitingToRun]);
    assert_eq!(code(context.update(id(1), late).await), ProblemCode::UnexpectedState);
    let done = NewChange::new(State::RanToCompletion).expect_changes(2);
    assert_eq!(context.update(id(1), done).await.unwrap().changes, 3);
    assert!(!report(&context, 1, State::Running).await);
    // A repeated change is told as such even then.
    assert!(context.update(id(1), named("a")).await.unwrap().repeated);
    context.close().await.unwrap();
}

#[tokio::test]
async fn texts_are_checked_and_shown() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    context.create(job(1, None).options("old").tag("t")).await.unwrap();
    for lines in [vec![], vec!["a\nb".into()], vec!["x".repeat(limits::LOG_LINE + 1)]] {
        assert_eq!(code(context.append_log(id(1), lines).await), ProblemCode::InvalidField);
    }
    let long = Some("o".repeat(limits::OPTIONS + 1));
    assert_eq!(code(context.update_options(id(1), long).await), ProblemCode::InvalidField);
    let absent = context.append_log(id(9), vec!["a".into()]).await;
    assert_eq!(code(absent), ProblemCode::JobNotFound);

    context.append_log(id(1), vec!["a".into(), "b".into()]).await.unwrap();
    context.update_options(id(1), Some("new".into())).await.unwrap();
    assert_eq!(context.stats().operations, 4);
    let seen = seen(&context, 1).await;
    assert!(seen.is_buffered);
    assert_eq!(seen.node.status.log_lines, 2);
    let definition = seen.definition.unwrap();
    assert_eq!((definition.options.as_deref(), definition.tags.len()), (Some("new"), 1));
    context.update_options(id(1), None).await.unwrap();
    context.flush().await.unwrap();
    let kept = service.kept();
    assert_eq!(kept.jobs[&id(1)].said.0.options, None);
    assert_eq!(kept.jobs[&id(1)].lines, ["a", "b"].map(std::sync::Arc::from));
}

#[tokio::test]
async fn a_job_at_work_keeps_room_to_end() {
    let context = recorded::context(&Service::new(true));
    context.create(job(1, None)).await.unwrap();
    for _ in 1..limits::CHANGES {
        assert!(report(&context, 1, State::Running).await);
    }
    let more = context.update(id(1), NewChange::new(State::Running)).await;
    assert_eq!(code(more), ProblemCode::TooManyChanges);
    assert!(report(&context, 1, State::Faulted).await);
    context.close().await.unwrap();
}

#[tokio::test]
async fn nothing_is_recorded_in_a_closed_context() {
    let service = Service::new(true);
    let context = recorded::context(&service);
    let other = context.clone();
    context.create(job(1, None)).await.unwrap();
    assert_eq!(context.commit_and_close().await.unwrap().jobs, 1);
    let created: Result<JobId, _> = other.create(job(2, None)).await;
    assert!(matches!(created, Err(Error::Closed)));
    let updated = other.update(id(1), NewChange::new(State::Running)).await;
    assert!(matches!(updated, Err(Error::Closed)));
    assert!(matches!(other.commit_and_close().await, Err(Error::Closed)));
    // Reading is allowed; the service is asked.
    let seen = other.get(id(1)).await.unwrap().unwrap();
    assert!(!seen.is_buffered && seen.definition.is_none());
    assert!(other.get(id(9)).await.unwrap().is_none());
}
