use std::{
    borrow::Cow,
    collections::HashSet,
    io::{self, ErrorKind},
    sync::Arc,
};

use futures_util::{StreamExt, stream, stream::BoxStream};
use jobtracker_client::UploadSource;
use jobtracker_model::{
    Change, JobId, NewChange,
    upload::{Record, Writer},
};
use tokio::sync::mpsc;

use super::{Batch, BatchTree, Said, read_stream};
use crate::{
    follow_ups::FollowUps,
    tree::{FrozenCreation, FrozenJob, NONE, Note, Noted},
};

/// The size of a chunk, and how many wait to be sent.
const CHUNK: usize = 128 * 1024;
const CHUNKS: usize = 4;

/// A batch that is sent. Each opening writes the same stream anew.
pub(crate) struct Sending(pub Arc<Batch>);

impl UploadSource for Sending {
    fn open(&self, applied: &HashSet<JobId>) -> BoxStream<'static, io::Result<Vec<u8>>> {
        let (batch, applied) = (Arc::clone(&self.0), applied.clone());
        written_ahead(move |send| {
            let left = batch.trees.iter().filter(|tree| !applied.contains(&tree.root));
            write_stream(batch.block_updates_after_finish, left.map(|tree| &**tree), send)
        })
    }
}

/// Takes the chunks of a stream.
type Send<'a> = dyn FnMut(Vec<u8>) -> io::Result<()> + 'a;

/// A stream that is written on a thread of its own, a few chunks ahead of the network. A stream
/// that is not written to its end ends with an error: the service would refuse a stream that ends
/// early for good.
pub(crate) fn written_ahead(
    write: impl FnOnce(&mut Send<'_>) -> io::Result<()> + std::marker::Send + 'static,
) -> BoxStream<'static, io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || {
        // It fails when no reader is left, as after an answer before the end.
        let send = |part| sender.blocking_send(part).map_err(|_| ErrorKind::BrokenPipe.into());
        let written = write(&mut |bytes| send(Ok(Some(bytes))));
        if let Err(error) = &written
            && error.kind() != ErrorKind::BrokenPipe
        {
            tracing::error!(%error, "an upload cannot be written");
        }
        let _ = send(written.map(|()| None));
    });
    stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        let stopped = || Err(io::Error::other("the thread that wrote the upload has stopped"));
        match receiver.recv().await.unwrap_or_else(stopped) {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(receiver))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

/// A stream on its way.
struct Out<'a> {
    writer: Writer,
    send: &'a mut Send<'a>,
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
    send: &mut Send<'_>,
) -> io::Result<()> {
    let mut out = Out { writer: Writer::new(block_updates_after_finish), send };
    for tree in trees {
        match &tree.said {
            Said::Frozen { jobs, log, .. } => write_tree(tree.root, jobs, log, &mut out)?,
            Said::Written(bytes) => write_again(bytes, &mut out)?,
        }
        out.writer.tree_end();
    }
    out.writer.end();
    (out.send)(out.writer.take())
}

fn write_tree(root: JobId, jobs: &[FrozenJob], log: &[Noted], out: &mut Out<'_>) -> io::Result<()> {
    out.write(&Record::Tree { root })?;
    // The format wants the jobs that the service has before the new ones.
    let (old, new): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.creation.is_none());
    old.into_iter().chain(new).try_for_each(|job| write_job(log, job, out))
}

/// Writes a tree as it was written before, which gives the same bytes.
fn write_again(stream: &[u8], out: &mut Out<'_>) -> io::Result<()> {
    read_stream(stream, |record| match record {
        Record::Header { .. } | Record::TreeEnd { .. } | Record::End { .. } => Ok(()),
        record => out.write(record),
    })
}

fn write_job(log: &[Noted], job: &FrozenJob, out: &mut Out<'_>) -> io::Result<()> {
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
        let noted = &log[next as usize];
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
