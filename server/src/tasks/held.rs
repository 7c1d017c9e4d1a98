//! What workers have on lease: what they say of it, and what they are told.

use std::{collections::HashSet, time::Duration};

use jobtracker_model::{Heartbeat, HeldTask, JobId, NewTask, Orders, TaskReport, TaskReportState};
use jobtracker_store::{FollowUp, FollowUpKey, TaskRow, Wanted};

use super::{
    Dispatch,
    workers::{Held, WorkerError},
};
use crate::clock;

/// How often the progress of a task is written down, at most.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

impl Dispatch {
    /// Notes that a worker was heard of; answers what it is to do.
    pub async fn heartbeat(&self, id: &str, heartbeat: Heartbeat) -> Result<Orders, WorkerError> {
        heartbeat.check()?;
        let Heartbeat { load, tasks, wait_ms } = heartbeat;
        // It is heard of again before its leases end.
        let wait = Duration::from_millis(wait_ms).min(self.workers.lease() / 3);
        let running = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
        // One that waits has no room for all of this.
        let document = Box::pin(self.workers.hear(id, Some((running, load)))).await?;
        Box::pin(self.note_progress(id, &tasks)).await?;
        Box::pin(self.give_back_unnamed(id, &tasks)).await?;
        let orders = Box::pin(self.orders(id, &tasks, document.draining)).await?;
        if orders != Orders::default() || wait.is_zero() {
            return Ok(orders);
        }
        let told = self.workers.with(id, |known| known.orders.clone())?;
        if tokio::time::timeout(wait, told.notified()).await.is_err() {
            return Ok(orders);
        }
        let document = Box::pin(self.workers.standing(id)).await?;
        Box::pin(self.orders(id, &tasks, document.draining)).await
    }

    async fn orders(
        &self,
        id: &str,
        tasks: &[HeldTask],
        drain: bool,
    ) -> Result<Orders, WorkerError> {
        let mut orders = Orders { drain, ..Orders::default() };
        if tasks.is_empty() {
            return Ok(orders);
        }
        let follow_ups = tasks.iter().map(|task| (task.job, FollowUpKey::Task)).collect();
        let wanted = Wanted { follow_ups, ..Wanted::default() };
        let loaded = self.store.look_up(wanted).await?;
        for HeldTask { job, epoch, .. } in tasks {
            let lease = match loaded.follow_ups.get(&(*job, FollowUpKey::Task)) {
                Some(FollowUp::Task(row)) if row.epoch == *epoch => row.lease(),
                _ => None,
            };
            match lease.filter(|lease| lease.worker == id) {
                None => orders.abandon.push(*job),
                Some(lease) if lease.cancel.is_some() => orders.cancel.push(*job),
                Some(_) => {}
            }
        }
        Ok(orders)
    }

    async fn note_progress(&self, id: &str, tasks: &[HeldTask]) -> Result<(), WorkerError> {
        let now = clock::now();
        let news: Vec<HeldTask> = self.workers.with(id, |known| {
            let is_news = |task: &&HeldTask| {
                let fresh = Held { epoch: task.epoch, since: now, progress: 0, told: now };
                let held = known.held.entry(task.job).or_insert(fresh);
                if held.epoch != task.epoch {
                    *held = fresh;
                }
                held.since = now;
                let progress = task.progress.unwrap_or(0);
                let is_due = held.told.after(PROGRESS_EVERY) <= now;
                let is_news = held.epoch == task.epoch && progress > held.progress && is_due;
                if is_news {
                    (held.progress, held.told) = (progress, now);
                }
                is_news
            };
            tasks.iter().filter(is_news).copied().collect()
        })?;
        let noting = news.into_iter().map(|HeldTask { job, epoch, progress }| {
            let report = TaskReport::new(id, epoch, TaskReportState::Progress);
            self.engine.report_task(job, TaskReport { progress, ..report })
        });
        // A lease that has ended is told by the orders.
        futures_util::future::join_all(noting).await;
        Ok(())
    }

    /// Gives back what a worker has on lease and does not know of: it has not named it for as long
    /// as it takes to be heard of once. The answer to its claim was lost.
    async fn give_back_unnamed(&self, id: &str, tasks: &[HeldTask]) -> Result<(), WorkerError> {
        let (now, patience) = (clock::now(), self.workers.lease() / 3);
        let named: HashSet<JobId> = tasks.iter().map(|task| task.job).collect();
        let unnamed: Vec<(JobId, Held)> = self.workers.with(id, |known| {
            let is_lost = |job: &JobId, held: &mut Held| {
                !named.contains(job) && held.since.after(patience) <= now
            };
            known.held.extract_if(is_lost).collect()
        })?;
        let unnamed = unnamed.into_iter().map(|(job, held)| (job, held.epoch)).collect();
        self.hand_back(id, unnamed, "it has not named it").await;
        Ok(())
    }

    /// Gives back what a worker has on lease; no attempt is used.
    pub async fn hand_back(&self, id: &str, leases: Vec<(JobId, u32)>, why: &str) {
        let back = leases.into_iter().map(|(job, epoch)| {
            let report = TaskReport::new(id, epoch, TaskReportState::HandedBack);
            self.engine.report_task(job, report.message(why))
        });
        // One that it has reported meanwhile is not on lease any more; others end when due.
        futures_util::future::join_all(back).await;
    }

    /// Ends leases whose worker has gone.
    pub async fn lose(&self, leases: Vec<(JobId, u32)>, why: &str) {
        let lost = leases.into_iter().map(|(job, epoch)| async move {
            if let Err(error) = self.engine.lose_lease(job, epoch, why.to_owned()).await {
                tracing::warn!(%job, epoch, %error, "a lease ends by itself later");
            }
        });
        futures_util::future::join_all(lost).await;
    }

    /// Notes what a worker has on lease from now on.
    pub(super) fn hold(&self, id: &str, job: JobId, row: &TaskRow) {
        let now = clock::now();
        let held = Held { epoch: row.epoch, since: now, progress: 0, told: now };
        // A worker that was forgotten meanwhile hears of it by its next heartbeat.
        let _ = self.workers.with(id, |known| known.held.insert(job, held));
    }

    /// Notes that a worker has ended a task.
    pub fn release(&self, id: &str, job: JobId, task: &NewTask) {
        let _ = self.workers.with(id, |known| known.held.remove(&job));
        self.state.lock().note_end(id, &task.filter);
    }
}
