//! One task that a worker has on lease, from its claim to its report.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use jobtracker_client::{ClaimedTask, HeldTask, JobId, TaskReport, TaskReportState as State};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinError,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    Failure, Handler, Outcome, TaskContext,
    context::Left,
    lease::Lease,
    log, report,
    spool::{Spool, Spooled},
};

/// How the worker stops an attempt, and what it says of it in its signs of life.
#[derive(Debug, Default)]
pub(crate) struct Control {
    cancelled: CancellationToken,
    progress: Arc<AtomicU8>,
    /// The lease is another one's: there is nothing to report.
    abandoned: CancellationToken,
    /// What has not ended is given back.
    giving_back: AtomicBool,
}

impl Control {
    /// Has the handler stop, and then reports what it has come to.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Has the handler stop, and gives the task back unless it has succeeded.
    pub fn give_back(&self) {
        self.giving_back.store(true, Ordering::Release);
        self.cancelled.cancel();
    }

    /// Has the handler stop, and reports nothing.
    pub fn abandon(&self) {
        self.abandoned.cancel();
        self.cancelled.cancel();
    }

    pub fn held(&self, job: JobId, epoch: u32) -> HeldTask {
        HeldTask { job, epoch, progress: Some(self.progress.load(Ordering::Relaxed)) }
    }
}

/// How an execution ended.
enum End {
    Done(Result<Outcome, JoinError>),
    /// It took longer than it may.
    TimedOut,
    /// It was to stop, and did not in the time for that.
    Stuck,
}

/// A task on lease and what runs it.
pub(crate) struct Attempt {
    pub lease: Lease,
    pub task: ClaimedTask,
    pub handler: Arc<dyn Handler>,
    pub control: Arc<Control>,
    pub spool: Option<Spool>,
    /// It is taken until the report is answered and the handler has ended, even if that goes on
    /// after it should have stopped.
    pub slot: Arc<OwnedSemaphorePermit>,
}

impl Attempt {
    /// Runs the handler and reports what has become of the attempt.
    pub async fn run(self) {
        let (sender, lines) = mpsc::channel(log::WAITING);
        let ended = CancellationToken::new();
        let logging = tokio::spawn(log::send(self.lease.clone(), lines, ended.clone()));
        let logging = AbortOnDropHandle::new(logging);
        let told = (self.control.cancelled.clone(), Arc::clone(&self.control.progress));
        let cx = TaskContext::new(self.lease.clone(), self.task.clone(), told, sender);
        let end = self.execute(cx.clone()).await;
        ended.cancel();
        let abandoned = &self.control.abandoned;
        tokio::select! {
            biased;
            () = abandoned.cancelled() => {}
            // It does not panic, and nothing else ends it.
            _ = logging => {}
        }
        if abandoned.is_cancelled() {
            let (job, epoch) = (self.lease.job, self.lease.epoch);
            return tracing::info!(%job, epoch, "an attempt is abandoned: its lease is lost");
        }
        let report = report::that_fits(self.report(end, cx.left()));
        let spooled = Spooled { job: self.lease.job, report };
        report::deliver(&self.lease.client, self.spool.as_ref(), spooled, abandoned).await;
    }

    async fn execute(&self, cx: TaskContext) -> End {
        let (handler, slot) = (Arc::clone(&self.handler), Arc::clone(&self.slot));
        let running = tokio::spawn(async move {
            let _slot = slot;
            handler.execute(cx).await
        });
        let mut running = AbortOnDropHandle::new(running);
        let over = async {
            match self.task.execution_ms {
                Some(most) => tokio::time::sleep(Duration::from_millis(most)).await,
                None => std::future::pending().await,
            }
        };
        let is_over = tokio::select! {
            done = &mut running => return End::Done(done),
            () = over => true,
            () = self.control.cancelled.cancelled() => false,
        };
        self.control.cancelled.cancel();
        let grace = Duration::from_millis(self.task.cancel_grace_ms);
        match tokio::time::timeout(grace, &mut running).await {
            _ if is_over => End::TimedOut,
            Ok(done) => End::Done(done),
            Err(_) => End::Stuck,
        }
    }

    /// The report of how an execution ended.
    fn report(&self, end: End, Left { data, next_at }: Left) -> TaskReport {
        let is_given_back = self.control.giving_back.load(Ordering::Acquire);
        let (state, message, result) = match end {
            End::Done(Ok(Ok(success))) => (State::Succeeded, success.message, success.result),
            End::TimedOut => (State::Timeout, Some("it took longer than it may".into()), None),
            _ if is_given_back => {
                (State::HandedBack, Some("its worker stops, or was cut off".into()), None)
            }
            End::Done(Ok(Err(Failure::Failed(why)))) => (State::Failed, Some(why), None),
            End::Done(Ok(Err(Failure::Rejected(why)))) => (State::Rejected, Some(why), None),
            End::Done(Ok(Err(Failure::Paused(why)))) => (State::Paused, Some(why), None),
            End::Done(Err(error)) => (State::Failed, Some(panicked(error)), None),
            End::Stuck => (State::Failed, Some("it did not stop in time".into()), None),
        };
        let message = message.filter(|message| !message.is_empty());
        TaskReport { message, result, data, next_at, ..self.lease.report(state) }
    }
}

fn panicked(error: JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else { return "the handler was stopped".into() };
    format!("the handler panicked: {}", words_of(&*payload))
}

fn words_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}
