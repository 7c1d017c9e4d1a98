use std::{future::Future, sync::Arc, time::Duration};

use actix_web::web;
use jobtracker_engine::Engine;
use jobtracker_model::ProblemCode;
use jobtracker_scheduler::Scheduler;
use jobtracker_store::Store;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
};

use super::{
    problem::ApiError, proxy::Proxy, request_id::RequestIds, roots_histogram::Histograms,
    site_guard::SiteGuard,
};
use crate::{
    ExportConfig, StoreKind, UploadsConfig,
    access::{Access, Audit},
    follow_ups::Parts as FollowUpParts,
    live::Hub,
    metrics::{Metrics, RouteMetrics},
    overview::Overviews,
    retention::{Deletions, Rules},
    tasks::Dispatch,
};

/// What every handler may use.
pub(crate) struct App {
    pub engine: Engine,
    pub store: Arc<dyn Store>,
    pub follow_ups: Arc<FollowUpParts>,
    pub hub: Arc<Hub>,
    pub overviews: Arc<Overviews>,
    pub metrics: Arc<Metrics>,
    /// The metrics of requests for which there is no route.
    pub unrouted: Arc<RouteMetrics>,
    pub access: Arc<Access>,
    pub audit: Arc<Audit>,
    pub deletions: Arc<Deletions>,
    pub rules: Arc<Rules>,
    pub dispatch: Arc<Dispatch>,
    pub scheduler: Arc<Scheduler>,
    /// Keeps web sites out where no bearer token is needed.
    pub sites: SiteGuard,
    pub proxy: Proxy,
    pub request_ids: RequestIds,
    pub body_limit: usize,
    pub body_timeout: Duration,
    pub commits: UploadsConfig,
    /// Room for uploads that come in at once.
    pub commit_places: Arc<Semaphore>,
    /// Room for lists that are sent as files at once.
    pub file_places: Arc<Semaphore>,
    /// Room for exports at once.
    pub export_places: Arc<Semaphore>,
    pub export: ExportConfig,
    /// The kind of the store, as an export names it.
    pub store_kind: StoreKind,
    /// Threads for long work, beside those that serve requests.
    pub runtime: Handle,
    /// Histograms of roots, which viewers share.
    pub histograms: Histograms,
    /// True once the service is stopping.
    pub stopping: watch::Receiver<bool>,
}

/// The extractor by which handlers get it.
pub(crate) type State = web::Data<App>;

impl App {
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Runs `work` until the service stops: a long wait must not delay the stop.
    pub async fn unless_stopping<T>(
        &self,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        tokio::select! {
            // What is ready is returned without polling the state that all requests share.
            biased;
            done = work => done,
            () = self.stopped() => {
                Err(ApiError::new(ProblemCode::ShuttingDown, "The wait was ended."))
            }
        }
    }

    /// Waits for the body that a client sends; not for long when the service stops.
    pub async fn sent_by_client<T>(
        &self,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        /// How long the rest of a body has to arrive.
        const PATIENCE: Duration = Duration::from_millis(300);
        tokio::select! {
            biased;
            done = work => done,
            () = self.stops(PATIENCE) => {
                let detail = "The rest of the body did not come while the service stopped.";
                Err(ApiError::new(ProblemCode::ShuttingDown, detail))
            }
        }
    }

    /// Ends when the service stops.
    pub async fn stopped(&self) {
        self.stops(Duration::ZERO).await;
    }

    /// Ends this long after the service has begun to stop.
    async fn stops(&self, after: Duration) {
        let mut stopping = self.stopping.clone();
        // An error means that the server is gone, which has the same meaning as a stop.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        tokio::time::sleep(after).await;
    }
}
