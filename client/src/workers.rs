use std::{collections::BTreeMap, time::Duration};

use jobtracker_model::{
    CancelledTree, ClaimTasks, ClaimedTask, ClaimedTasks, Created, CreatedChildren, HandlerView,
    Heartbeat, JobId, KickWorker, LogAppended, NewWorker, Orders, Page, TaskChildren, TaskLog,
    TaskReport, TaskReported, TaskView, WorkerRegistered, WorkerView,
};

use reqwest::Method;

use crate::{JobTrackerClient, Result, call::Call, endpoints::repeat_id};

/// What workers say, and what is said of them. A program that runs tasks uses `jobtracker-worker`,
/// which calls these.
impl JobTrackerClient {
    /// Registers a worker: one start of a process.
    ///
    /// # Errors
    /// `invalid_field`, `worker_kicked` while workers of its name are kept out, `too_many_workers`.
    pub async fn register_worker(&self, worker: &NewWorker) -> Result<WorkerRegistered> {
        self.http.json(Call::post("api/v1/workers", worker)?).await
    }

    /// Claims up to `free` tasks; waits for one if there is none.
    ///
    /// # Errors
    /// `worker_not_found`, `worker_kicked`, `worker_draining`.
    pub async fn claim_tasks(
        &self,
        worker: &str,
        free: u32,
        wait: Duration,
    ) -> Result<Vec<ClaimedTask>> {
        let has = BTreeMap::new();
        self.claim_tasks_with(worker, &ClaimTasks { free, wait_ms: millis(wait), has }).await
    }

    /// Likewise, for a worker that says how many tasks it has of each key of a `filter.perWorker`.
    ///
    /// # Errors
    /// `invalid_field`, `worker_not_found`, `worker_kicked`, `worker_draining`.
    pub async fn claim_tasks_with(
        &self,
        worker: &str,
        claim: &ClaimTasks,
    ) -> Result<Vec<ClaimedTask>> {
        let call = of_worker(worker, "claim", claim)?;
        let wait = Duration::from_millis(claim.wait_ms);
        let claimed: ClaimedTasks = self.http.json(call.slow(wait).once()).await?;
        Ok(claimed.tasks)
    }

    /// Gives a sign of life; answers with orders at once, or when there are some, or when its time
    /// is over.
    ///
    /// # Errors
    /// `worker_not_found`, `worker_kicked`.
    pub async fn heartbeat(&self, worker: &str, heartbeat: &Heartbeat) -> Result<Orders> {
        let wait = Duration::from_millis(heartbeat.wait_ms);
        self.http.json(of_worker(worker, "heartbeat", heartbeat)?.slow(wait).once()).await
    }

    /// Has a worker finish what it has. Safe to repeat.
    ///
    /// # Errors
    /// `worker_not_found`.
    pub async fn drain_worker(&self, worker: &str) -> Result<WorkerView> {
        let mut call = Call::new(Method::POST, "api/v1/workers".to_owned()).key(worker)?;
        call.path.push_str("/drain");
        self.http.json(call).await
    }

    /// Keeps a worker, and all of its name, out for some time. Safe to repeat.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an operator, `worker_not_found`, `invalid_field`.
    pub async fn kick_worker(&self, worker: &str, ban: Duration) -> Result<WorkerView> {
        self.http.json(of_worker(worker, "kick", &KickWorker { ban_ms: millis(ban) })?).await
    }

    /// Has the service forget a worker.
    ///
    /// # Errors
    /// `worker_not_found`.
    pub async fn leave_worker(&self, worker: &str) -> Result<()> {
        self.http.send(Call::delete("api/v1/workers").key(worker)?).await.map(drop)
    }

    /// All workers, by id.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn workers(&self) -> Result<Vec<WorkerView>> {
        let page: Page<WorkerView> = self.http.json(Call::get("api/v1/workers")).await?;
        Ok(page.items)
    }

    /// The handlers that workers offer, by name.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn handlers(&self) -> Result<Vec<HandlerView>> {
        let page: Page<HandlerView> = self.http.json(Call::get("api/v1/handlers")).await?;
        Ok(page.items)
    }

    /// The task of a job.
    ///
    /// # Errors
    /// `job_not_found`, `task_not_found`.
    pub async fn task(&self, job: JobId) -> Result<TaskView> {
        self.http.json(Call::get(format!("api/v1/jobs/{job}/task"))).await
    }

    /// Reports what has become of a task, for the worker that has it on lease. Safe to repeat.
    ///
    /// # Errors
    /// `stale_lease` if it has it no more, `job_not_found`, `task_not_found`, `invalid_field`.
    pub async fn report_task(&self, job: JobId, report: &TaskReport) -> Result<TaskReported> {
        self.http.json(of_task(job, "report", report)?).await
    }

    /// Creates children of a job whose task the worker has on lease.
    ///
    /// # Errors
    /// `stale_lease`; otherwise as for any children.
    pub async fn create_children_of_task(
        &self,
        job: JobId,
        mut children: TaskChildren,
    ) -> Result<Vec<Created>> {
        let deadline = self.http.deadline();
        self.ids.fill(&mut children.jobs, deadline).await?;
        let call = of_task(job, "children", &children)?.compressible().by(deadline);
        let created: CreatedChildren = self.http.json(call).await?;
        Ok(created.items)
    }

    /// Appends lines to the log of a job whose task the worker has on lease.
    ///
    /// # Errors
    /// `stale_lease`; otherwise as for any lines.
    pub async fn append_log_of_task(&self, job: JobId, mut log: TaskLog) -> Result<LogAppended> {
        log.append_id.get_or_insert_with(repeat_id);
        self.http.json(of_task(job, "log", &log)?.compressible()).await
    }

    /// Cancels a task. Safe to repeat.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an operator, `job_not_found`, `task_not_found`.
    pub async fn cancel_task(&self, job: JobId) -> Result<TaskView> {
        self.http.json(order(job, "cancel")).await
    }

    /// Cancels a job with all that is open below it: what no worker has ends at once, the workers
    /// that have the others are asked to stop. It is asked for until all are, or until it ends none
    /// any more and the answer has `more`: then the others are reached only when those that are
    /// stopping have stopped. Safe to repeat.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an operator, `job_not_found`.
    pub async fn cancel_tree(&self, job: JobId) -> Result<CancelledTree> {
        let mut all = CancelledTree::default();
        loop {
            let call = Call::new(Method::POST, format!("api/v1/jobs/{job}/cancel"));
            let cancelled: CancelledTree = self.http.json(call).await?;
            // Those that are stopping are met again each time.
            all = CancelledTree { ended: all.ended + cancelled.ended, ..cancelled };
            if !cancelled.more || cancelled.ended == 0 {
                return Ok(all);
            }
        }
    }

    /// Keeps workers from claiming a task. Safe to repeat.
    ///
    /// # Errors
    /// As [`cancel_task`](Self::cancel_task); `task_is_running`.
    pub async fn pause_task(&self, job: JobId) -> Result<TaskView> {
        self.http.json(order(job, "pause")).await
    }

    /// Lets workers claim a task that was paused or held. Safe to repeat.
    ///
    /// # Errors
    /// As [`cancel_task`](Self::cancel_task).
    pub async fn resume_task(&self, job: JobId) -> Result<TaskView> {
        self.http.json(order(job, "resume")).await
    }
}

fn of_worker(worker: &str, act: &str, body: &impl serde::Serialize) -> Result<Call> {
    let mut call = Call::post("api/v1/workers", body)?.key(worker)?;
    call.path.extend(["/", act]);
    Ok(call)
}

fn of_task(job: JobId, act: &str, body: &impl serde::Serialize) -> Result<Call> {
    Call::post(format!("api/v1/jobs/{job}/task/{act}"), body)
}

/// A request without a body.
fn order(job: JobId, act: &str) -> Call {
    Call::new(Method::POST, format!("api/v1/jobs/{job}/task/{act}"))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
