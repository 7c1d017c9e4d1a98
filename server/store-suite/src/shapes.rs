//! Parts of a tree that stand for the whole.

use std::collections::HashMap;

use jobtracker_model::{Category, JobId};

use super::stage::Stage;
use jobtracker_store::{JobRow, SampleQuery, ShapeQuery};

/// How many jobs are asked for.
const SIZES: [usize; 3] = [1, 6, 1000];

impl Stage {
    /// Compares the shape of a tree and the samples of children with the rules for them.
    pub(super) async fn compare_shapes(&self, of: JobId) {
        for jobs in SIZES {
            for depth in [1, 3] {
                let got = self.store.get_shape(ShapeQuery { of, depth, jobs }).await;
                let got = self.ok(format_args!("shape of {of}"), got);
                self.check_shape(of, depth, jobs, &got);
            }
            let (parent, failed) = (of, 3);
            let got = self.store.sample_children(SampleQuery { parent, jobs, failed }).await;
            let got = self.ok(format_args!("sample of the children of {of}"), got);
            self.check_sample(of, jobs, failed, &got);
        }
    }

    fn check_shape(&self, of: JobId, depth: u32, most: usize, got: &[JobRow]) {
        let what = format!("shape of {of} with {most} jobs and {depth} levels");
        let mut shown: HashMap<JobId, Vec<JobId>> = HashMap::new();
        for (index, row) in got.iter().enumerate() {
            self.same(&what, row, &self.forest.row(row.id));
            match row.parent.filter(|_| index > 0) {
                None => self.same(&what, &(index, row.id), &(0, of)),
                Some(parent) => {
                    let before = got[..index].iter().any(|above| above.id == parent);
                    self.same(format_args!("{what}: parent before {}", row.id), &before, &true);
                    shown.entry(parent).or_default().push(row.id);
                }
            }
            let level = row.depth - got[0].depth;
            self.same(format_args!("{what}: level of {}", row.id), &(level <= depth), &true);
        }
        self.same(format_args!("{what}: at most"), &(got.len() <= most), &true);
        for (parent, shown) in &shown {
            let due = &self.telling(*parent)[..shown.len()];
            self.same(format_args!("{what}: children of {parent}"), &shown.as_slice(), &due);
        }
        // The first level has at least half of the room.
        let (children, room) = (self.forest.job(of).children.len(), (most - 1).div_ceil(2));
        let first = shown.get(&of).map_or(0, Vec::len);
        let due = children.min(room);
        self.same(format_args!("{what}: first level"), &(first >= due), &true);
    }

    fn check_sample(&self, parent: JobId, most: usize, failed: usize, got: &[JobRow]) {
        let what = format!("sample of {most} children of {parent}");
        for row in got {
            self.same(&what, row, &self.forest.row(row.id));
        }
        let all: Vec<JobId> = self.forest.job(parent).children.iter().copied().collect();
        let ids: Vec<JobId> = got.iter().map(|row| row.id).collect();
        self.same(&what, &ids.first(), &Some(&parent));
        let ids = &ids[1..];
        if all.len() <= most {
            self.same(&what, &ids, &all.as_slice());
            return;
        }
        self.same(format_args!("{what}: order"), &ids.is_sorted_by(|one, next| one < next), &true);
        let (fits, some) = (ids.len() <= most, ids.len() >= most.min(2));
        self.same(format_args!("{what}: {} children", ids.len()), &(fits, some), &(true, true));
        let known = ids.iter().all(|id| all.contains(id));
        self.same(format_args!("{what}: children"), &known, &true);
        let telling = self.telling(parent);
        let is_failed = |id: &&JobId| self.is(**id, Category::Failed);
        let due = telling.iter().filter(is_failed).take(failed.min(most));
        let shown = due.into_iter().all(|id| ids.contains(id));
        self.same(format_args!("{what}: the first failed"), &shown, &true);
    }

    /// The children of a job: the failed ones, the unfinished ones, and the others, each by id.
    fn telling(&self, parent: JobId) -> Vec<JobId> {
        let children: Vec<JobId> = self.forest.job(parent).children.iter().copied().collect();
        let of = |category| children.iter().copied().filter(move |id| self.is(*id, category));
        let order = [Category::Failed, Category::Pending, Category::Successful];
        order.into_iter().flat_map(of).collect()
    }

    fn is(&self, id: JobId, category: Category) -> bool {
        self.forest.job(id).status.category() == Some(category)
    }
}
