use std::{
    collections::BTreeSet,
    fmt::{Debug, Display},
    sync::Arc,
};

use super::{Fixture, forest::Forest};
use jobtracker_model::JobId;
use jobtracker_store::{Error, JobRow, Result, Store};

/// One phase: a store, what should be in it, and the phase's name for messages.
pub(super) struct Stage {
    phase: &'static str,
    pub store: Arc<dyn Store>,
    pub forest: Forest,
    /// How many stages have got a number.
    stages: u64,
}

impl Stage {
    pub async fn open(phase: &'static str, fixture: &impl Fixture) -> Self {
        Self::with(phase, fixture.open().await)
    }

    pub fn with(phase: &'static str, store: Arc<dyn Store>) -> Self {
        Self { phase, store, forest: Forest::default(), stages: 0 }
    }

    /// The same data in a store that was closed and opened again.
    pub async fn reopen(self, fixture: &impl Fixture) -> Self {
        let Self { phase, store, forest, stages } = self;
        Self { phase, store: fixture.reopen(store).await, forest, stages }
    }

    /// The same, where not a row of these jobs may be left.
    pub async fn reopen_without(self, fixture: &impl Fixture, ids: &BTreeSet<JobId>) -> Self {
        let Self { phase, store, forest, stages } = self;
        let (store, left) = fixture.reopen_and_count(store, ids).await;
        let stage = Self { phase, store, forest, stages };
        stage.same("rows that are left of jobs that were removed", &left, &0);
        stage
    }

    /// The end of a phase: everything is there, also after opening again.
    pub async fn finish(self, fixture: &impl Fixture) {
        self.compare().await;
        self.reopen(fixture).await.compare().await;
    }

    /// Commits all pending changes of the forest; each commit has to be done.
    pub async fn commit(&mut self) {
        let commits = self.forest.commits();
        let count = commits.len();
        let answers = self.store.commit(commits).await;
        self.same("the number of answers to a commit", &answers.len(), &count);
        for answer in answers {
            self.ok("a commit", answer);
        }
    }

    /// A number for another stage.
    pub fn next_stage(&mut self) -> u64 {
        self.stages += 1;
        self.stages
    }

    #[track_caller]
    pub fn fail(&self, what: impl Display) -> ! {
        panic!("phase {:?}: {what}", self.phase)
    }

    #[track_caller]
    pub fn holds(&self, what: impl Display, condition: bool) {
        if !condition {
            self.fail(format_args!("{what}: does not hold"));
        }
    }

    #[track_caller]
    pub fn ok<T>(&self, what: impl Display, answer: Result<T>) -> T {
        match answer {
            Ok(answer) => answer,
            Err(error) => self.fail(format_args!("{what}: {error}")),
        }
    }

    /// The answer is an error of this kind.
    #[track_caller]
    pub fn refused<T: Debug>(
        &self,
        what: impl Display,
        answer: Result<T>,
        kind: impl Fn(&Error) -> bool,
    ) {
        match answer {
            Err(error) if kind(&error) => {}
            other => self.fail(format_args!("{what}: another error was due, not {other:?}")),
        }
    }

    #[track_caller]
    pub fn same<T: PartialEq + Debug>(&self, what: impl Display, got: &T, due: &T) {
        if got != due {
            self.fail(format_args!("{what}\n  got {got:?}\n  due {due:?}"));
        }
    }

    /// The same rows in the same order; says which ids, or which row.
    #[track_caller]
    pub fn same_jobs(&self, what: impl Display, got: &[JobRow], due: &[JobRow]) {
        let ids = |rows: &[JobRow]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
        if got.iter().map(|row| row.id).ne(due.iter().map(|row| row.id)) {
            self.same(&what, &ids(got), &ids(due));
        }
        for (got, due) in got.iter().zip(due) {
            self.same(&what, got, due);
        }
    }
}
