//! A service in memory that takes uploads and applies them step by step, in the order in which
//! they were recorded. The tests of the server use the context against the real one.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use futures_util::TryStreamExt;
use jobtracker_client::{Error, Problem, Result, UploadSource};
use jobtracker_model::{
    Action, Change, CheckedJob, Definition, IdBlock, JobId, JobNode, NewCheck, NewJob, ProblemCode,
    State, Timestamp,
    rollup::{Status, StatusDelta},
    upload::{Item, Reader, Record, Refusal, TreeResult, UploadId, UploadOutcome},
};
use tokio::sync::Semaphore;

/// The fault that happens to an upload.
pub enum Fault {
    /// It does not arrive.
    Unreachable,
    /// It is applied, and the answer is lost.
    LostReply,
    /// It is refused as a whole, for good.
    Refused(ProblemCode),
}

#[derive(Default)]
pub struct Service {
    pub state: Mutex<Kept>,
    pub faults: Mutex<VecDeque<Fault>>,
    /// If set, each upload takes a permit before it is answered.
    pub gate: Option<Semaphore>,
    /// If set, each answer about this job takes a permit before it is given.
    pub slow_path: Option<(JobId, Semaphore)>,
    /// Whether it hides outcomes, so that an upload has to be sent again.
    pub is_mute: bool,
    pub block: bool,
}

#[derive(Default, Clone)]
pub struct Kept {
    pub jobs: BTreeMap<JobId, Job>,
    /// Its memory of uploads; clearing it stands for the passing of a day.
    pub outcomes: HashMap<UploadId, Outcome>,
    /// The uploads in the order in which they came, repeated ones too.
    pub sent: Vec<UploadId>,
    /// The bytes of each upload as they came last.
    pub streams: HashMap<UploadId, Vec<u8>>,
    pub reserved: Vec<u32>,
    pub paths: Vec<JobId>,
    pub refuse: HashSet<JobId>,
    next_id: u64,
    now: i64,
}

#[derive(Clone)]
pub struct Outcome {
    pub all: UploadOutcome,
    /// The trees as they came, and the result of each.
    pub trees: BTreeMap<JobId, (Vec<Record<'static>>, TreeResult)>,
}

#[derive(Clone)]
pub struct Job {
    pub node: JobNode,
    pub said: Said,
    pub changes: Vec<State>,
    pub lines: Vec<Arc<str>>,
}

/// What the creator of a job says of it.
pub type Said = (Definition, Vec<Action>, Vec<NewCheck>);

/// What a new job within its limits says.
pub fn said(job: NewJob) -> Said {
    let CheckedJob { definition, actions, checks, .. } = job.try_into().unwrap();
    (definition, actions, checks)
}

pub fn problem(code: ProblemCode, outcome_unknown: bool) -> Error {
    let problem = Box::new(Problem::new(code, "It happened."));
    Error::Problem { code: Some(code), problem, outcome_unknown }
}

impl Service {
    pub fn new(block: bool) -> Arc<Self> {
        Arc::new(Self { block, ..Self::default() })
    }

    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.state.lock().unwrap()
    }

    /// Another one that has the same.
    pub fn copy(&self) -> Arc<Self> {
        let state = Mutex::new(self.kept().clone());
        Arc::new(Self { block: self.block, state, ..Self::default() })
    }

    /// The roots of the trees that came last in the upload that came last.
    pub fn last_roots(&self) -> Vec<u64> {
        let kept = self.kept();
        let Some(upload) = kept.sent.last() else { return Vec::new() };
        let trees = trees_of(&read(&kept.streams[upload]), self.block);
        trees.into_iter().map(|(root, _)| root.get()).collect()
    }

    pub fn fail(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }

    pub fn reserve(&self, count: u32) -> IdBlock {
        let mut kept = self.kept();
        kept.reserved.push(count);
        let first = kept.next_id + 1;
        kept.next_id += u64::from(count);
        IdBlock { first: JobId::new(first).unwrap(), count }
    }

    pub fn path_of(&self, id: JobId) -> Result<Vec<JobNode>> {
        let mut kept = self.kept();
        kept.paths.push(id);
        let mut path = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            let job = kept.jobs.get(&id).ok_or(problem(ProblemCode::JobNotFound, false))?;
            path.push(job.node.clone());
            next = job.node.parent;
        }
        Ok(path)
    }

    pub async fn take(
        &self,
        id: &UploadId,
        source: Arc<dyn UploadSource>,
    ) -> Result<UploadOutcome> {
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            Some(Fault::Unreachable) => return Err(problem(ProblemCode::Overloaded, false)),
            Some(Fault::Refused(code)) => return Err(problem(code, false)),
            Some(Fault::LostReply) | None => {}
        }
        let chunks: Vec<_> = source.open(&HashSet::new()).try_collect().await.unwrap();
        let stream = chunks.concat();
        let items = read(&stream);
        let mut kept = self.kept();
        kept.sent.push(id.clone());
        kept.streams.insert(id.clone(), stream);
        let trees = trees_of(&items, self.block);
        let outcome = match kept.outcomes.get(id) {
            Some(known) => {
                for (root, tree) in &trees {
                    assert!(known.trees[root].0 == *tree, "the same tree with another content");
                }
                known.all.clone()
            }
            None => kept.apply(id, trees, self.block),
        };
        match fault {
            Some(Fault::LostReply) => Err(problem(ProblemCode::OutcomeUnknown, true)),
            _ => Ok(outcome),
        }
    }
}

/// The trees of an upload, in its order; each begins with its root.
fn trees_of(items: &[Item], block: bool) -> Vec<(JobId, Vec<Record<'static>>)> {
    let mut trees: Vec<(JobId, Vec<Record<'_>>)> = Vec::new();
    for Item { record, .. } in items {
        match record {
            Record::Header { block_updates_after_finish } => {
                assert_eq!(*block_updates_after_finish, block);
            }
            Record::Tree { root } => trees.push((*root, vec![record.clone()])),
            Record::TreeEnd { .. } | Record::End { .. } => {}
            other => trees.last_mut().unwrap().1.push(other.clone()),
        }
    }
    trees
}

/// The records of a stream, which must be whole.
pub fn read(stream: &[u8]) -> Vec<Item> {
    let mut reader = Reader::default();
    reader.push(stream);
    let mut items = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        items.push(item);
    }
    reader.finish().unwrap();
    items
}

impl Kept {
    fn apply(
        &mut self,
        id: &UploadId,
        trees: Vec<(JobId, Vec<Record<'static>>)>,
        block: bool,
    ) -> UploadOutcome {
        let mut all = UploadOutcome { complete: true, ..UploadOutcome::new(id.clone()) };
        let judged = trees.into_iter().map(|(root, tree)| {
            let tree_result = self.apply_tree(&tree, block);
            all.add(&tree_result);
            (root, (tree, tree_result))
        });
        let trees = judged.collect();
        self.outcomes.insert(id.clone(), Outcome { all: all.clone(), trees });
        all
    }

    /// All of a tree, or nothing.
    fn apply_tree(&mut self, records: &[Record<'_>], block: bool) -> TreeResult {
        let Record::Tree { root } = &records[0] else { panic!("a tree begins with its root") };
        let mut tree_result = TreeResult {
            root: *root,
            jobs: 0,
            changes: 0,
            repeated: 0,
            blocked: 0,
            blocked_changes: Vec::new(),
            refusal: None,
        };
        let before = self.jobs.clone();
        if let Err(code) = self.try_tree(records, block, &mut tree_result) {
            self.jobs = before;
            let refusal = Refusal { position: 0, code: code.code().into(), detail: String::new() };
            tree_result = TreeResult { jobs: 0, changes: 0, refusal: Some(refusal), ..tree_result };
        }
        tree_result
    }

    fn try_tree(
        &mut self,
        records: &[Record<'_>],
        block: bool,
        tree_result: &mut TreeResult,
    ) -> Result<(), ProblemCode> {
        if self.refuse.contains(&tree_result.root) {
            return Err(ProblemCode::TooDeep);
        }
        let mut about = tree_result.root;
        let mut steps = Vec::new();
        for record in records {
            match record {
                Record::Job { id, order, .. } | Record::FollowedJob { id, order, .. } => {
                    about = *id;
                    steps.push((*order, about, record));
                }
                Record::Existing { id } => about = *id,
                Record::Change { order, .. } => steps.push((*order, about, record)),
                // These have no place in the order; at the end they do no harm.
                Record::Options { .. } | Record::LogLine { .. } => {
                    steps.push((u64::MAX, about, record));
                }
                _ => {}
            }
        }
        steps.sort_by_key(|(order, ..)| *order);
        for (_, id, record) in steps {
            self.step(id, record, block, tree_result)?;
        }
        Ok(())
    }

    fn step(
        &mut self,
        id: JobId,
        record: &Record<'_>,
        block: bool,
        tree_result: &mut TreeResult,
    ) -> Result<(), ProblemCode> {
        match record {
            Record::Job { parent, time, definition, .. } => {
                tree_result.jobs += 1;
                self.create(id, *parent, *time, (Definition::clone(definition), vec![], vec![]))
            }
            Record::FollowedJob { parent, time, definition, actions, checks, .. } => {
                tree_result.jobs += 1;
                let said = (Definition::clone(definition), actions.to_vec(), checks.to_vec());
                self.create(id, *parent, *time, said)
            }
            Record::Change { change, .. } => {
                if self.report(id, change, block)? {
                    tree_result.changes += 1;
                } else {
                    tree_result.blocked += 1;
                }
                Ok(())
            }
            Record::Options { options } => {
                let job = self.jobs.get_mut(&id).ok_or(ProblemCode::JobNotFound)?;
                job.said.0.options = options.as_deref().map(str::to_owned);
                Ok(())
            }
            Record::LogLine { text, .. } => {
                let job = self.jobs.get_mut(&id).ok_or(ProblemCode::JobNotFound)?;
                job.lines.push(Arc::from(&**text));
                job.node.status.log_lines += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub fn create(
        &mut self,
        id: JobId,
        parent: Option<JobId>,
        time: Timestamp,
        said: Said,
    ) -> Result<(), ProblemCode> {
        if let Some(job) = self.jobs.get(&id) {
            let same = job.said == said && job.node.parent == parent;
            return if same { Ok(()) } else { Err(ProblemCode::IdConflict) };
        }
        let (root, depth) = match parent {
            None => (id, 0),
            Some(parent) => {
                let parent = self.jobs.get(&parent).ok_or(ProblemCode::ParentNotFound)?;
                (parent.node.root, parent.node.depth + 1)
            }
        };
        let (status, delta) = Status::created(id, time);
        let node = JobNode { id, parent, root, depth, status };
        let changes = vec![State::WaitingToRun];
        self.jobs.insert(id, Job { node, said, changes, lines: Vec::new() });
        self.climb(parent, delta);
        Ok(())
    }

    fn report(&mut self, id: JobId, change: &Change, block: bool) -> Result<bool, ProblemCode> {
        let job = self.jobs.get_mut(&id).ok_or(ProblemCode::JobNotFound)?;
        if !job.node.status.accepts_update(block) {
            return Ok(false);
        }
        job.changes.push(change.state);
        let delta = job.node.status.report(id, change.state, change.time);
        let parent = job.node.parent;
        if !delta.is_still() {
            self.climb(parent, delta);
        }
        Ok(true)
    }

    /// A direct update, as another service sends it. Says whether it was applied.
    pub fn update(&mut self, id: JobId, state: State, block: bool) -> bool {
        self.now += 1;
        let time = Timestamp::from_millis(self.now).unwrap();
        let change = Change::recorded(jobtracker_model::NewChange::new(state), time);
        self.report(id, &change, block).unwrap()
    }

    fn climb(&mut self, parent: Option<JobId>, delta: StatusDelta) {
        let mut up = parent.map(|parent| (parent, delta));
        while let Some((id, delta)) = up {
            let node = &mut self.jobs.get_mut(&id).unwrap().node;
            up = node.parent.zip(node.status.absorb(id, &delta));
        }
    }
}
