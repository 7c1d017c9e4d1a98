//! Random work.

use std::sync::Arc;

use jobtracker_model::{JobId, Progress, State, StateSet, Timestamp, limits};

use super::{
    Fixture,
    followed::time,
    forest::{Forest, definition, id},
    pages::{NARROW, WIDE, filters},
    stage::Stage,
    staged::Staging,
};
use jobtracker_store::{Error, PageLimit, Store, TreeCommit};

pub(super) async fn run<F: Fixture>(fixture: &F) {
    for seed in 1..=F::ROUNDS {
        let mut stage = Stage::open("random work", fixture).await;
        let numbers = Numbers(seed);
        for half in 0..2 {
            let mut choices = Choices(numbers.skip(half * 10_000).take(600).collect());
            stage.work(&mut choices).await;
            stage.compare().await;
            stage = stage.reopen(fixture).await;
            stage.compare().await;
        }
        stage.compare_pages().await;
        stage.finish(fixture).await;
    }
}

/// Does the work that `choices` stand for on a fresh store, and compares what can be read with what
/// should be there, a list here and there on the way and everything at the end. Any numbers will
/// do; the same ones do the same work.
pub async fn random_work(store: Arc<dyn Store>, choices: &[u32]) {
    let mut stage = Stage::with("random work", store);
    stage.work(&mut Choices(choices.iter().rev().copied().collect())).await;
    stage.compare().await;
    stage.compare_pages().await;
}

/// Numbers that decide what is done, the next one last.
struct Choices(Vec<u32>);

impl Choices {
    /// A number below `end`; 0 when there are no choices left.
    fn below(&mut self, end: usize) -> usize {
        self.0.pop().map_or(0, |choice| choice as usize % end)
    }

    fn of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len())]
    }

    fn job(&mut self, forest: &Forest) -> Option<JobId> {
        let count = forest.jobs.len();
        let index = if count == 0 { return None } else { self.below(count) };
        forest.jobs.keys().nth(index).copied()
    }
}

/// The numbers of SplitMix64, which is public domain and enough for this.
#[derive(Clone, Copy)]
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) >> 32).ok()
    }
}

impl Stage {
    async fn work(&mut self, choices: &mut Choices) {
        while !choices.0.is_empty() {
            match choices.below(13) {
                0..8 => change(&mut self.forest, choices),
                8 => self.commit().await,
                9 => self.commit_in_parts(choices).await,
                10 => {
                    self.commit().await;
                    self.look(choices).await;
                }
                11 => self.put_in_vain(choices).await,
                _ => {
                    self.commit().await;
                    self.try_stale(choices).await;
                }
            }
        }
        self.commit().await;
    }

    /// Makes the pending commits, with new jobs staged before. Any number of calls for each.
    async fn commit_in_parts(&mut self, choices: &mut Choices) {
        let before = self.forest.clone();
        let commits = self.forest.commits();
        let after = std::mem::replace(&mut self.forest, before);
        let jobs = choices.below(9) + 1;
        let part = |commit| Staging::new(self.next_stage(), commit, jobs);
        let parts: Vec<Staging> = commits.into_iter().map(part).collect();
        for staging in &parts {
            self.stage_rows(staging).await;
        }
        for staging in &parts {
            let answer = self.publish(staging).await;
            self.ok("a commit of two parts", answer);
        }
        self.forest = after;
    }

    /// Stages rows that will not be published.
    async fn put_in_vain(&mut self, choices: &mut Choices) {
        self.commit().await;
        let mut forest = self.forest.clone();
        // Ids that no other work takes.
        let first = (1 << 50) + self.next_stage() * 1_000;
        for number in first..first + 1 + choices.below(20) as u64 {
            let parent = choices.job(&self.forest).filter(|_| choices.below(4) > 0);
            forest.create(id(number), parent, definition("in vain"));
        }
        for commit in forest.commits() {
            let staging = Staging::new(self.next_stage(), commit, choices.below(9) + 1);
            self.stage_rows(&staging).await;
            if choices.below(2) == 0 {
                self.store.discard(staging.id);
            }
        }
    }

    /// Compares one list of one job, with any filter and any bounds.
    async fn look(&self, choices: &mut Choices) {
        let Some(job) = choices.job(&self.forest) else { return };
        let limit = PageLimit { items: choices.below(9) + 1, ..choices.of(&NARROW) };
        let states = choices.of(&filters());
        self.compare_lists(job, &[states, StateSet::EMPTY], limit).await;
        self.compare_skipped(job, states, choices.below(20) as u64, limit).await;
        let edge = |id: JobId| self.forest.job(id).status.create_time;
        let to = choices.job(&self.forest).map_or(Timestamp::MAX, edge);
        self.compare_roots((edge(job), to), limit).await;
        self.compare_roots((Timestamp::MIN, to), WIDE).await;
        self.compare_follow_ups(job, limit).await;
        let from = choices.of(&[Timestamp::MIN, time(1), time(59_999)]);
        let until = choices.of(&[time(1), time(59_999), time(90_000_000), Timestamp::MAX]);
        self.compare_indexes((from, until), limit).await;
    }

    /// A commit of an old or future version does nothing.
    async fn try_stale(&self, choices: &mut Choices) {
        let mut forest = self.forest.clone();
        change(&mut forest, choices);
        let wrong = choices.of(&[1, 2, 3]);
        for commit in forest.commits() {
            let root = commit.root;
            let expected = match commit.expected.checked_sub(wrong) {
                Some(expected) if choices.below(2) == 0 => expected,
                _ => commit.expected + wrong,
            };
            for answer in self.store.commit(vec![TreeCommit { expected, ..commit }]).await {
                let due = |error: &Error| matches!(error, Error::Stale { root: r } if *r == root);
                self.refused("a commit of another version", answer, due);
            }
        }
    }
}

/// Any one change.
fn change(forest: &mut Forest, choices: &mut Choices) {
    let kind = choices.below(17);
    let Some(job) = choices.job(forest).filter(|_| kind > 0) else {
        return create(forest, None, choices);
    };
    match kind {
        1..6 if forest.job(job).origin.depth < limits::DEPTH => create(forest, Some(job), choices),
        1..10 => {
            let told = [
                State::RanToCompletion,
                State::Running,
                State::Faulted,
                State::RanToCompletion,
                State::Warning,
                State::WaitingForChildrenToComplete,
                State::WaitingToRun,
            ];
            let message = (choices.below(3) == 0).then(|| format!("said by {job}"));
            forest.report(job, choices.of(&told), message);
        }
        10 => forest.append(job, &["one", "two", "", "four"][..choices.below(4) + 1]),
        11 | 12 => {
            let text = choices.of(&[Some("text"), Some(""), None]);
            forest.attach(job, choices.of(&["a", "b", "c.txt"]), text);
        }
        14..17 => follow(forest, job, choices),
        _ => forest.set_options(job, choices.of(&[None, Some("other")]).map(str::to_owned)),
    }
}

/// A follow-up, new or changed; few times, so that many have the same.
fn follow(forest: &mut Forest, job: JobId, choices: &mut Choices) {
    let number = choices.below(3) as u32;
    let at = choices.of(&[
        Timestamp::MIN,
        time(0),
        time(1),
        time(59_999),
        time(90_000_000),
        time(900_000_000_000),
        Timestamp::MAX,
    ]);
    match choices.below(7) {
        0 => forest.action(job, number),
        1 | 2 => forest.check(job, number, at),
        3 => forest.check_made(job, number, at),
        kind => {
            let progress = [Progress::Waiting, Progress::Failed, Progress::Delivered][kind - 4];
            forest.deliver(job, number, progress(at));
        }
    }
}

fn create(forest: &mut Forest, parent: Option<JobId>, choices: &mut Choices) {
    // Small numbers and very large ones, in no order.
    let base = choices.of(&[0, 1 << 20, 1 << 40, JobId::MAX.get() - (1 << 33)]);
    let wanted = id(base + 1 + choices.below(5_000) as u64);
    if !forest.jobs.contains_key(&wanted) {
        forest.create(wanted, parent, definition(&format!("job-{wanted}")));
    }
}
