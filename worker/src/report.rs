//! A report on its way, until the service has answered it.

use std::time::Duration;

use jobtracker_client::{JobTrackerClient, TaskReport, TaskReportState};
use tokio_util::sync::CancellationToken;

use crate::spool::{Spool, Spooled};

/// The pauses between calls while the service is away. Each call is tried under the policy of the
/// client first.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Sends a report until it is answered, or `abandoned`. It is in the spool meanwhile, if there is
/// one; the process may end.
pub(crate) async fn deliver(
    client: &JobTrackerClient,
    spool: Option<&Spool>,
    spooled: Spooled,
    abandoned: &CancellationToken,
) {
    if let Some(spool) = spool
        && let Err(error) = spool.keep(&spooled).await
    {
        tracing::warn!(job = %spooled.job, %error, "a report is not kept on the disk");
    }
    tokio::select! {
        () = until_answered(client, &spooled) => {}
        () = abandoned.cancelled() => {}
    }
    if let Some(spool) = spool
        && let Err(error) = spool.forget(&spooled).await
    {
        tracing::warn!(job = %spooled.job, %error, "a report stays on the disk");
    }
}

async fn until_answered(client: &JobTrackerClient, Spooled { job, report }: &Spooled) {
    let mut pause = FIRST_PAUSE;
    loop {
        match client.report_task(*job, report).await {
            Ok(_) => return,
            Err(error) if !error.is_retryable() => {
                tracing::warn!(%job, %error, "a report is not taken: another attempt may run");
                return;
            }
            Err(error) => tracing::warn!(%job, %error, "a report is sent again"),
        }
        // Workers that lost the service at the same instant do not come back at the same instant.
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The report, or a failure if the service would not take it: a result that is too large, say.
pub(crate) fn that_fits(report: TaskReport) -> TaskReport {
    match report.check() {
        Ok(()) => report,
        Err(error) => {
            let failed = TaskReport::new(report.worker, report.epoch, TaskReportState::Failed);
            failed.message(format!("the handler's answer cannot be reported: {error}"))
        }
    }
}
