use std::sync::Arc;

use jobtracker_model::{
    Change, Definition, JobId, LogLine, Repeat, State, Timestamp,
    rollup::{Status, StatusDelta},
};
use jobtracker_store::{Origin, RepeatRow, Row, Store, TreeCommit};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::id;

/// Random trees with all data that a job can have.
pub async fn random_trees(store: &Arc<dyn Store>, seed: u64) {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let choices: Vec<u32> = (0..220).map(|_| random.random()).collect();
    jobtracker_store_suite::random_work(Arc::clone(store), &choices).await;
}

/// The rows of a tree that is made by hand, two levels deep: a root, `width` children, and `each`
/// children of each child. Root and children have run, and reported it.
pub fn broad_tree(root: u64, width: u64, each: u64) -> TreeCommit {
    tree_with_lines(root, width, each, 1)
}

/// Lines of each child of a tree that is large by them.
const LINES: u32 = 60;

/// The same of a tree that is large by what its jobs have written: a cluster reads each job by
/// itself, so this one takes it less time than one of as many rows and more jobs.
pub fn long_tree(root: u64, width: u64, each: u64) -> TreeCommit {
    tree_with_lines(root, width, each, LINES)
}

fn tree_with_lines(root: u64, width: u64, each: u64, lines: u32) -> TreeCommit {
    let begin = Timestamp::from_millis(1_700_000_000_000 + i64::try_from(root).unwrap()).unwrap();
    let mut rows = Vec::new();
    let (mut top, _) = Status::created(id(root), begin);
    for child in 0..width {
        let number = root + 1 + child * (each + 1);
        let (mut middle, born) = Status::created(id(number), begin);
        absorb(&mut top, id(root), &born);
        for leaf in 1..=each {
            let (status, born) = Status::created(id(number + leaf), begin);
            if let Some(ripple) = middle.absorb(id(number), &born) {
                absorb(&mut top, id(root), &ripple);
            }
            rows.extend(job(number + leaf, Some(number), root, 2));
            rows.push(status_row(number + leaf, Some(number), status));
        }
        rows.extend(job(number, Some(root), root, 1));
        rows.extend(run(number, &mut middle, Some((&mut top, root)), begin, lines));
        rows.push(status_row(number, Some(root), middle));
    }
    rows.extend(job(root, None, root, 0));
    rows.extend(run(root, &mut top, None, begin, lines));
    rows.push(status_row(root, None, top));
    TreeCommit { root: id(root), expected: 0, rows, publishes: None }
}

fn absorb(status: &mut Status, id: JobId, ripple: &StatusDelta) {
    status.absorb(id, ripple);
}

fn job(number: u64, parent: Option<u64>, root: u64, depth: u32) -> [Row; 1] {
    let definition = Definition { name: format!("job {number}"), ..Definition::default() };
    let parent = parent.map(id);
    let fingerprint = definition.fingerprint(parent);
    let origin = Origin { parent, root: id(root), depth, fingerprint };
    [Row::Job { id: id(number), origin, definition: Arc::new(definition) }]
}

fn status_row(number: u64, parent: Option<u64>, status: Status) -> Row {
    Row::Status { id: id(number), parent: parent.map(id), before: None, status }
}

/// A job that runs, writes some lines, and has an attachment.
fn run(
    number: u64,
    status: &mut Status,
    above: Option<(&mut Status, u64)>,
    time: Timestamp,
    lines: u32,
) -> Vec<Row> {
    let id = id(number);
    let ripple = status.report(id, State::Running, time);
    if let Some((above, above_id)) = above {
        above.absorb(super::id(above_id), &ripple);
    }
    status.log_lines += lines;
    status.attachments += 1;
    let name = format!("change of {number}");
    let change = Change {
        state: State::Running,
        time,
        message: Some("off it goes".into()),
        reason_code: None,
        change_id: Some(name.clone()),
        by: Some("anna".into()),
    };
    let row = RepeatRow { first: 1, count: 1, fingerprint: number << 33 };
    let mut rows = vec![Row::Change { id, number: 1, change }];
    rows.extend((0..lines).map(|line| {
        let text = format!("line {line} of {number}");
        Row::LogLine { id, line: LogLine { line, time, attempt: Some(3), text } }
    }));
    rows.push(Row::Attachment { id, key: "a".into(), text: Some("text".into()) });
    rows.push(Row::Repeat { id, key: Repeat::Change(name), row });
    rows
}

/// Puts trees into a store.
pub async fn plant(store: &Arc<dyn Store>, trees: impl IntoIterator<Item = TreeCommit>) {
    for tree in trees {
        store.commit(vec![tree]).await.remove(0).unwrap();
    }
}
