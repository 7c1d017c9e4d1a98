//! The history of a job: changes, log, repeats, attachments.

use jobtracker_model::{Repeat, State};

use super::{
    Fixture,
    forest::id,
    pages::{NARROW, WIDE},
    stage::Stage,
};
use jobtracker_store::{PageLimit, Wanted};

pub(super) async fn run(fixture: &impl Fixture) {
    changes_and_log(fixture).await;
    repeats(fixture).await;
    attachments(fixture).await;
}

async fn changes_and_log(fixture: &impl Fixture) {
    let mut stage = Stage::open("changes and log", fixture).await;
    // Neighbours whose rows stand before and behind those of the job in the middle.
    for root in [5, 6, 7] {
        stage.forest.root(root);
    }
    stage.commit().await;
    // More than a backend may keep together, of either kind.
    for round in 0..36 {
        for root in [7, 5, 6] {
            let message = (round % 3 == 0).then(|| format!("round {round} of {root}"));
            let state = if round % 2 == 0 { State::Running } else { State::Warning };
            stage.forest.report(id(root), state, message);
            let text = "x".repeat(round * 7);
            stage.forest.append(id(root), &[&text, "", "größer, 大きい\t\u{1f980}"]);
        }
        if round % 4 == 0 {
            stage.commit().await;
        }
    }
    stage.commit().await;
    let odd = [PageLimit { items: 89, ..WIDE }, PageLimit { bytes: 2000, ..WIDE }];
    for limit in NARROW.into_iter().chain([WIDE]) {
        stage.compare_lists(id(6), &[], limit).await;
    }
    for limit in odd {
        // Where a page of this many bytes ends is up to the backend.
        let log = stage.log_pages(id(6), limit).await;
        stage.same("a log in pages of an odd size", &log, &stage.forest.job(id(6)).log);
        let changes = stage.changes_pages(id(6), limit).await;
        stage.same("changes in pages of an odd size", &changes, &stage.forest.job(id(6)).changes);
    }
    stage.finish(fixture).await;
}

async fn repeats(fixture: &impl Fixture) {
    let mut stage = Stage::open("repeats", fixture).await;
    for root in [5, 6] {
        stage.forest.root(root);
        stage.forest.child(root * 100, root);
    }
    for number in [5, 500, 6] {
        stage.forest.reports(State::Running, &[number, number]);
        stage.forest.append(id(number), &["one", "two"]);
        stage.commit().await;
        stage.forest.append(id(number), &["three"]);
    }
    stage.commit().await;
    stage.compare().await;
    stage = stage.reopen(fixture).await;

    // One name for a change and for an append are two things; so are one name at two jobs.
    let mut wanted = Wanted::default();
    for number in [5, 500, 6, 600] {
        for name in ["change 1", "change 2", "append 0", "append 2", "append 1", "", "change"] {
            wanted.repeats.insert((id(number), Repeat::Change(name.to_owned())));
            wanted.repeats.insert((id(number), Repeat::Append(name.to_owned())));
        }
    }
    let loaded = stage.store.load(wanted.clone()).await;
    let (loaded, due) = (stage.ok("repeats", loaded), stage.forest.loaded(&wanted));
    stage.same("repeats by name", &loaded, &due);
    stage.same("how many repeats there are", &loaded.repeats.len(), &12);
    stage.finish(fixture).await;
}

async fn attachments(fixture: &impl Fixture) {
    let mut stage = Stage::open("attachments", fixture).await;
    stage.forest.root(1);
    stage.forest.child(2, 1);
    stage.forest.child(3, 1);
    stage.commit().await;
    let large = "0123456789abcdef".repeat(4096);
    let keys = ["a", "a.b", "a-b", "a_b", "B", "ab", "0", "z9"];
    for (round, text) in ["first", "", &large, "größer, 大きい", "last"].into_iter().enumerate()
    {
        for (index, key) in keys.into_iter().enumerate() {
            let text = (!(round + index).is_multiple_of(3)).then_some(text);
            stage.forest.attach(id(2), key, text);
        }
        stage.forest.attach(id(3), keys[round], Some(text));
        stage.commit().await;
        stage.compare().await;
    }
    let full = jobtracker_model::limits::ATTACHMENTS;
    for number in 0..full {
        stage.forest.attach(id(1), &format!("key-{number}"), Some("text"));
    }
    stage.commit().await;
    stage = stage.reopen(fixture).await;
    stage.compare().await;

    for (job, key) in [(1, "key"), (1, "key-64"), (1, ""), (1, "key-0 "), (3, "ab"), (9, "a")] {
        let got = stage.store.get_attachment(id(job), key).await;
        let got = stage.ok("an attachment that is not there", got);
        stage.same(format_args!("attachment {key:?} of {job}"), &got, &None);
    }
    for number in 0..full {
        stage.forest.attach(id(1), &format!("key-{number}"), None);
    }
    for key in keys {
        stage.forest.attach(id(2), key, None);
    }
    stage.commit().await;
    stage.finish(fixture).await;
}
