//! One tree of an upload, and its stream.

use std::{borrow::Cow, io, iter, sync::Arc};

use jobtracker_model::{
    Change, JobId, NewChange,
    upload::{Record, Refusal, UploadId, Writer},
};

use super::read_stream;
use crate::{
    budget::Cost,
    follow_ups::FollowUps,
    tree::{FrozenCreation, FrozenJob, NONE, Note, Noted, Tree},
};

/// The size of a chunk of a stream.
const CHUNK: usize = 128 * 1024;

/// One tree of an upload.
pub(crate) struct BatchTree {
    pub root: JobId,
    pub said: Said,
    pub cost: Cost,
}

/// The content of a tree, in the form in which it is held.
pub(crate) enum Said {
    /// As it was taken out of the tree.
    Frozen {
        tree: Arc<Tree>,
        /// As in a walk down the tree.
        jobs: Vec<FrozenJob>,
        log: Vec<Noted>,
    },
    /// As it was sent and refused: a stream of its own, to which no job of the buffer belongs.
    Written(Vec<u8>),
}

/// A tree of an upload that was refused.
pub(crate) struct Refused {
    pub tree: Arc<BatchTree>,
    pub upload: UploadId,
    pub refusal: Refusal,
}

impl BatchTree {
    /// The same, without what belongs to the buffer.
    pub fn written(&self, block_updates_after_finish: bool) -> io::Result<Self> {
        let bytes = self.stream(block_updates_after_finish)?;
        Ok(Self { root: self.root, said: Said::Written(bytes), cost: self.cost })
    }

    /// As a stream of its own.
    pub fn stream(&self, block_updates_after_finish: bool) -> io::Result<Vec<u8>> {
        let mut stream = Vec::new();
        let mut keep = |bytes: Vec<u8>| {
            stream.extend_from_slice(&bytes);
            Ok(())
        };
        write_stream(block_updates_after_finish, iter::once(self), &mut keep)?;
        Ok(stream)
    }
}

/// Takes the chunks of a stream.
pub(crate) type Send<'a> = dyn FnMut(Vec<u8>) -> io::Result<()> + 'a;

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
