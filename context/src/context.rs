use std::sync::Arc;

use jobtracker_client::ListPage;
use jobtracker_model::{
    CheckedJob, Definition, FieldError, JobId, NewChange, NewJob, NewLogLines, Page, State, Updated,
};

use crate::{
    ContextJob, Discarded, Error, Flushed, Result, Stats,
    budget::{Cost, Share},
    flush::detached,
    follow_ups::FollowUps,
    inner::Inner,
    tree::{Creation, Planted, Recording},
};

/// Records jobs and their changes in memory and sends them at once.
///
/// A clone is a handle of the same context, and cheap. All of them may be used at the same time,
/// by any number of tasks. It must be used inside a tokio runtime with time enabled.
///
/// # What holds for every method that records
/// - **Rules**: what can be recorded, and what follows from it, is what the service would say if
///   everything in the context were committed; also the limits are the same. A job that is not in
///   the buffer is loaded from the service, with all above it, and stays in the buffer until what
///   was recorded of it has been sent. If another program changes it meanwhile, the service decides
///   by the rules when the upload arrives, and says so in [`Flushed`].
/// - **Durable**: with the next successful [`flush`](Self::flush) or
///   [`commit_and_close`](Self::commit_and_close). With a journal it survives the process before
///   that: see [`Fsync`](crate::Fsync).
/// - **Errors**: nothing has been recorded then.
/// - **Dropped**: a future that is dropped before it is ready has recorded nothing.
#[derive(Clone)]
pub struct JobTrackerContext {
    pub(crate) inner: Arc<Inner>,
}

/// How often a path is loaded when jobs leave the buffer meanwhile.
const RELOADS: u32 = 8;

impl JobTrackerContext {
    /// Creates a job: a root, or a child of `job.parent`. Its id is final at once.
    ///
    /// A job without an id gets one that is reserved for it; that waits for the service only if
    /// they are used faster than they are reserved. With an id of the caller's, the same job again
    /// is the job that is there.
    ///
    /// Its actions and checks begin to count when it is sent: the actions that name the state in
    /// which it becomes visible then fire once (WaitingToRun fires nothing), and no state that it
    /// went through before does.
    ///
    /// # Errors
    /// As the service would answer: [`Field`](Error::Field),
    /// [`ParentNotFound`](Error::ParentNotFound), [`ParentIsSelf`](Error::ParentIsSelf),
    /// [`TooDeep`](Error::TooDeep), [`IdConflict`](Error::IdConflict). Whether the service has
    /// another job with an id of the caller's turns out only when it is sent.
    /// [`NoIds`](Error::NoIds), [`IdsUsedUp`](Error::IdsUsedUp), [`Full`](Error::Full),
    /// [`TreeFull`](Error::TreeFull), [`Load`](Error::Load), [`Closed`](Error::Closed),
    /// [`Journal`](Error::Journal).
    pub async fn create(&self, job: NewJob) -> Result<JobId> {
        let (chosen, parent) = (job.id, job.parent);
        if let Some(id) = chosen.filter(|id| parent == Some(*id)) {
            return Err(Error::ParentIsSelf(id));
        }
        let CheckedJob { definition, actions, checks, task, .. } = job.try_into()?;
        if task.is_some() {
            let reason = "is not recorded in a buffer; create the job by the client";
            return Err(FieldError::new("task", reason).into());
        }
        let mut definition = Arc::new(definition);
        let follow_ups = FollowUps::of(actions, checks);
        let cost = Cost::creation(&definition, follow_ups.as_deref());
        let share = self.room(cost).await?;
        loop {
            let id = match chosen {
                Some(id) => id,
                None => self.inner.ids.next().await?,
            };
            let follow_ups = follow_ups.clone();
            let creation = Creation { id, parent, definition, follow_ups, cost };
            match self.plant(creation).await? {
                Planted::New => {
                    self.recorded(share);
                    return Ok(id);
                }
                Planted::Taken(creation) if chosen.is_some() => {
                    self.compare(creation).await?;
                    return Ok(id);
                }
                // A caller has chosen an id that it had not reserved.
                Planted::Taken(creation) => definition = creation.definition,
            }
        }
    }

    /// Reports a state of a job.
    ///
    /// A message or a reason code that is too long is [shortened](NewChange::shortened). A finished
    /// job answers `applied: false` and stays as it is, unless the context is set up otherwise.
    /// With a change id of the caller's, the same change again changes nothing; once the job has
    /// left the buffer, the service notices the repeat.
    ///
    /// What a change [expects](NewChange::expect) is compared with what the context knows. It is
    /// not sent: it does not cover changes by others until the upload arrives.
    ///
    /// # Errors
    /// As the service would answer: [`Field`](Error::Field),
    /// [`UnexpectedState`](Error::UnexpectedState), [`StateNotAllowed`](Error::StateNotAllowed),
    /// [`JobNotFound`](Error::JobNotFound), [`RepeatConflict`](Error::RepeatConflict),
    /// [`TooManyChanges`](Error::TooManyChanges). [`Full`](Error::Full), [`Load`](Error::Load),
    /// [`Closed`](Error::Closed), [`Journal`](Error::Journal).
    pub async fn update(&self, id: JobId, change: NewChange) -> Result<Updated> {
        let change = change.shortened();
        change.check()?;
        if change.state == State::WaitingForActivation {
            return Err(Error::StateNotAllowed(change.state));
        }
        let cost = Cost::change([&change.message, &change.reason_code, &change.change_id]);
        let share = self.room(cost).await?;
        let clock = &self.inner.clock;
        let update = |at: &mut Recording<'_>| at.update(change, clock(), cost);
        let updated = self.at(id, Error::JobNotFound(id), update).await?;
        if updated.applied && !updated.repeated {
            self.recorded(share);
        }
        Ok(updated)
    }

    /// Replaces the options of a job, up to 64 KiB, or takes them away.
    ///
    /// # Errors
    /// [`Field`](Error::Field), [`JobNotFound`](Error::JobNotFound), and those of
    /// [`update`](Self::update) that have nothing to do with its state.
    pub async fn update_options(&self, id: JobId, options: Option<String>) -> Result<()> {
        Definition::check_options(options.as_deref())?;
        let cost = Cost::options(options.as_deref());
        let share = self.room(cost).await?;
        let set = |at: &mut Recording<'_>| at.set_options(options, cost);
        self.at(id, Error::JobNotFound(id), set).await?;
        self.recorded(share);
        Ok(())
    }

    /// Appends 1 to 1,000 lines of up to 8 KiB to the log of a job.
    ///
    /// # Errors
    /// [`Field`](Error::Field), [`JobNotFound`](Error::JobNotFound), [`LogFull`](Error::LogFull),
    /// and those of [`update`](Self::update) that have nothing to do with its state.
    pub async fn append_log(&self, id: JobId, lines: Vec<String>) -> Result<()> {
        let lines = NewLogLines { lines, append_id: None };
        lines.check()?;
        let lines = lines.lines;
        let cost = Cost::lines(&lines);
        let share = self.room(cost).await?;
        let clock = &self.inner.clock;
        let append = |at: &mut Recording<'_>| at.append(lines, clock(), cost);
        self.at(id, Error::JobNotFound(id), append).await?;
        self.recorded(share);
        Ok(())
    }

    /// A job as it is with everything in the buffer: visible state, numbers, times. If nothing in
    /// the buffer is about it or below it, the service is asked.
    ///
    /// # Errors
    /// [`Load`](Error::Load) if the service could not be asked.
    pub async fn get(&self, id: JobId) -> Result<Option<ContextJob>> {
        if let Some(job) = self.inner.buffer.get(id) {
            return Ok(Some(job));
        }
        let since = self.inner.buffer.departures();
        let path = self.inner.paths.get(id, since).await?;
        let node = path.and_then(|path| path.first().cloned());
        Ok(node.map(|node| ContextJob { node, definition: None, is_buffered: false }))
    }

    /// A page of the children of a job that are in the buffer, in the order in which they came into
    /// it: 200 of them, or as many as the page asks for, up to 1,000. Those that only the service
    /// has are not among them: [`Lists::children`](jobtracker_client::Lists::children) lists
    /// these.
    ///
    /// # Errors
    /// [`InvalidCursor`](Error::InvalidCursor), also when the job where the page before ended has
    /// been sent meanwhile.
    pub fn children(&self, id: JobId, page: &ListPage) -> Result<Page<ContextJob>> {
        let children = self.inner.buffer.look(id, |tree, slot| tree.children(slot, page));
        children.unwrap_or(Ok(Page { items: Vec::new(), next_cursor: None }))
    }

    /// Sends what was recorded so far and goes on. Operations that are recorded meanwhile wait for
    /// the next flush.
    ///
    /// Everything goes in one upload, unless it is more than an upload may have: then in several,
    /// but no tree in two of them. For each tree all becomes visible at one instant, or nothing.
    /// Jobs of which everything has been sent leave the buffer. Several flushes at once wait for
    /// each other. A flush whose future is dropped goes on.
    ///
    /// # Errors
    /// [`Flush`](Error::Flush) if it could not be sent, or the answer was lost. It is kept then,
    /// and safe to flush again: nothing is applied twice. [`Refused`](Error::Refused) if all was
    /// sent and trees were refused, now or by a flush in the background.
    pub async fn flush(&self) -> Result<Flushed> {
        detached(Arc::clone(&self.inner).flush()).await
    }

    /// Sends everything and closes the context: nothing can be recorded any more, by no handle.
    ///
    /// It does what [`flush`](Self::flush) does. If it cannot be sent, the context stays open with
    /// everything in it, so that this can be called again.
    ///
    /// # Errors
    /// Those of [`flush`](Self::flush); after [`Refused`](Error::Refused) the context is closed.
    pub async fn commit_and_close(&self) -> Result<Flushed> {
        detached(Arc::clone(&self.inner).commit_and_close()).await
    }

    /// Throws away what has not been sent and closes the context, the journal included; says how
    /// much it was. Waits for a flush that is under way.
    ///
    /// # Errors
    /// [`Closed`](Error::Closed) if it was closed before; [`Journal`](Error::Journal).
    pub async fn close(&self) -> Result<Discarded> {
        detached(Arc::clone(&self.inner).close()).await
    }

    /// Makes durable in the journal what has been recorded so far. Without a journal it does
    /// nothing.
    ///
    /// # Errors
    /// [`Journal`](Error::Journal).
    pub async fn sync(&self) -> Result<()> {
        match self.inner.buffer.journal() {
            Some(journal) => journal.sync().await,
            None => Ok(()),
        }
    }

    /// The content of the context now, and what the context has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    async fn plant(&self, creation: Creation) -> Result<Planted> {
        let Inner { buffer, clock, .. } = &*self.inner;
        let Some(parent) = creation.parent else { return buffer.plant(creation, clock()) };
        let create = |at: &mut Recording<'_>| at.create_child(creation, clock());
        self.at(parent, Error::ParentNotFound(parent), create).await
    }

    /// Records an operation on a job, which is loaded if it is not in the buffer.
    async fn at<T>(
        &self,
        id: JobId,
        absent: Error,
        op: impl FnOnce(&mut Recording<'_>) -> Result<T>,
    ) -> Result<T> {
        let Inner { buffer, paths, .. } = &*self.inner;
        let mut op = match buffer.at(id, op) {
            Ok(recorded) => return recorded,
            Err(op) => op,
        };
        for reloads in (0..RELOADS).rev() {
            let begun = buffer.departures();
            let Some(path) = paths.get(id, begun).await? else { return Err(absent) };
            let begun = (reloads > 0).then_some(begun);
            op = match buffer.at_path(&path, begun, op) {
                Ok(recorded) => return recorded,
                Err(op) => op,
            };
        }
        unreachable!("the last path is taken as it is")
    }

    /// A job has the id of a new one already: it must be the same job.
    async fn compare(&self, creation: Creation) -> Result<()> {
        let id = creation.id;
        let known = self.inner.buffer.look(id, |tree, slot| {
            let job = tree.nodes.get(slot);
            let parent = tree.parent_id(slot);
            let is_same = |definition: &Arc<Definition>| {
                parent == creation.parent
                    && definition.is_same(&creation.definition)
                    && job.follow_ups() == creation.follow_ups.as_ref()
            };
            job.definition.as_ref().map(is_same)
        });
        match known {
            Some(Some(true)) => Ok(()),
            Some(Some(false)) => Err(Error::IdConflict(id)),
            // The service has the job with its definition, so this creates nothing.
            Some(None) | None => self.inner.compare_there(creation).await,
        }
    }

    /// Room for an operation, as soon as there is some.
    async fn room(&self, cost: Cost) -> Result<Share<'_>> {
        match self.inner.try_room(cost)? {
            Some(share) => Ok(share),
            None => self.inner.wait_for_room(cost).await,
        }
    }

    fn recorded(&self, share: Share<'_>) {
        share.keep();
        self.inner.recorded();
    }
}

impl std::fmt::Debug for JobTrackerContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobTrackerContext").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
