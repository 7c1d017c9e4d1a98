//! A substitute for the client, as a program writes one for its own tests: it has what the code
//! under test needs of a tracker, and nothing else.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jobtracker_client::{
    Created, Creations, Error, IdBlock, Job, JobId, JobState, Jobs, NewChange, NewJob, Problem,
    ProblemCode, Result, State, StateSet, Statistics, Updated, Waited,
};

use crate::canned::id;

/// The code under test: it reports each line that it reads.
async fn import(tracker: Arc<dyn Jobs>, lines: &[&str]) -> Result<JobId> {
    let import = tracker.create(NewJob::new("import")).await?.id;
    for line in lines {
        let job = tracker.create(NewJob::new(*line).under(import)).await?.id;
        let end = if line.is_empty() { State::Faulted } else { State::RanToCompletion };
        tracker.update(job, NewChange::new(end)).await?;
    }
    tracker.update(import, NewChange::new(State::RanToCompletion)).await?;
    tracker.wait_finished(import, Duration::from_secs(5)).await?;
    Ok(import)
}

/// Writes down what it is told, and fails when it is told to.
#[derive(Default)]
struct Recorder {
    jobs: Mutex<Vec<(NewJob, Vec<State>)>>,
    is_away: bool,
}

impl Recorder {
    /// What was created, with the states that were reported of it.
    fn seen(&self) -> Vec<(String, Option<JobId>, Vec<State>)> {
        let jobs = self.jobs.lock().unwrap();
        jobs.iter().map(|(job, states)| (job.name.clone(), job.parent, states.clone())).collect()
    }
}

#[async_trait]
impl Creations for Recorder {
    async fn create(&self, job: NewJob) -> Result<Created> {
        if self.is_away {
            let problem =
                Box::new(Problem::new(ProblemCode::StoreUnavailable, "The database is away."));
            let code = Some(ProblemCode::StoreUnavailable);
            return Err(Error::Problem { code, problem, outcome_unknown: false });
        }
        let mut jobs = self.jobs.lock().unwrap();
        let root = job.parent.unwrap_or(id(1));
        jobs.push((job, Vec::new()));
        Ok(Created { id: id(jobs.len() as u64), root, created: true, state: State::WaitingToRun })
    }

    async fn reserve_ids(&self, _: u32) -> Result<IdBlock> {
        unimplemented!()
    }
}

#[async_trait]
impl Jobs for Recorder {
    async fn update(&self, id: JobId, change: NewChange) -> Result<Updated> {
        let states = &mut self.jobs.lock().unwrap()[id.get() as usize - 1].1;
        states.push(change.state);
        let changes = states.len() as u32;
        Ok(Updated { applied: true, repeated: false, state: change.state, changes })
    }

    async fn wait(&self, id: JobId, _: StateSet, _: Duration) -> Result<Waited> {
        let jobs = self.jobs.lock().unwrap();
        let state = jobs[id.get() as usize - 1].1.last().copied().unwrap();
        Ok(Waited { id, state, reached: true })
    }

    async fn create_children(&self, _: JobId, _: Vec<NewJob>) -> Result<Vec<Created>> {
        unimplemented!()
    }
    async fn load(&self, _: JobId) -> Result<Job> {
        unimplemented!()
    }
    async fn state(&self, _: JobId) -> Result<State> {
        unimplemented!()
    }
    async fn states(&self, _: Vec<JobId>) -> Result<Vec<JobState>> {
        unimplemented!()
    }
    async fn update_options(&self, _: JobId, _: Option<String>) -> Result<Job> {
        unimplemented!()
    }
    async fn statistics(&self, _: JobId) -> Result<Statistics> {
        unimplemented!()
    }
}

#[tokio::test]
async fn a_substitute_sees_what_the_code_under_test_reports() {
    let recorder = Arc::new(Recorder::default());
    let root = import(recorder.clone(), &["a", ""]).await.unwrap();
    assert_eq!(
        recorder.seen(),
        [
            ("import".to_owned(), None, vec![State::RanToCompletion]),
            ("a".to_owned(), Some(root), vec![State::RanToCompletion]),
            (String::new(), Some(root), vec![State::Faulted]),
        ]
    );
}

#[tokio::test]
async fn a_substitute_fails_as_a_service_would() {
    let recorder = Arc::new(Recorder { is_away: true, ..Recorder::default() });
    let error = import(recorder.clone(), &["a"]).await.unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::StoreUnavailable));
    assert!(recorder.seen().is_empty());
}
