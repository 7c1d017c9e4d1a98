use std::{collections::HashSet, time::Duration};

use jobtracker_model::{JobId, State, StateSet, Waited};
use jobtracker_store::{Version, Wanted};
use tokio::time::timeout_at;

use crate::{Engine, Error, FeedEvent, Listener, Result, Scope};

/// A job's visible state at one version of its tree.
struct Seen {
    root: JobId,
    version: Version,
    state: State,
}

impl Engine {
    /// Answers when the job's visible state is, or becomes, one of `states`, or when the time is
    /// over. Dropping the future ends the wait.
    ///
    /// Commits of this server are noticed at once. Commits of another server are noticed by a look
    /// at the tree's head, ten times a second and less often when very many trees are waited for;
    /// a state that a job was in for less time than that may go unseen.
    ///
    /// # Errors
    /// An unknown job; too many waiting callers; the engine is shutting down.
    pub async fn wait(&self, id: JobId, states: StateSet, timeout: Duration) -> Result<Waited> {
        self.check()?;
        let seen = self.look_at(id).await?;
        if states.contains(seen.state) {
            return Ok(Waited { id, reached: true, state: seen.state });
        }
        let listener = self.listen(Scope::Job { root: seen.root, id })?;
        let over = tokio::time::Instant::now() + timeout;
        match timeout_at(over, self.await_state(listener, id, states)).await {
            Ok(reached) => Ok(Waited { id, reached: true, state: reached? }),
            Err(_) => {
                let Seen { state, .. } = self.look_at(id).await?;
                Ok(Waited { id, reached: states.contains(state), state })
            }
        }
    }

    /// Answers when the job becomes, or is by then, in one of these states.
    async fn await_state(
        &self,
        mut listener: Listener,
        id: JobId,
        states: StateSet,
    ) -> Result<State> {
        loop {
            let Seen { version, state, .. } = self.look_at(id).await?;
            if states.contains(state) {
                return Ok(state);
            }
            listener.begin_at(version);
            while let FeedEvent::Committed(commit) =
                listener.next().await.ok_or(Error::ShuttingDown)?
            {
                if let Some(state) = commit.state_within(id, |state| states.contains(state)) {
                    return Ok(state);
                }
            }
        }
    }

    async fn look_at(&self, id: JobId) -> Result<Seen> {
        let wanted = Wanted { paths: HashSet::from([id]), ..Wanted::default() };
        let loaded = self.store().look_up(wanted).await?;
        let node = loaded.nodes.get(&id).ok_or(Error::JobNotFound(id))?;
        let (root, state) = (node.origin.root, node.status.state);
        let version = loaded.versions.get(&root).copied().unwrap_or(0);
        Ok(Seen { root, version, state })
    }
}
