use jobtracker_client::{
    Action, CheckKind, CheckStatus, DeliveryStatus, HttpAction, ListPage, NewChange, NewCheck,
    NewJob, State, Timestamp,
};
use jobtracker_server::moving::Selection;

use super::{
    broken::{mended, refusal},
    export, id, import_all, lines, neighbours, rows,
};
use crate::{
    follow_ups::{
        deliveries, eventually,
        receiver::{Reaction, Receiver},
        settled,
    },
    harness::Harness,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Waiting deliveries, failed ones and checks go on in the new store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_moves_with_its_tree() {
    for (from, to) in neighbours() {
        let receiver = Receiver::answering(|request, before| match request.path.as_str() {
            "gone" => Reaction::Status(410),
            "down" if before == 0 => Reaction::Status(500),
            _ => Reaction::Status(200),
        })
        .await;
        let patient = |config: &mut jobtracker_server::Config| {
            config.callbacks.schedule_seconds = vec![100_000];
        };
        let source = Harness::start(from, patient).await;
        let client = source.client();
        let hook = |path| HttpAction::new(receiver.url(path)).secret(SECRET);
        let mut job = NewJob::new("job").id(id(70));
        for path in ["gone", "down", "up"] {
            job = job.action(Action::new([State::Faulted], hook(path)));
        }
        let kind = CheckKind::State { at: Timestamp::MAX, states: "Running".parse().unwrap() };
        job = job.check(NewCheck::new(kind).on_failure(hook("late")));
        client.create(job).await.unwrap();
        client.update(id(70), NewChange::new(State::Faulted)).await.unwrap();
        receiver.count(3).await;
        let tried = async || deliveries(&client, id(70)).await.iter().all(|one| one.attempts == 1);
        eventually(tried).await;

        let (done, file) = export(source.store(), Selection::ALL).await;
        // Three actions, a check, three deliveries, and the watch row.
        assert_eq!(done.counts.follow_ups, 8);
        what_does_not_go_together_is_refused(&file).await;
        let target = Harness::start(to, patient).await;
        assert_eq!(import_all(target.store(), &file).await.new, 1);
        assert_eq!(rows(target.store(), id(70)).await, rows(source.store(), id(70)).await);
        let (_, back) = export(target.store(), Selection::ALL).await;
        assert_eq!(lines(&back), lines(&file));
        source.stop().await;

        let client = target.client();
        let (begin, end) = (Timestamp::MIN, Timestamp::MAX);
        let failed = client.failed_deliveries(begin, end, ListPage::default()).await.unwrap();
        assert_eq!(failed.items.len(), 1);
        let waiting = deliveries(&client, id(70)).await.remove(1);
        assert_eq!((waiting.status, waiting.attempts), (DeliveryStatus::Waiting, 1));
        client.replay_delivery(&waiting.id).await.unwrap();
        receiver.count(4).await;
        let all = settled(&client, id(70)).await;
        assert_eq!((all[1].status, all[1].attempts), (DeliveryStatus::Delivered, 2));
        let signed = receiver.all().pop().unwrap();
        assert!(signed.headers.contains_key("webhook-signature"), "its secret has moved too");
        assert_eq!(client.checks(id(70)).await.unwrap()[0].status, CheckStatus::Waiting);
        // The tree has changed, and still counts as the one in the file.
        assert_eq!(import_all(target.store(), &file).await.there, 1);
        target.stop().await;
    }
}

async fn what_does_not_go_together_is_refused(file: &[u8]) {
    let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    for (from, to) in [
        ("\"deliveries\":3", "\"deliveries\":2"),
        ("\"checks\":1", "\"checks\":0"),
        ("\"earlier\":0", "\"earlier\":9"),
    ] {
        assert!(text.contains(from), "{from}: {text}");
        let lines: Vec<_> = text.lines().map(|line| line.replacen(from, to, 1)).collect();
        let refusal = refusal(&mended(&lines, 70)).await;
        assert!(refusal.contains("does not go with what is watched"), "{from}: {refusal}");
    }
}
