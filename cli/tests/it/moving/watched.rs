use std::{collections::VecDeque, sync::Arc, sync::Mutex};

use async_trait::async_trait;
use jobtracker_model::{JobId, LogLine};
use jobtracker_store::{
    Error, Held, Listed, Result, Row, RowsQuery, StageId, Store, TreeCommit, Wanted,
};
use jobtracker_store_suite::{Hooks, Through};

use tokio::sync::Semaphore;

use super::now;

/// A store that records its calls, and that changes or fails on request.
pub type Watched = Through<Watch>;

/// What is recorded, and what was requested.
pub struct Watch {
    /// The changes to make after each page of rows, one at a time.
    meddling: Mutex<VecDeque<Meddle>>,
    turn: tokio::sync::Mutex<()>,
    /// How the next calls that change the store answer: that they failed, or that the outcome is
    /// unknown, though they succeeded.
    pub failing: Mutex<VecDeque<Fail>>,
    pub most: Mutex<Most>,
}

/// What other clients do to the store meanwhile.
pub enum Meddle {
    /// They create a tree.
    Plant(TreeCommit),
    /// They append a line to the log of a root.
    Append(JobId),
}

/// The answer of a commit or a stage.
pub enum Fail {
    Not,
    Unavailable,
    Unknown,
    /// The usual answer, once the call is let go on.
    Waits {
        came: Arc<Semaphore>,
        goes_on: Arc<Semaphore>,
    },
}

/// The largest number of each kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct Most {
    pub listed: usize,
    pub staged: usize,
    pub committed: usize,
    pub stages: usize,
}

impl Watch {
    pub fn over(
        store: &Arc<dyn Store>,
        meddling: impl IntoIterator<Item = Meddle>,
    ) -> Arc<Watched> {
        let watch = Self {
            meddling: Mutex::new(meddling.into_iter().collect()),
            turn: tokio::sync::Mutex::default(),
            failing: Mutex::default(),
            most: Mutex::default(),
        };
        Through::new(Arc::clone(store), watch)
    }

    /// How many changes are left.
    pub fn left(&self) -> usize {
        self.meddling.lock().unwrap().len()
    }

    async fn meddle(&self, store: &dyn Store) {
        // Pages are read concurrently, and two concurrent appends would conflict.
        let _one = self.turn.lock().await;
        // Others come while this read has its turn, and wait for it: one that is not polled on with
        // the turn in its hands would stop all of them.
        tokio::task::yield_now().await;
        let next = self.meddling.lock().unwrap().pop_front();
        let commit = match next {
            None => return,
            Some(Meddle::Plant(tree)) => tree,
            Some(Meddle::Append(root)) => Self::append(store, root).await,
        };
        store.commit(vec![commit]).await.remove(0).unwrap();
    }

    async fn append(store: &dyn Store, root: JobId) -> TreeCommit {
        let wanted = Wanted { paths: [root].into(), ..Wanted::default() };
        let loaded = store.load(wanted).await.unwrap();
        let mut status = loaded.nodes[&root].status.clone();
        let line = LogLine {
            line: status.log_lines,
            time: now(),
            attempt: None,
            text: "meanwhile".into(),
        };
        let before = Some(status.state);
        status.log_lines += 1;
        let rows = vec![
            Row::LogLine { id: root, line },
            Row::Status { id: root, parent: None, before, status },
        ];
        TreeCommit { root, expected: loaded.versions[&root], rows, publishes: None }
    }

    fn next_failure(&self) -> Fail {
        self.failing.lock().unwrap().pop_front().unwrap_or(Fail::Not)
    }
}

#[async_trait]
impl Hooks for Watch {
    async fn commit(&self, store: &dyn Store, commits: Vec<TreeCommit>) -> Vec<Result<()>> {
        let rows = commits.iter().map(|commit| commit.rows.len()).sum();
        self.most.lock().unwrap().committed.max_with(rows);
        let trees = commits.len();
        match self.next_failure() {
            Fail::Not => store.commit(commits).await,
            Fail::Unavailable => vec![Err(Error::Unavailable("a test".into())); trees],
            Fail::Waits { came, goes_on } => {
                came.add_permits(1);
                goes_on.acquire().await.unwrap().forget();
                store.commit(commits).await
            }
            Fail::Unknown => {
                store.commit(commits).await;
                vec![Err(Error::OutcomeUnknown("a test".into())); trees]
            }
        }
    }

    async fn stage(
        &self,
        store: &dyn Store,
        stage: StageId,
        root: JobId,
        rows: Vec<Row>,
    ) -> Result<()> {
        {
            let mut most = self.most.lock().unwrap();
            most.staged.max_with(rows.len());
            most.stages += 1;
        }
        match self.next_failure() {
            Fail::Not => store.stage(stage, root, rows).await,
            _ => Err(Error::Unavailable("a test".into())),
        }
    }

    async fn list_rows(&self, store: &dyn Store, query: RowsQuery) -> Result<Listed<Row, JobId>> {
        let page = store.list_rows(query).await;
        if let Ok(page) = &page {
            self.most.lock().unwrap().listed.max_with(page.items.len());
        }
        self.meddle(store).await;
        page
    }

    /// None: of an instant that is held, pages would be read past this watch, and of changes
    /// meanwhile nothing would be seen.
    async fn hold(&self, _: &dyn Store) -> Result<Option<Arc<dyn Held>>> {
        Ok(None)
    }
}

trait MaxWith {
    fn max_with(&mut self, other: Self);
}

impl MaxWith for usize {
    fn max_with(&mut self, other: Self) {
        *self = other.max(*self);
    }
}
