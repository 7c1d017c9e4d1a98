//! Actions and checks of the new jobs of an upload.
//!
//! Rows that are known from the beginning are rows like others, which may be staged with their
//! jobs. Rows with an entry in an index may not: no reader may find the entry before its job is
//! visible. So these rows wait here, and become rows of the commit that makes the tree visible.

use std::sync::Arc;

use jobtracker_model::{
    Action, CheckKind, Children, Definition, Event, FieldError, Fingerprints, JobId, NewCheck,
    Report, State, Subtree, Timestamp, Trigger, Way,
    rollup::{Grown, Status},
    upload::{TREE_UPCOMING, TREE_UPCOMING_BYTES},
};
use jobtracker_store::{Cause, CheckRow, DeliveryRow, FollowUp, FollowUpKey, Row, Watch, Watched};

use crate::{Error, Result};

/// Says whether the service around the engine can follow the actions and checks of a new job.
pub type Validate =
    Box<dyn Fn(&[Action], &[NewCheck]) -> std::result::Result<(), FieldError> + Send>;

/// About how much memory a row takes that waits here, besides its texts.
const UPCOMING: usize = size_of::<NewCheck>() + 50;

/// What the creator of a job said of it.
pub(super) struct Said {
    pub definition: Definition,
    pub actions: Vec<Action>,
    pub checks: Vec<NewCheck>,
}

impl Said {
    /// A job without follow-ups.
    pub fn of(definition: Definition) -> Self {
        Self { definition, actions: Vec::new(), checks: Vec::new() }
    }

    /// It, if every field is within its limits and the follow-ups pass.
    pub fn checked(self, parent: Option<JobId>, validate: Option<&Validate>) -> Result<Self> {
        self.definition.check(parent)?;
        Action::check_all(&self.actions)?;
        NewCheck::check_all(&self.checks)?;
        if let Some(validate) = validate
            && !(self.actions.is_empty() && self.checks.is_empty())
        {
            validate(&self.actions, &self.checks)?;
        }
        Ok(self)
    }

    pub fn fingerprints(&self, parent: Option<JobId>) -> Fingerprints {
        self.definition.fingerprints(parent, &self.actions, &self.checks)
    }

    /// What has to be known of the follow-ups when the job changes; none if the job has no
    /// follow-ups. The deliveries will be counted when the job is complete.
    pub fn watch(&self, received: Timestamp) -> Option<Watch> {
        if self.actions.is_empty() && self.checks.is_empty() {
            return None;
        }
        let silent = |check: &&NewCheck| matches!(check.kind, CheckKind::Silence { .. });
        let silences = self.checks.iter().filter(silent).count() as u32;
        Some(Watch {
            actions: self.actions.iter().map(Watched::from).collect(),
            checks: self.checks.len() as u32,
            silences,
            deliveries: 0,
            active: (silences > 0).then_some(received),
            lost: 0,
            task: false,
        })
    }
}

/// A follow-up of a new job.
pub(super) fn row(id: JobId, key: FollowUpKey, row: FollowUp) -> Row {
    Row::FollowUp { id, key, before: None, row }
}

/// The follow-ups that are due when a tree becomes visible, or later.
#[derive(Debug, Default)]
pub(crate) struct Upcoming {
    checks: Vec<(JobId, u32, Arc<NewCheck>)>,
    told: Vec<Told>,
    rows: usize,
    texts: usize,
}

/// The deliveries of a job, which becomes visible at once in its last state.
#[derive(Debug)]
struct Told {
    id: JobId,
    state: State,
    /// The report that caused the state. Its message is read at delivery: it may be long, and of a
    /// job below.
    cause: Report,
    children: Children,
    subtree: Subtree,
    deliveries: Vec<(Trigger, Way)>,
}

impl Upcoming {
    /// Adds the checks of a job.
    pub fn look(&mut self, id: JobId, checks: Vec<NewCheck>) -> Result<()> {
        self.rows += checks.len();
        self.texts += checks.iter().map(NewCheck::bytes).sum::<usize>();
        self.check()?;
        let checks = (0..).zip(checks).map(|(number, check)| (id, number, Arc::new(check)));
        self.checks.extend(checks);
        Ok(())
    }

    /// Fires the actions that name the state in which a job becomes visible; answers how many
    /// deliveries that makes. States that the job passed through before are never visible, and a
    /// creation is no change of state.
    pub fn tell(&mut self, job: &Grown, actions: &[Watched]) -> Result<u32> {
        let Grown { id, status: Status { state, children, subtree, .. }, .. } = *job;
        if state == State::WaitingToRun {
            return Ok(0);
        }
        let named = (0..).zip(actions).filter(|(_, action)| action.states.contains(state));
        let deliveries: Vec<_> = named
            .flat_map(|(number, action)| {
                action.ways.each().map(move |way| (Trigger::Action(number), way))
            })
            .collect();
        if deliveries.is_empty() {
            return Ok(0);
        }
        let count = deliveries.len();
        self.rows += count;
        self.check()?;
        let cause = job.cause();
        self.told.push(Told { id, state, cause, children, subtree, deliveries });
        Ok(count as u32)
    }

    /// About how much memory the follow-ups take.
    pub fn bytes(&self) -> usize {
        self.rows * UPCOMING + self.texts
    }

    /// The rows, for a tree of this root that becomes visible at this time.
    pub fn rows(&self, root: JobId, now: Timestamp) -> impl Iterator<Item = Row> {
        let checks = self.checks.iter().map(move |(id, number, check)| {
            row(
                *id,
                FollowUpKey::Check(*number),
                FollowUp::Check(CheckRow::new(Arc::clone(check), now)),
            )
        });
        checks.chain(self.told.iter().flat_map(move |told| told.rows(root, now)))
    }

    fn check(&self) -> Result<()> {
        let (rows, bytes) = (TREE_UPCOMING, TREE_UPCOMING_BYTES);
        if self.rows > rows || self.texts > bytes {
            return Err(Error::CommitTooLarge(format!(
                "the new jobs of one tree may have {rows} checks and deliveries in an upload, and \
                 {bytes} bytes of texts in these checks"
            )));
        }
        Ok(())
    }
}

impl Told {
    fn rows(&self, root: JobId, now: Timestamp) -> impl Iterator<Item = Row> {
        let Self { id, state, cause, children, subtree, ref deliveries } = *self;
        (0..).zip(deliveries).map(move |(number, (trigger, way))| {
            let (message, quiet_since) = (None, None);
            let event = Event {
                time: now,
                state,
                message,
                root,
                source: cause.job,
                children,
                subtree,
                quiet_since,
            };
            let delivery = DeliveryRow::new(*trigger, *way, event);
            let delivery = DeliveryRow { cause: Cause::At(cause), ..delivery };
            row(id, FollowUpKey::Delivery(number), FollowUp::Delivery(delivery))
        })
    }
}
