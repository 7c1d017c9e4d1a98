use std::{
    collections::HashSet,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use futures_util::stream::BoxStream;
use jobtracker_client::UploadSource;
use jobtracker_model::{
    JobId,
    upload::{Record, Writer},
};

use crate::upload::{broken, read_stream, written_ahead};

/// Trees in a file, as [`save_refused`](crate::JobTrackerContext::save_refused) and
/// [`recover`](crate::JobTrackerContext::recover) leave them.
///
/// The file is an upload in the format of [`jobtracker_model::upload`], so every client can send
/// it. Here it is done with [`Uploads::upload`](jobtracker_client::Uploads::upload), under a
/// name of the caller's choice: the same name when an answer was lost, and a new one when the cause
/// of the refusal is gone, since the service remembers its answer to the other.
///
/// ```no_run
/// # use jobtracker_client::Uploads;
/// # async fn run(tracker: &dyn Uploads) -> Result<(), Box<dyn std::error::Error>> {
/// let trees = jobtracker_context::SavedTrees::open("import.refused")?;
/// let outcome = tracker.upload(&"import-again-1".parse()?, std::sync::Arc::new(trees)).await?;
/// assert_eq!(outcome.refused, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SavedTrees {
    path: PathBuf,
}

/// The size of a chunk.
const CHUNK: usize = 128 * 1024;

impl SavedTrees {
    /// The trees in this file, which is read to its end to see whether it is whole.
    ///
    /// # Errors
    /// It cannot be read, or is not a whole upload.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        read_stream(File::open(&path)?, |_| Ok(()))?;
        Ok(Self { path })
    }
}

impl UploadSource for SavedTrees {
    fn open(&self, applied: &HashSet<JobId>) -> BoxStream<'static, io::Result<Vec<u8>>> {
        let (path, applied) = (self.path.clone(), applied.clone());
        written_ahead(move |chunks| send(&path, &applied, chunks))
    }
}

/// Writes the stream anew, without the trees that the service has.
fn send(
    path: &Path,
    applied: &HashSet<JobId>,
    send: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = Writer::default();
    let mut is_applied = false;
    read_stream(File::open(path)?, |record| {
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
            other => writer.write(other).map_err(|error| broken(&error.to_string()))?,
        }
        let is_over = matches!(record, Record::End { .. });
        if is_over || writer.len() >= CHUNK { send(writer.take()) } else { Ok(()) }
    })
}
