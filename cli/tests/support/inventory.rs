//! All data of a service about some trees, read job by job while no client writes.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use jobtracker_client::{Change, Job, JobId, JobTrackerClient, ListPage};
use jobtracker_model::testing::{NaiveJob, NaiveTree};

pub struct Inventory {
    pub jobs: Vec<Job>,
    pub changes: BTreeMap<JobId, Vec<Change>>,
}

impl Inventory {
    /// Reads the trees below these roots. All numbers in them are those of the naive model.
    pub async fn read(client: &JobTrackerClient, roots: &[JobId]) -> Self {
        let mut found = Self { jobs: Vec::new(), changes: BTreeMap::new() };
        for root in roots {
            found.jobs.push(client.load(*root).await.unwrap());
            let below = client.descendants_stream(*root, Default::default());
            found.jobs.extend(below.try_collect::<Vec<_>>().await.unwrap());
        }
        let mut tree = NaiveTree::default();
        for job in &found.jobs {
            tree.create(job.id, job.parent);
            let changes = client.changes_stream(job.id, ListPage::default());
            let changes: Vec<Change> = changes.try_collect().await.unwrap();
            for change in &changes[1..] {
                tree.append(job.id, change.state);
            }
            assert_eq!(job.changes as usize, changes.len(), "the changes of {}", job.id);
            found.changes.insert(job.id, changes);
        }
        for job in &found.jobs {
            let truth = NaiveJob { changes: Vec::new(), ..tree.job(job.id) };
            assert_eq!(NaiveJob::from(job), truth, "the numbers of {}", job.id);
        }
        found
    }

    /// The indices of a change among the changes of a job, by its change id: none or one, unless
    /// there is a bug.
    pub fn places(&self, job: JobId, change_id: &str) -> Vec<usize> {
        let changes = self.changes.get(&job).map_or(&[][..], Vec::as_slice);
        let is_it = |place: &usize| changes[*place].change_id.as_deref() == Some(change_id);
        (0..changes.len()).filter(is_it).collect()
    }
}
