//! What a page shows: rows of jobs, without options and source links, and how the service is.

use jobtracker_model::{
    Ancestors, ChildrenPage, JobId, Overview, Page, RootPage,
    live::{BlockerSummary, JobSummary},
};

use crate::{JobTrackerClient, ListChildren, ListJobs, ListPage, Result, RootsQuery, call::Call};

/// All of it is reading: safe to repeat, and nothing is left behind by a future that is dropped.
impl JobTrackerClient {
    /// A page of the direct children of a job, from any of them on: it says how many there are, and
    /// where the page stands among them.
    ///
    /// # Errors
    /// `job_not_found`, `invalid_cursor`, `invalid_query`.
    pub async fn child_rows(
        &self,
        id: JobId,
        list: ListChildren,
    ) -> Result<ChildrenPage<JobSummary>> {
        let ListChildren { states, name_prefix, order, offset, limit, cursor } = list;
        let call = rows(format!("api/v1/jobs/{id}/children"))
            .query("order", Some(order))
            .query("offset", offset)
            .query("namePrefix", name_prefix);
        self.http.json(call.states(states).page(ListPage { limit, cursor })).await
    }

    /// A page of all jobs below a job.
    ///
    /// # Errors
    /// `job_not_found`, `invalid_cursor`, `invalid_query`.
    pub async fn descendant_rows(&self, id: JobId, list: ListJobs) -> Result<Page<JobSummary>> {
        self.http.json(rows(format!("api/v1/jobs/{id}/descendants")).jobs(list)).await
    }

    /// The jobs above a job, its parent first and the root last, and where the job and they stand
    /// among their siblings, at one instant.
    ///
    /// # Errors
    /// `job_not_found`.
    pub async fn ancestor_rows(&self, id: JobId) -> Result<Ancestors<JobSummary>> {
        let call = rows(format!("api/v1/jobs/{id}/ancestors")).query("ranks", Some(true));
        self.http.json(call).await
    }

    /// A page of what a job waits for, or why it failed. `paths`: each names the jobs between the
    /// one at the top and itself.
    ///
    /// # Errors
    /// `job_not_found`, `invalid_cursor`, `invalid_query`.
    pub async fn blocker_rows(
        &self,
        id: JobId,
        page: ListPage,
        paths: bool,
    ) -> Result<Page<BlockerSummary>> {
        let call = rows(format!("api/v1/jobs/{id}/blockers"));
        self.http.json(call.query("path", paths.then_some(true)).page(page)).await
    }

    /// How the server that answers is: numbers from its memory.
    ///
    /// # Errors
    /// None of its own.
    pub async fn overview(&self) -> Result<Overview> {
        self.http.json(Call::get("api/v1/overview")).await
    }

    /// A page of root jobs.
    ///
    /// # Errors
    /// `invalid_expression` with the position, `invalid_cursor`, `invalid_query`.
    pub async fn root_rows(&self, query: RootsQuery) -> Result<RootPage<JobSummary>> {
        self.http.json(rows("api/v1/roots".to_owned()).roots(query)?).await
    }
}

fn rows(path: String) -> Call {
    Call::get(path).query("fields", Some("row"))
}
