use std::{borrow::Cow, collections::HashSet, io, sync::Arc};

use futures_util::{StreamExt, stream, stream::BoxStream};
use jobtracker_client::CommitSource;
use jobtracker_model::{
    Change, JobId, NewChange,
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
            let left = batch.trees.iter().filter(|tree| !applied.contains(&tree.tree.root));
            let left = left.map(|tree| &**tree);
            let mut send = |bytes| {
                // Nobody listens any more.
                sender.blocking_send(bytes).map_err(|_| io::ErrorKind::BrokenPipe.into())
            };
            match write_stream(batch.block_updates_after_finish, left, &mut send) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    // The stream ends without its end, and the service says so.
                    tracing::error!(commit = %batch.id, %error, "a commit cannot be written");
                }
                _ => {}
            }
        });
        stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        })
        .boxed()
    }
}

/// A stream on its way.
struct Out<'a> {
    writer: Writer,
    send: &'a mut dyn FnMut(Vec<u8>) -> io::Result<()>,
}

impl Out<'_> {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.writer.write(record).map_err(io::Error::other)?;
        if self.writer.len() >= CHUNK { (self.send)(self.writer.take()) } else { Ok(()) }
    }
}

/// Writes trees as a whole stream, chunk by chunk.
pub(crate) fn write_stream<'a>(
    block_updates_after_finish: bool,
    trees: impl Iterator<Item = &'a BatchTree>,
    send: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = Out { writer: Writer::new(block_updates_after_finish), send };
    for tree in trees {
        out.write(&Record::Tree { root: tree.tree.root })?;
        // The format wants the jobs that the service has before the new ones.
        let (old, new): (Vec<_>, Vec<_>) = tree.jobs.iter().partition(|job| job.creation.is_none());
        for job in old.into_iter().chain(new) {
            write_job(tree, job, &mut out)?;
        }
        out.writer.tree_end();
    }
    out.writer.end();
    (out.send)(out.writer.take())
}

fn write_job(tree: &BatchTree, job: &FrozenJob, out: &mut Out<'_>) -> io::Result<()> {
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

fn write_creation(id: JobId, creation: &FrozenCreation, out: &mut Out<'_>) -> io::Result<()> {
    let FrozenCreation { parent, order, time, definition, follow_ups } = creation;
    let (parent, order, time) = (*parent, *order, *time);
    let definition = Cow::Borrowed(&**definition);
    out.write(&match follow_ups.as_deref() {
        None => Record::Job { id, parent, order, time, definition },
        Some(FollowUps { actions, checks, .. }) => {
            let (actions, checks) = (Cow::Borrowed(&**actions), Cow::Borrowed(&**checks));
            Record::FollowedJob { id, parent, order, time, definition, actions, checks }
        }
    })
}

fn write_note(note: &Note, out: &mut Out<'_>) -> io::Result<()> {
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
