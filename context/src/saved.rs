use std::{
    collections::HashSet,
    fs::File,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use futures_util::{StreamExt, stream, stream::BoxStream};
use jobtracker_client::CommitSource;
use jobtracker_model::{
    JobId,
    commit::{Reader, Record, StreamError, Writer},
};
use tokio::sync::mpsc;

/// Trees in a file, as [`save_refused`](crate::JobTrackerContext::save_refused) and
/// [`recover`](crate::JobTrackerContext::recover) leave them.
///
/// The file is a commit in the format of [`jobtracker_model::commit`], so every client can send it.
/// Here it is done with [`JobTracker::commit`](jobtracker_client::JobTracker::commit), under a name
/// of the caller's choice: the same name when an answer was lost, and a new one when the cause of
/// the refusal is gone, since the service remembers what it said to the other.
///
/// ```no_run
/// # use jobtracker_client::JobTracker;
/// # async fn run(tracker: &dyn JobTracker) -> Result<(), Box<dyn std::error::Error>> {
/// let trees = jobtracker_context::SavedTrees::open("import.refused")?;
/// let outcome = tracker.commit(&"import-again-1".parse()?, std::sync::Arc::new(trees)).await?;
/// assert_eq!(outcome.refused, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SavedTrees {
    path: PathBuf,
}

/// The size of a chunk, and how many wait to be sent.
const CHUNK: usize = 128 * 1024;
const CHUNKS: usize = 4;

impl SavedTrees {
    /// The trees in this file, which is read to its end to see whether it is whole.
    ///
    /// # Errors
    /// It cannot be read, or is not a whole commit.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        read(&path, |_| Ok(()))?;
        Ok(Self { path })
    }
}

impl CommitSource for SavedTrees {
    fn open(&self, applied: &HashSet<JobId>) -> BoxStream<'static, Vec<u8>> {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let (path, applied) = (self.path.clone(), applied.clone());
        tokio::task::spawn_blocking(move || {
            let sent = send(&path, &applied, &mut |bytes| {
                sender.blocking_send(bytes).map_err(|_| ErrorKind::BrokenPipe.into())
            });
            if let Err(error) = sent {
                // The stream ends without its end, and the service says so.
                tracing::error!(path = %path.display(), %error, "saved trees cannot be sent");
            }
        });
        stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        })
        .boxed()
    }
}

/// Writes the stream anew, without the trees that the service has.
fn send(
    path: &Path,
    applied: &HashSet<JobId>,
    send: &mut impl FnMut(Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = Writer::default();
    let mut is_applied = false;
    read(path, |record| {
        match record {
            Record::Header { block_updates_after_finish } => {
                writer = Writer::new(*block_updates_after_finish);
            }
            Record::Tree { root } if applied.contains(root) => is_applied = true,
            Record::TreeEnd { .. } if std::mem::take(&mut is_applied) => {}
            _ if is_applied => {}
            Record::TreeEnd { .. } => {
                writer.tree_end();
            }
            Record::End { .. } => writer.end(),
            other => writer.write(other).map_err(|error| invalid(&error.to_string()))?,
        }
        let is_over = matches!(record, Record::End { .. });
        if is_over || writer.len() >= CHUNK { send(writer.take()) } else { Ok(()) }
    })
}

/// Reads a file record by record.
fn read(path: &Path, mut take: impl FnMut(&Record<'static>) -> io::Result<()>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let (mut reader, mut chunk) = (Reader::default(), vec![0; CHUNK]);
    let broken = |error: StreamError| invalid(&error.to_string());
    loop {
        match file.read(&mut chunk)? {
            0 => return reader.finish().map_err(broken),
            length => reader.push(&chunk[..length]),
        }
        while let Some(item) = reader.next_item().map_err(broken)? {
            take(&item.record)?;
        }
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("it is not a whole commit: {reason}"))
}
