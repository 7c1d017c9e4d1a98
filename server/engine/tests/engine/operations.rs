use jobtracker_engine::{Engine, Error};
use jobtracker_model::{CheckedJob, JobId, NewChange, NewJob, NewLogLines, State, limits};
use jobtracker_store::{LogQuery, PageLimit};

use crate::harness::{changes, id, job, memory};

fn lines(texts: &[&str], append_id: Option<&str>) -> NewLogLines {
    let lines = texts.iter().map(|text| (*text).to_owned()).collect();
    NewLogLines { lines, append_id: append_id.map(str::to_owned) }
}

#[tokio::test]
async fn a_creation_can_be_repeated_but_not_with_another_definition() {
    let (store, engine) = memory();
    assert!(engine.create(job(1, None)).await.unwrap().created);
    assert!(engine.create(job(2, Some(1))).await.unwrap().created);
    engine.update(id(2), NewChange::new(State::Running)).await.unwrap();
    engine.update_options(id(2), Some("new".into())).await.unwrap();
    let again = engine.create(job(2, Some(1))).await.unwrap();
    assert_eq!((again.created, again.state, again.root), (false, State::Running, id(1)));
    for other in [job(2, None), job(2, Some(1)).tag("t"), job(1, None).options("o")] {
        let refused = engine.create(other).await;
        assert!(matches!(refused, Err(Error::IdConflict(_))), "{refused:?}");
    }
    let child = store.get_job(id(2)).await.unwrap().unwrap();
    assert_eq!(child.definition.options.as_deref(), Some("new"));
    assert_eq!(store.get_job(id(1)).await.unwrap().unwrap().status.subtree.total, 1);
}

#[tokio::test]
async fn bad_places_are_refused() {
    let (store, engine) = memory();
    let refused = engine.create(job(1, Some(1))).await;
    assert!(matches!(refused, Err(Error::ParentIsSelf(_))), "{refused:?}");
    let refused = engine.create(job(1, Some(7))).await;
    assert!(matches!(refused, Err(Error::ParentNotFound(_))), "{refused:?}");
    engine.create(job(1, None)).await.unwrap();
    let deepest = u64::from(limits::DEPTH) + 1;
    for number in 2..=deepest {
        engine.create(job(number, Some(number - 1))).await.unwrap();
    }
    let refused = engine.create(job(deepest + 1, Some(deepest))).await;
    assert!(matches!(refused, Err(Error::TooDeep(_))), "{refused:?}");
    let root = store.get_job(id(1)).await.unwrap().unwrap();
    assert_eq!(root.status.subtree.total, u64::from(limits::DEPTH));
    let list = store.list_ancestors(id(deepest)).await.unwrap();
    assert_eq!(list.len(), 64);
}

#[tokio::test]
async fn children_are_created_all_or_none() {
    let (store, engine) = memory();
    engine.create(job(1, None)).await.unwrap();
    engine.create(job(9, None)).await.unwrap();
    let checked = |job: NewJob| CheckedJob::try_from(job).unwrap();
    let batch = |numbers: &[u64]| -> Vec<CheckedJob> {
        numbers.iter().map(|number| checked(job(*number, None))).collect()
    };
    let refused = engine.create_children(id(1), batch(&[2, 3, 9])).await;
    assert!(matches!(refused, Err(Error::IdConflict(_))), "{refused:?}");
    let refused = engine.create_children(id(1), batch(&[2, 3, 2])).await;
    assert!(matches!(refused, Err(Error::DuplicateId(_))), "{refused:?}");
    let refused = engine.create_children(id(8), batch(&[2, 3])).await;
    assert!(matches!(refused, Err(Error::ParentNotFound(_))), "{refused:?}");
    for bad in [vec![], vec![checked(NewJob::new("x")); limits::CHILDREN_PER_REQUEST + 1]] {
        assert!(matches!(engine.create_children(id(1), bad).await, Err(Error::Field(_))));
    }
    let misplaced = vec![checked(NewJob::new("x").under(id(9)))];
    let Err(Error::Field(field)) = engine.create_children(id(1), misplaced).await else {
        panic!("a child of another parent was taken");
    };
    assert_eq!(field.field, "jobs[0].parent");
    assert_eq!(store.get_job(id(1)).await.unwrap().unwrap().status.subtree.total, 0);

    assert!(engine.create_children(id(1), batch(&[2])).await.unwrap().items[0].created);
    let mixed = engine.create_children(id(1), batch(&[2, 3])).await.unwrap().items;
    assert_eq!(mixed.iter().map(|item| item.created).collect::<Vec<_>>(), [false, true]);
    let many = vec![checked(NewJob::new("x")); limits::CHILDREN_PER_REQUEST];
    let items = engine.create_children(id(1), many).await.unwrap().items;
    let ids: std::collections::HashSet<JobId> = items.iter().map(|item| item.id).collect();
    assert_eq!(ids.len(), limits::CHILDREN_PER_REQUEST);
    let root = store.get_job(id(1)).await.unwrap().unwrap();
    assert_eq!(root.status.subtree.total, 2 + limits::CHILDREN_PER_REQUEST as u64);
}

#[tokio::test]
async fn a_change_id_is_applied_once() {
    let (store, engine) = memory();
    engine.create(job(1, None)).await.unwrap();
    let change = NewChange::new(State::Running).message("m").change_id("a");
    let first = engine.update(id(1), change.clone()).await.unwrap();
    assert_eq!((first.applied, first.repeated), (true, false));
    let last = NewChange::new(State::RanToCompletion).change_id("b");
    engine.update(id(1), last.clone()).await.unwrap();
    for change in [change.clone(), last] {
        let again = engine.update(id(1), change).await.unwrap();
        assert_eq!((again.applied, again.repeated), (true, true));
        assert_eq!(again.state, State::RanToCompletion);
    }
    let refused = engine.update(id(1), change.clone().message("other")).await;
    assert!(matches!(refused, Err(Error::RepeatConflict { .. })), "{refused:?}");
    assert_eq!(changes(&*store, id(1)).await.len(), 3);
    // The id belongs to the job: another job may use the same.
    engine.create(job(2, None)).await.unwrap();
    assert!(!engine.update(id(2), change).await.unwrap().repeated);
}

#[tokio::test]
async fn unknown_jobs_and_states_are_refused() {
    let (_, engine) = memory();
    let change = NewChange::new(State::WaitingForActivation);
    let refused = engine.update(id(1), change).await;
    assert!(matches!(refused, Err(Error::StateNotAllowed(_))), "{refused:?}");
    let unknown: [Result<(), Error>; 5] = [
        engine.update(id(1), NewChange::new(State::Running)).await.map(drop),
        engine.update_options(id(1), None).await,
        engine.append_log(id(1), lines(&["x"], None)).await.map(drop),
        engine.put_attachment(id(1), "k".into(), "v".into()).await.map(drop),
        engine.delete_attachment(id(1), "k".into()).await,
    ];
    for refused in unknown {
        assert!(matches!(refused, Err(Error::JobNotFound(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn log_lines_are_numbered_and_an_append_id_appends_once() {
    let (store, engine) = memory();
    engine.create(job(1, None)).await.unwrap();
    let first = engine.append_log(id(1), lines(&["a", "b"], Some("x"))).await.unwrap();
    assert_eq!((first.first_line, first.count, first.repeated), (0, 2, false));
    let next = engine.append_log(id(1), lines(&["c"], None)).await.unwrap();
    assert_eq!(next.first_line, 2);
    let again = engine.append_log(id(1), lines(&["a", "b"], Some("x"))).await.unwrap();
    assert_eq!((again.first_line, again.count, again.repeated), (0, 2, true));
    let refused = engine.append_log(id(1), lines(&["a"], Some("x"))).await;
    assert!(matches!(refused, Err(Error::RepeatConflict { .. })), "{refused:?}");
    for bad in [lines(&[], None), lines(&["a\nb"], None), lines(&["a"], Some(""))] {
        assert!(matches!(engine.append_log(id(1), bad).await, Err(Error::Field(_))));
    }
    let query = LogQuery { id: id(1), from: Some(0), limit: PageLimit::items(10) };
    let log = store.list_log(query).await.unwrap().items;
    let texts: Vec<_> = log.iter().map(|line| (line.line, line.text.as_str())).collect();
    assert_eq!(texts, [(0, "a"), (1, "b"), (2, "c")]);
}

#[tokio::test]
async fn attachments_are_counted() {
    let (store, engine) = memory();
    engine.create(job(1, None)).await.unwrap();
    let put = |engine: &Engine, key: String| {
        let engine = engine.clone();
        async move { engine.put_attachment(id(1), key, "text".into()).await }
    };
    for number in 0..limits::ATTACHMENTS {
        assert!(put(&engine, format!("key-{number}")).await.unwrap());
    }
    assert!(!put(&engine, "key-0".into()).await.unwrap());
    let refused = put(&engine, "one-more".into()).await;
    assert!(matches!(refused, Err(Error::TooManyAttachments(_))), "{refused:?}");
    engine.delete_attachment(id(1), "key-0".into()).await.unwrap();
    let gone = engine.delete_attachment(id(1), "key-0".into()).await;
    assert!(matches!(gone, Err(Error::AttachmentNotFound { .. })), "{gone:?}");
    assert!(put(&engine, "one-more".into()).await.unwrap());
    let count = store.get_job(id(1)).await.unwrap().unwrap().status.attachments;
    assert_eq!(count, limits::ATTACHMENTS);
    for key in ["", "..", "a/b", "ä", &"k".repeat(limits::ATTACHMENT_KEY + 1)] {
        assert!(matches!(put(&engine, key.into()).await, Err(Error::Field(_))), "{key}");
    }
}

#[tokio::test]
async fn operations_of_one_group_see_each_other() {
    let (store, engine) = memory();
    // Sent at once, they are in one group or in several; the order of arrival is kept either way.
    let (root, child, update, options, repeat) = tokio::join!(
        engine.create(job(1, None)),
        engine.create(job(2, Some(1))),
        engine.update(id(2), NewChange::new(State::Running).change_id("c")),
        engine.update_options(id(2), Some("o".into())),
        engine.update(id(2), NewChange::new(State::Running).change_id("c")),
    );
    assert!(root.unwrap().created && child.unwrap().created && update.unwrap().applied);
    options.unwrap();
    assert!(repeat.unwrap().repeated);
    let seen = store.get_job(id(2)).await.unwrap().unwrap();
    assert_eq!(seen.definition.options.as_deref(), Some("o"));
    assert_eq!(seen.status.changes, 2);
    assert_eq!(store.get_job(id(1)).await.unwrap().unwrap().status.subtree.running, 1);
}
