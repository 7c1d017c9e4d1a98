use std::{
    collections::HashSet,
    io::{self, ErrorKind},
    sync::Arc,
};

use futures_util::{StreamExt, stream, stream::BoxStream};
use jobtracker_client::UploadSource;
use jobtracker_model::JobId;
use tokio::sync::mpsc;

use super::{Batch, tree::Send, write_stream};

/// How many chunks wait to be sent.
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
