use jobtracker_model::{AttachmentInfo, FieldError, JobId, LogLine, Repeat, limits};
use jobtracker_store::{FollowUp, FollowUpKey, Origin, Row};

use super::record::{FollowUpRecord, JobRecord, Record, StatusRecord, TreeRecord};

/// Checks that the lines of a tree make up a tree: each job comes below its parent, has as many
/// rows as its status says, and as many jobs below it. It remembers one path of the tree.
pub(super) struct Shape {
    tree: TreeRecord,
    /// The path from the root to the job of the current lines.
    path: Vec<Level>,
    /// The lines of the last job of the path, so far.
    job: Progress,
}

struct Level {
    id: JobId,
    last_child: Option<JobId>,
    /// Jobs below it: how many came, and how many are due.
    below: u64,
    due: u64,
}

/// The lines of one job.
#[derive(Default)]
struct Progress {
    /// The kinds of lines come in order; this is the position of the last kind.
    kind: u8,
    changes: u32,
    log_lines: u32,
    attachments: u32,
    /// Their numbers according to the status.
    due: Option<[u32; 3]>,
    origin: Option<Origin>,
    last_key: String,
    followed: bool,
    last_follow_up: Option<FollowUpKey>,
    /// The numbers of its actions, checks and deliveries, according to its watch row.
    numbers: [u32; 3],
}

type Checked<T> = Result<T, String>;

impl Shape {
    pub fn new(tree: TreeRecord) -> Self {
        Self { tree, path: Vec::new(), job: Progress::default() }
    }

    /// Checks the next line of the tree; answers the origin of its job.
    pub fn take(&mut self, record: &Record) -> Checked<Origin> {
        if let Record::Job(job) = record {
            self.job(job)?;
        }
        let (Some(level), Some(origin)) = (self.path.last_mut(), self.job.origin) else {
            return Err("it does not begin with its root".into());
        };
        if record.job() != Some(level.id) {
            return Err(format!("a line is not about job {}, whose lines these are", level.id));
        }
        if let Record::Status(record) = record {
            level.due = record.status.subtree.total;
            let is_root = level.id == self.tree.root;
            if is_root && record.status.create_time != self.tree.create_time {
                return Err(format!("its root was created at {}", record.status.create_time));
            }
            if is_root && level.due.checked_add(1) != Some(self.tree.jobs) {
                return Err(format!("its root has {} jobs below it", level.due));
            }
        }
        self.job.take(level.id, record)?;
        Ok(origin)
    }

    /// Checks that the tree is complete, after its last line.
    pub fn finish(&mut self) -> Checked<()> {
        self.end_job()?;
        while !self.path.is_empty() {
            self.close()?;
        }
        Ok(())
    }

    fn job(&mut self, record: &JobRecord) -> Checked<()> {
        let JobRecord { id, parent, fingerprint, .. } = *record;
        self.end_job()?;
        while self.path.last().is_some_and(|level| Some(level.id) != parent) {
            self.close()?;
        }
        match self.path.last_mut() {
            Some(level) if level.last_child.is_some_and(|last| last >= id) => {
                return Err(format!("job {id} stands behind a sibling with a larger id"));
            }
            Some(level) => level.last_child = Some(id),
            None if id != self.tree.root || parent.is_some() || self.job.origin.is_some() => {
                return Err(format!("job {id} does not stand below its parent"));
            }
            None => {}
        }
        let depth = u32::try_from(self.path.len()).unwrap_or(u32::MAX);
        if depth > limits::DEPTH {
            return Err(format!("job {id} stands too deep"));
        }
        let origin = Origin { parent, root: self.tree.root, depth, fingerprint };
        self.job = Progress { origin: Some(origin), ..Progress::default() };
        self.path.push(Level { id, last_child: None, below: 0, due: 0 });
        Ok(())
    }

    /// Checks the last job of the path, after its last line.
    fn end_job(&self) -> Checked<()> {
        let Some(level) = self.path.last() else { return Ok(()) };
        let Progress { changes, log_lines, attachments, due, .. } = self.job;
        // The creation has no line.
        let came = [changes.saturating_add(1), log_lines, attachments];
        match due {
            None => Err(format!("job {} has no status", level.id)),
            Some(due) if due != came => Err(format!(
                "job {} has {came:?} changes, lines and attachments, and its status says {due:?}",
                level.id
            )),
            Some(_) => Ok(()),
        }
    }

    /// Closes the last job of the path, after the last job below it.
    fn close(&mut self) -> Checked<()> {
        let Some(Level { id, below, due, .. }) = self.path.pop() else { return Ok(()) };
        if below != due {
            return Err(format!("job {id} has {below} jobs below it, and its status says {due}"));
        }
        if let Some(above) = self.path.last_mut() {
            above.below += below + 1;
        }
        Ok(())
    }
}

impl Progress {
    fn take(&mut self, id: JobId, record: &Record) -> Checked<()> {
        let (kind, in_order) = match record {
            Record::Status(_) => (0, self.due.is_none()),
            Record::Change(_) => (1, self.due.is_some()),
            Record::LogLine(_) => (2, self.due.is_some()),
            Record::Attachment(_) => (3, self.due.is_some()),
            Record::Repeat(_) => (4, self.due.is_some()),
            Record::FollowUp(_) => (5, self.due.is_some() && self.followed),
            // The job begins with this line.
            _ => return Ok(()),
        };
        if !in_order || kind < self.kind {
            return Err(format!("the lines of job {id} are not in order"));
        }
        self.kind = kind;
        match record {
            Record::Status(StatusRecord { status, followed, .. }) => {
                self.followed = *followed;
                self.due = Some([status.changes, status.log_lines, status.attachments]);
            }
            Record::Change(record) => {
                self.changes += 1;
                follows(id, record.number, self.changes)?;
            }
            Record::LogLine(record) => {
                follows(id, record.line.line, self.log_lines)?;
                self.log_lines += 1;
            }
            Record::Attachment(record) => {
                if self.attachments > 0 && self.last_key >= record.key {
                    return Err(format!("the attachments of job {id} are not in order"));
                }
                self.attachments += 1;
                self.last_key.clone_from(&record.key);
            }
            Record::FollowUp(record) => {
                if self.last_follow_up >= Some(record.key) {
                    return Err(format!("the follow-ups of job {id} are not in order"));
                }
                self.last_follow_up = Some(record.key);
                self.follow_up(id, record)?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Progress {
    fn follow_up(&mut self, id: JobId, record: &FollowUpRecord) -> Checked<()> {
        if !kinds_agree(record) {
            return Err(format!("a follow-up of job {id} has the name of another kind"));
        }
        let [actions, checks, deliveries] = self.numbers;
        let is_known = match (record.key, &record.row) {
            (_, FollowUp::Watch(watch)) => {
                let actions = u32::try_from(watch.actions.len()).unwrap_or(u32::MAX);
                self.numbers = [actions, watch.checks, watch.deliveries];
                true
            }
            (FollowUpKey::Action(number), _) => number < actions,
            (FollowUpKey::Check(number), _) => number < checks,
            (FollowUpKey::Delivery(number), FollowUp::Delivery(row)) => {
                number < deliveries && row.earlier <= row.attempts
            }
            (FollowUpKey::Task, FollowUp::Task(_)) => true,
            _ => false,
        };
        if is_known {
            return Ok(());
        }
        Err(format!("job {id} has {:?}, which does not go with what is watched", record.key))
    }
}

fn kinds_agree(FollowUpRecord { key, row, .. }: &FollowUpRecord) -> bool {
    matches!(
        (key, row),
        (FollowUpKey::Watch, FollowUp::Watch(_))
            | (FollowUpKey::Action(_), FollowUp::Action(_))
            | (FollowUpKey::Check(_), FollowUp::Check(_))
            | (FollowUpKey::Delivery(_), FollowUp::Delivery(_))
            | (FollowUpKey::Task, FollowUp::Task(_))
    )
}

fn follows(id: JobId, number: u32, due: u32) -> Checked<()> {
    if number == due {
        return Ok(());
    }
    Err(format!("job {id} has a line with number {number} where {due} is due"))
}

/// Checks that every text is within its limits.
pub(super) fn check_texts(row: &Row) -> Checked<()> {
    let checked = match row {
        Row::Job { origin, definition, .. } => definition.check(origin.parent),
        Row::Change { change, .. } => change.check(),
        Row::LogLine { line, .. } => LogLine::check("text", &line.text),
        Row::Attachment { key, text, .. } => {
            AttachmentInfo::check(key, text.as_deref().unwrap_or_default())
        }
        Row::Repeat { key: Repeat::Change(name) | Repeat::Append(name), .. } => {
            let fits = (1..=limits::REPEAT_ID).contains(&name.len());
            let error = || FieldError::new("name", format!("has {} bytes", name.len()));
            fits.then_some(()).ok_or_else(error)
        }
        Row::FollowUp { row: FollowUp::Action(action), .. } => action.check("action"),
        Row::FollowUp { row: FollowUp::Check(row), .. } => row.check.check("check"),
        Row::FollowUp { row: FollowUp::Task(row), .. } => row.task.check(),
        Row::FollowUp { .. }
        | Row::Status { .. }
        | Row::Definition { .. }
        | Row::TreeResult { .. }
        | Row::Deleted { .. } => Ok(()),
    };
    checked.map_err(|error| error.to_string())
}
