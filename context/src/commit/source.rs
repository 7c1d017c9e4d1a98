use std::{borrow::Cow, collections::HashSet, sync::Arc};

use futures_util::{StreamExt, stream, stream::BoxStream};
use jobtracker_client::CommitSource;
use jobtracker_model::{
    Change, FieldError, JobId, NewChange,
    commit::{Record, Writer},
};
use tokio::sync::mpsc;

use super::{Batch, BatchTree};
use crate::{
    follow_ups::FollowUps,
    tree::{FrozenCreation, FrozenJob, NONE, Note},
};

/// The size of a chunk, and how many wait to be sent.
const CHUNK: usize = 128 * 1024;
const CHUNKS: usize = 4;

/// A batch that is sent. Each opening writes the same stream anew, on a thread of its own, a few
/// chunks ahead of the network.
pub(crate) struct Sending(pub Arc<Batch>);

impl CommitSource for Sending {
    fn open(&self, applied: &HashSet<JobId>) -> BoxStream<'static, Vec<u8>> {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let (batch, applied) = (Arc::clone(&self.0), applied.clone());
        tokio::task::spawn_blocking(move || {
            let mut out = Out { writer: Writer::new(batch.block_updates_after_finish), sender };
            match write(&batch, &applied, &mut out) {
                Ok(()) | Err(Stop::NobodyListens) => {}
                // The stream ends without its end, and the service says so.
                Err(Stop::Unwritable(error)) => {
                    tracing::error!(commit = %batch.id, %error, "a commit cannot be written");
                }
            }
        });
        stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        })
        .boxed()
    }
}

/// Why a stream is not written to its end.
enum Stop {
    NobodyListens,
    Unwritable(FieldError),
}

impl From<FieldError> for Stop {
    fn from(error: FieldError) -> Self {
        Self::Unwritable(error)
    }
}

struct Out {
    writer: Writer,
    sender: mpsc::Sender<Vec<u8>>,
}

impl Out {
    fn write(&mut self, record: &Record<'_>) -> Result<(), Stop> {
        self.writer.write(record)?;
        if self.writer.len() >= CHUNK { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Stop> {
        self.sender.blocking_send(self.writer.take()).map_err(|_| Stop::NobodyListens)
    }
}

fn write(batch: &Batch, applied: &HashSet<JobId>, out: &mut Out) -> Result<(), Stop> {
    for tree in batch.trees.iter().filter(|tree| !applied.contains(&tree.tree.root)) {
        out.write(&Record::Tree { root: tree.tree.root })?;
        // The format wants the jobs that the service has before the new ones.
        let (old, new): (Vec<_>, Vec<_>) = tree.jobs.iter().partition(|job| job.creation.is_none());
        for job in old.into_iter().chain(new) {
            write_job(tree, job, out)?;
        }
        out.writer.tree_end();
    }
    out.writer.end();
    out.send()
}

fn write_job(tree: &BatchTree, job: &FrozenJob, out: &mut Out) -> Result<(), Stop> {
    match &job.creation {
        Some(creation) => write_creation(job.id, creation, out)?,
        None => out.write(&Record::Existing { id: job.id })?,
    }
    // Right behind the creation, with which the service joins them.
    if let Some(options) = &job.options {
        out.write(&Record::Options { options: options.as_deref().map(Cow::Borrowed) })?;
    }
    let mut next = job.notes.first;
    while next != NONE {
        let noted = &tree.log[next as usize];
        write_note(&noted.note, out)?;
        next = noted.next;
    }
    Ok(())
}

fn write_creation(id: JobId, creation: &FrozenCreation, out: &mut Out) -> Result<(), Stop> {
    let FrozenCreation { parent, order, time, definition, follow_ups } = creation;
    let (parent, order, time) = (*parent, *order, *time);
    let definition = Cow::Borrowed(&**definition);
    out.write(&match follow_ups.as_deref() {
        None => Record::Job { id, parent, order, time, definition },
        Some(FollowUps { actions, checks }) => {
            let (actions, checks) = (Cow::Borrowed(&**actions), Cow::Borrowed(&**checks));
            Record::FollowedJob { id, parent, order, time, definition, actions, checks }
        }
    })
}

fn write_note(note: &Note, out: &mut Out) -> Result<(), Stop> {
    match note {
        Note::Bare { order, time, state } => {
            let change = Change::recorded(NewChange::new(*state), *time);
            out.write(&Record::Change { order: *order, change: Cow::Owned(change) })
        }
        Note::Change { order, change } => {
            out.write(&Record::Change { order: *order, change: Cow::Borrowed(change) })
        }
        Note::Line { time, text } => {
            out.write(&Record::LogLine { time: *time, text: Cow::Borrowed(text) })
        }
    }
}
