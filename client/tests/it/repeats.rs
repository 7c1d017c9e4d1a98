use jobtracker_client::{
    CancelledTree, IdBlock, LogAppended, NewChange, NewJob, NewLogLines, ProblemCode, State,
};
use wiremock::ResponseTemplate;

use crate::{
    canned::{created, id, json, problem, updated},
    stub,
};

fn busy() -> ResponseTemplate {
    problem(ProblemCode::OutcomeUnknown)
}

#[tokio::test]
async fn a_repeated_create_has_the_same_id() {
    let block = json(IdBlock { first: id(5), count: 1000 });
    let server = stub::answering_in_turn([block, busy(), busy(), json(created(5))]).await;
    assert_eq!(stub::client(&server).create(NewJob::new("a")).await.unwrap(), created(5));
    let requests = stub::requests(&server).await;
    assert_eq!(stub::field(&requests[1..], "id"), [5, 5, 5]);
}

#[tokio::test]
async fn a_repeated_batch_has_the_same_ids() {
    let block = json(IdBlock { first: id(5), count: 1000 });
    let items = serde_json::json!({ "items": [created(5), created(6)] });
    let server = stub::answering_in_turn([block, busy(), json(items)]).await;
    let jobs = vec![NewJob::new("a"), NewJob::new("b")];
    let answer = stub::client(&server).create_children(id(1), jobs).await.unwrap();
    assert_eq!(answer, [created(5), created(6)]);
    let requests = stub::requests(&server).await;
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[1].body, requests[2].body);
}

#[tokio::test]
async fn a_repeated_change_has_the_same_change_id_and_another_change_another() {
    let server = stub::answering_in_turn([busy(), json(updated())]).await;
    let client = stub::client(&server);
    let change = NewChange::new(State::Running);
    assert_eq!(client.update(id(7), change.clone()).await.unwrap(), updated());
    client.update(id(7), change.clone()).await.unwrap();
    client.update(id(7), change.change_id("mine")).await.unwrap();
    let ids = stub::field(&stub::requests(&server).await, "changeId");
    assert_eq!(ids.len(), 4);
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
    assert_eq!(ids[3], "mine");
    assert!((1..=64).contains(&ids[0].as_str().unwrap().len()));
}

#[tokio::test]
async fn repeated_lines_have_the_same_append_id() {
    let appended = LogAppended { first_line: 3, count: 1, repeated: false };
    let server = stub::answering_in_turn([busy(), json(appended)]).await;
    let client = stub::client(&server);
    let lines = |append_id| NewLogLines { lines: vec!["a".into()], append_id };
    assert_eq!(client.append_log(id(7), lines(None)).await.unwrap(), appended);
    client.append_log(id(7), lines(Some("mine".into()))).await.unwrap();
    let ids = stub::field(&stub::requests(&server).await, "appendId");
    assert_eq!(ids[0], ids[1]);
    assert!((1..=64).contains(&ids[0].as_str().unwrap().len()));
    assert_eq!(ids[2], "mine");
}

#[tokio::test]
async fn an_attachment_that_is_gone_after_a_lost_answer_counts_as_deleted() {
    let gone = || problem(ProblemCode::AttachmentNotFound);
    let server = stub::answering_in_turn([busy(), gone()]).await;
    stub::client(&server).delete_attachment(id(7), "a").await.unwrap();
    assert_eq!(stub::requests(&server).await.len(), 2);

    // Here no call can have deleted it before: the first try did nothing, or there was no try.
    for answers in [vec![gone()], vec![problem(ProblemCode::Overloaded), gone()]] {
        let server = stub::answering_in_turn(answers).await;
        let error = stub::client(&server).delete_attachment(id(7), "a").await.unwrap_err();
        assert_eq!(error.code(), Some(ProblemCode::AttachmentNotFound));
    }
    // A 404 of another kind is an error.
    let server = stub::answering_in_turn([busy(), problem(ProblemCode::JobNotFound)]).await;
    let error = stub::client(&server).delete_attachment(id(7), "a").await.unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::JobNotFound));
}

#[tokio::test]
async fn a_tree_is_cancelled_until_no_more_ends() {
    let answer = |ended, stopping, more| json(CancelledTree { ended, stopping, more });
    let (first, whole) = (answer(2, 3, true), answer(4, 5, false));
    for (last, sum) in [
        (whole, CancelledTree { ended: 6, stopping: 5, more: false }),
        (answer(0, 9, true), CancelledTree { ended: 2, stopping: 9, more: true }),
    ] {
        let server = stub::answering_in_turn([first.clone(), last]).await;
        assert_eq!(stub::client(&server).cancel_tree(id(7)).await.unwrap(), sum);
        assert_eq!(stub::requests(&server).await.len(), 2);
    }
}
