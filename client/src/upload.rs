use std::{collections::HashSet, io, io::Write, sync::atomic::Ordering::Relaxed};

use futures_util::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use jobtracker_model::{
    JobId, Page, ProblemCode, limits,
    upload::{MEDIA_TYPE, TreeResult, UploadId, UploadOutcome},
};
use reqwest::{
    Method, Request,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue},
};
use tokio::time::Instant;

use crate::{
    Error, ListPage, Result, UploadSource,
    call::Call,
    reply::{Failure, Reply},
    request::Http,
    tries::{FAR, Tries},
};

impl Http {
    /// Sends an upload until it has an outcome, is refused as a whole, or is given up. Before it
    /// is sent again the service is asked what it has of it.
    pub(crate) async fn upload(
        &self,
        id: &UploadId,
        source: &dyn UploadSource,
    ) -> Result<UploadOutcome> {
        let tries = Tries::new(&self.retry, self.rate_limit.as_ref(), self.deadline());
        let mut tries = tries.uncounted(self.upload_timeout);
        let mut applied = HashSet::new();
        loop {
            let sent = tries.counter();
            let count = move |chunk: &Vec<u8>| {
                sent.fetch_add(chunk.len() as u64, Relaxed);
            };
            let this = async {
                let stream = source.open(&applied).inspect_ok(count).boxed();
                self.try_once(self.try_upload(id, stream)?).await
            };
            if let Some(reply) = tries.make(this).await? {
                return concluded(id, &reply);
            }
            if tries.last().is_some_and(has_not_arrived) {
                continue;
            }
            match self.progress(id, &mut applied, tries.deadline()).await {
                Ok(Some(outcome)) => return Ok(outcome),
                // Without an answer all is sent again; the service knows what it has.
                Err(error) if !error.is_retryable() => return Err(error.after(true)),
                Ok(None) | Err(_) => {}
            }
        }
    }

    /// Asks what has become of an upload that broke off: its outcome if it has one, or else the
    /// roots of the trees that need not be sent again.
    async fn progress(
        &self,
        id: &UploadId,
        applied: &mut HashSet<JobId>,
        deadline: Instant,
    ) -> Result<Option<UploadOutcome>> {
        let Some(outcome) = self.upload_outcome(id, deadline).await? else {
            applied.clear();
            return Ok(None);
        };
        if outcome.complete {
            return Ok(Some(outcome));
        }
        let limit = u32::try_from(limits::PAGE).ok();
        let mut page = ListPage { limit, cursor: None };
        loop {
            let Page { items, next_cursor } = self.upload_trees(id, page.clone(), deadline).await?;
            applied.extend(items.iter().filter(|tree| tree.is_applied()).map(|tree| tree.root));
            if next_cursor.is_none() || next_cursor == page.cursor {
                return Ok(None);
            }
            page.cursor = next_cursor;
        }
    }

    /// What is known of an upload, if anything is.
    pub(crate) async fn upload_outcome(
        &self,
        id: &UploadId,
        deadline: Instant,
    ) -> Result<Option<UploadOutcome>> {
        match self.json(Call::get(address(id)).by(deadline)).await {
            Err(error) if error.code() == Some(ProblemCode::CommitNotFound) => Ok(None),
            answer => answer.map(Some),
        }
    }

    pub(crate) async fn upload_trees(
        &self,
        id: &UploadId,
        page: ListPage,
        deadline: Instant,
    ) -> Result<Page<TreeResult>> {
        self.json(Call::get(format!("{}/trees", address(id))).page(page).by(deadline)).await
    }

    fn try_upload(
        &self,
        id: &UploadId,
        stream: BoxStream<'static, io::Result<Vec<u8>>>,
    ) -> Result<Request, Failure> {
        let mut request =
            self.request(Call::new(Method::PUT, address(id))).map_err(Failure::from)?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        *request.body_mut() = Some(if self.compress {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
            reqwest::Body::wrap_stream(packed(stream).map_err(Failure::from)?)
        } else {
            reqwest::Body::wrap_stream(stream)
        });
        *request.timeout_mut() = Some(self.upload_timeout.min(FAR));
        Ok(request)
    }
}

fn address(id: &UploadId) -> String {
    format!("api/v1/commits/{id}")
}

/// Whether a try ended before the service had heard of it.
fn has_not_arrived(error: &Error) -> bool {
    matches!(error, Error::Transport { outcome_unknown: false, .. })
}

/// The outcome in the answer to an upload. Only a complete one is an answer.
fn concluded(id: &UploadId, reply: &Reply) -> Result<UploadOutcome> {
    let outcome: UploadOutcome = reply.json()?;
    if outcome.complete && outcome.id == *id {
        return Ok(outcome);
    }
    Err(reply.invalid(format!("it is not the outcome of upload {id}")))
}

/// The stream, compressed. A chunk is packed when it is sent, on the task that sends it: at the
/// lowest level that takes less than a millisecond.
fn packed(
    stream: BoxStream<'static, io::Result<Vec<u8>>>,
) -> Result<impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static> {
    let encoder = zstd::stream::write::Encoder::new(Vec::new(), 1)
        .map_err(|error| Error::invalid_request_from("the body cannot be compressed", error))?;
    let packed = futures_util::stream::unfold(Some((stream, encoder)), |state| async {
        let (mut stream, mut encoder) = state?;
        while let Some(chunk) = stream.next().await {
            if let Err(error) = chunk.and_then(|chunk| encoder.write_all(&chunk)) {
                return Some((Err(error), None));
            }
            // It keeps bytes back until it has a block's worth.
            if !encoder.get_ref().is_empty() {
                let bytes = std::mem::take(encoder.get_mut());
                return Some((Ok(bytes), Some((stream, encoder))));
            }
        }
        Some((encoder.finish(), None))
    });
    Ok(packed)
}
