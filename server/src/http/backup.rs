//! The trees of the service as a file from which another store can be filled, while it runs.

use std::{io, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, http::header::CONTENT_TYPE, web::Bytes};
use futures_util::{TryStreamExt, stream};
use jobtracker_model::{EXPORT_MEDIA_TYPE, ExportRequest, ProblemCode};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{
    app::{App, State},
    connection::Streamed,
    extract::Json,
    problem::{ApiError, Result},
    right::Admin,
};
use crate::{
    clock,
    moving::{self, Export, Exported, MovingError, Outlet, Selection, Target},
};

/// Exports at once: each reads the store at the configured rate.
pub(crate) const EXPORTS_AT_ONCE: usize = 1;
/// Pieces that wait for the client.
const PIECES: usize = 2;

/// Export trees
///
/// While writers write. The answer is the file of `jobtracker export`, which goes on for as long as
/// there are trees: each as of one instant, newest root first, then the documents. It holds the
/// secrets of the jobs. The service reads its store at a configured rate.
///
/// When the connection breaks, ask again with the whole trees that have come in `after`: the answer
/// goes on behind them. One export at a time; `overloaded` says to try again.
#[utoipa::path(post, path = "/api/v1/export", operation_id = "exportTrees", tag = "operation",
    request_body = ExportRequest,
    responses((status = 200, description = "The file, or the rest of it.", body = String,
        content_type = "application/zstd")))]
pub(super) async fn export(
    caller: Admin,
    app: State,
    request: HttpRequest,
    body: Json<ExportRequest>,
) -> Result<HttpResponse> {
    body.0.check()?;
    let full = |_| ApiError::new(ProblemCode::Overloaded, "Trees are exported already.");
    let place = Arc::clone(&app.export_places).try_acquire_owned().map_err(full)?;
    let begun = async {
        let mut export = Running::start(&app, &body.0);
        // An empty piece, or the head of the file; after an error there is none.
        let first = app.unless_stopping(export.next()).await?;
        Ok((export, first))
    };
    let (export, first) = caller.act(&app, "exportTrees", "trees", begun).await?;
    let streamed = request.conn_data::<Streamed>();
    let streaming = streamed.ok_or_else(|| ApiError::internal(&"it comes from no socket"))?.begin();
    let over = Box::pin(async move {
        tokio::select! {
            error = Admin::lost(request) => Err(error),
            () = streaming.client_goes() => Ok(()),
        }
    });
    let state = (export, Some(first), place, over);
    let pieces = stream::try_unfold(state, move |(mut export, first, place, mut over)| {
        let app = app.clone();
        async move {
            let piece = match first {
                Some(first) => first,
                None => tokio::select! {
                    over = &mut over => return over.map(|()| None),
                    piece = app.unless_stopping(export.next()) => piece?,
                },
            };
            Ok::<_, ApiError>(piece.map(|piece| (piece, (export, None, place, over))))
        }
    });
    let pieces = pieces.map_err(|error| {
        tracing::warn!(%error, "an export breaks off");
        io::Error::other(error.to_string())
    });
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, EXPORT_MEDIA_TYPE)).streaming(pieces))
}

/// An export that goes on beside the requests. It ends with its handle.
struct Running {
    pieces: mpsc::Receiver<Vec<u8>>,
    export: AbortOnDropHandle<moving::Result<Exported>>,
}

impl Running {
    fn start(app: &App, request: &ExportRequest) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES);
        let export = Export {
            store: Arc::clone(&app.store),
            kind: app.store_kind.name().to_owned(),
            selection: Some(Selection::of(request)),
            now: clock::now(),
        };
        let bytes_per_second = app.export.bytes_per_second;
        let target = Target::Client(Outlet::new(sender, request.after, bytes_per_second));
        let export = async move { export.run(target, &mut |_| {}).await };
        // Packing takes a thread for milliseconds, so it is none of those that serve requests.
        let export = AbortOnDropHandle::new(app.runtime.spawn(export));
        Self { pieces, export }
    }

    /// The next piece of the file; `None` at its end.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        match self.pieces.recv().await {
            Some(piece) => Ok(Some(piece.into())),
            None => match (&mut self.export).await {
                Ok(Ok(_)) => Ok(None),
                Ok(Err(error)) => Err(error.into()),
                Err(error) => Err(ApiError::internal(&error)),
            },
        }
    }
}

impl From<MovingError> for ApiError {
    fn from(error: MovingError) -> Self {
        match error {
            MovingError::UnknownRoot(id) => Self::job_not_found(id),
            MovingError::Store(error) | MovingError::Tree { source: error, .. } => error.into(),
            error => Self::internal(&error),
        }
    }
}
