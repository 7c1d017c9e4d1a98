use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use jobtracker_model::{EXPORT_MEDIA_TYPE, ExportRequest};
use reqwest::header::CONTENT_TYPE;
use tokio::time::timeout;

use crate::{
    Error, JobTrackerClient, Result,
    call::Call,
    frames::silent,
    reply::{Failure, Reply},
    tries::FAR,
};

/// How long a service may take for the next bytes.
const SILENCE: Duration = Duration::from_secs(120);

/// The bytes of a file of trees, as they come. An error is the last item: what came before it is
/// good up to its last whole frame, behind which another call goes on.
pub struct ExportStream(stream::BoxStream<'static, Result<Vec<u8>>>);

impl ExportStream {
    /// The next bytes; `None` at the end of the file.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>>> {
        self.0.next().await
    }
}

impl fmt::Debug for ExportStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportStream").finish_non_exhaustive()
    }
}

impl Stream for ExportStream {
    type Item = Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

/// A backup of a service that runs: for admins.
impl JobTrackerClient {
    /// Asks for the trees of the service as a file, which `jobtracker import` reads. It is asked
    /// once, and the answer takes as long as there are trees.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin, `overloaded` while another export runs,
    /// `job_not_found`, `invalid_field`.
    pub async fn export(&self, request: &ExportRequest) -> Result<ExportStream> {
        let begun = self.begin_export(request).await;
        begun.map_err(|failure| failure.error)
    }

    async fn begin_export(&self, request: &ExportRequest) -> Result<ExportStream, Failure> {
        let mut request = self.http.request(Call::post("api/v1/export", request)?)?;
        *request.timeout_mut() = Some(FAR);
        let answer = timeout(self.http.request_timeout, self.http.client.execute(request));
        let response = answer.await.map_err(|_| silent())??;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !response.status().is_success() || kind != Some(EXPORT_MEDIA_TYPE) {
            // It is a problem, whose body ends, or no answer of the service.
            let reply = Reply::read(response, self.http.max_reply).await?;
            return Err(reply.invalid(format!("it is no {EXPORT_MEDIA_TYPE}")).into());
        }
        let pieces = stream::unfold(Some(response), |response| async move {
            let mut response = response?;
            let piece = match timeout(SILENCE, response.chunk()).await {
                Ok(Ok(piece)) => Ok(piece?.to_vec()),
                Ok(Err(error)) => Err(Error::transport(error)),
                Err(_) => Err(silent()),
            };
            let goes_on = piece.is_ok();
            Some((piece, Some(response).filter(|_| goes_on)))
        });
        Ok(ExportStream(pieces.boxed()))
    }
}
