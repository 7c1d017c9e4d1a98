//! Lines of a job's log, sent in batches.

use std::time::Duration;

use jobtracker_client::limits;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::lease::Lease;

/// Lines of one attempt that wait to be sent; a handler that is faster waits.
pub(crate) const WAITING: usize = 500;
/// Lines and bytes of one request, about.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 256 * 1024;
/// How long a line waits for others.
const GATHER: Duration = Duration::from_millis(200);

/// The lines of a text, a longer one than the service takes as several.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for mut line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        while line.len() > limits::LOG_LINE {
            let (head, rest) = line.split_at(line.floor_char_boundary(limits::LOG_LINE));
            all.push(head.to_owned());
            line = rest;
        }
        all.push(line.to_owned());
    }
    all
}

/// Sends lines until the attempt has ended and none is left. Lines that cannot be sent as often as
/// the client's policy says are lost, and the log says how many.
pub(crate) async fn send(
    lease: Lease,
    mut lines: mpsc::Receiver<String>,
    ended: CancellationToken,
) {
    let mut lost = 0;
    loop {
        let first = tokio::select! {
            biased;
            first = lines.recv() => first,
            () = ended.cancelled() => None,
        };
        let Some(first) = first else { break };
        if lines.len() < BATCH {
            let _ = tokio::time::timeout(GATHER, ended.cancelled()).await;
        }
        let mut batch = gather(first, &mut lines);
        let count = batch.len();
        if lost > 0 {
            batch.insert(0, format!("({lost} lines are lost: the service did not take them)"));
        }
        match lease.append_log(batch).await {
            Ok(()) => lost = 0,
            Err(error) => {
                lost += count;
                tracing::warn!(job = %lease.job, count, %error, "lines of the log are lost");
            }
        }
    }
}

fn gather(first: String, lines: &mut mpsc::Receiver<String>) -> Vec<String> {
    let (mut bytes, mut batch) = (first.len(), vec![first]);
    while batch.len() < BATCH && bytes < BATCH_BYTES {
        let Ok(line) = lines.try_recv() else { break };
        bytes += line.len();
        batch.push(line);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_into_lines_that_fit() {
        assert_eq!(lines("a\r\nb\n\nc"), ["a", "b", "c"]);
        let long = "ä".repeat(limits::LOG_LINE);
        let cut = lines(&long);
        assert!(cut.len() == 2 && cut.iter().all(|line| line.len() <= limits::LOG_LINE));
        assert_eq!(cut.concat(), long);
    }
}
