use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jobtracker_model::{
    JobId,
    commit::{CommitId, CommitOutcome},
    limits,
};
use jobtracker_store::{PageLimit, Store, VerdictRow, VerdictsQuery};
use parking_lot::Mutex;

use super::CommitSession;
use crate::{Engine, Error, Result};

/// What begins when a commit comes in.
#[derive(Debug)]
pub enum Begun {
    /// It was complete already: this is what became of it.
    Concluded(CommitOutcome),
    /// It may come in.
    Session(Box<CommitSession>),
}

/// The commits that come in at this moment.
pub(crate) type CommitsUnderWay = Arc<Mutex<HashSet<CommitId>>>;

/// A commit's place among those under way.
pub(crate) struct Place {
    pub id: CommitId,
    all: CommitsUnderWay,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Place").field(&self.id).finish()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

impl Engine {
    /// Begins to take in a commit, unless it is complete already.
    ///
    /// # Errors
    /// The same commit is coming in on another connection; the store cannot be asked.
    pub async fn begin_commit(&self, id: CommitId) -> Result<Begun> {
        let all = self.commits_under_way();
        let store = self.store();
        if !all.lock().insert(id.clone()) {
            // The place may be held a little longer than it takes to conclude the commit.
            let concluded = store.get_commit(&id).await?;
            let concluded = concluded.map(|row| Begun::Concluded(row.outcome));
            return concluded.ok_or(Error::CommitInProgress(id));
        }
        let place = Arc::new(Place { id: id.clone(), all });
        if let Some(row) = store.get_commit(&id).await? {
            return Ok(Begun::Concluded(row.outcome));
        }
        let applied = applied(&*store, &id).await?;
        Ok(Begun::Session(Box::new(CommitSession::new(self.clone(), place, applied))))
    }

    /// Whether a commit is coming in at this moment.
    #[must_use]
    pub fn is_taking_in(&self, id: &CommitId) -> bool {
        self.commits_under_way().lock().contains(id)
    }
}

/// The trees of a commit that were applied when it was sent before.
async fn applied(store: &dyn Store, id: &CommitId) -> Result<HashMap<JobId, VerdictRow>> {
    let mut applied = HashMap::new();
    let (mut after, mut detailed) = (None, 0);
    loop {
        let limit = PageLimit::items(limits::PAGE);
        let query = VerdictsQuery { commit: id.clone(), after, limit };
        let page = store.list_verdicts(query).await?;
        for mut row in page.items.into_iter().filter(|row| row.verdict.is_applied()) {
            detailed += usize::from(row.verdict.blocked > 0);
            if detailed > limits::VERDICTS_SHOWN {
                // More are never shown, and there may be very many.
                row.verdict.blocked_changes = Vec::new();
            }
            applied.insert(row.verdict.root, row);
        }
        if page.next.is_none() {
            return Ok(applied);
        }
        after = page.next;
    }
}
