use std::collections::HashMap;

use cel::{
    common::{
        types::{CelInt, CelList, CelNull, CelString, CelTimestamp},
        value::{CowVal, Val},
    },
    context::VariableResolver,
};
use chrono::DateTime;
use jobtracker_model::{Children, Definition, JobId, State, Subtree, Timestamp, rollup::Status};
use jobtracker_store::JobRow;

/// The variables of expressions.
pub(super) const VARIABLES: [&str; 11] = [
    "id",
    "name",
    "createdBy",
    "tags",
    "state",
    "depth",
    "createTime",
    "startTime",
    "endTime",
    "children",
    "subtree",
];

/// A job as an expression sees it. Only variables that are used are converted.
pub(super) struct Row<'a> {
    id: JobId,
    depth: u32,
    definition: &'a Definition,
    status: Numbers,
}

struct Numbers {
    state: State,
    create_time: Timestamp,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    children: Children,
    subtree: Subtree,
}

static NULL: CelNull = CelNull;

impl<'a> Row<'a> {
    pub fn of(job: &'a JobRow) -> Self {
        let Status { state, create_time, start_time, end_time, children, subtree, .. } = job.status;
        Self {
            id: job.id,
            depth: job.depth,
            definition: &job.definition,
            status: Numbers { state, create_time, start_time, end_time, children, subtree },
        }
    }

    /// The same job as if it had begun and ended, to see whether an expression fails for another
    /// reason than an absent time.
    pub fn with_all_times(mut self) -> Self {
        let status = &mut self.status;
        status.start_time.get_or_insert(status.create_time);
        status.end_time.get_or_insert(status.create_time);
        self
    }

    /// A job that exists nowhere, to try an expression on.
    pub fn sample() -> Row<'static> {
        static SAMPLE: Definition = Definition {
            name: String::new(),
            created_by: String::new(),
            tags: Vec::new(),
            options: None,
            source_link: None,
            keep_days: None,
        };
        let status = Numbers {
            state: State::WaitingToRun,
            create_time: Timestamp::MIN,
            start_time: None,
            end_time: None,
            children: Children::default(),
            subtree: Subtree::default(),
        };
        Row { id: JobId::MIN, depth: 0, definition: &SAMPLE, status }
    }

    fn children(&self) -> [(&'static str, u64); 3] {
        let Children { pending, successful, failed } = self.status.children;
        [("pending", pending), ("successful", successful), ("failed", failed)]
    }

    fn subtree(&self) -> [(&'static str, u64); 6] {
        let Subtree { total, waiting, running, waiting_for_children, successful, failed } =
            self.status.subtree;
        [
            ("total", total),
            ("waiting", waiting),
            ("running", running),
            ("waitingForChildren", waiting_for_children),
            ("successful", successful),
            ("failed", failed),
        ]
    }
}

impl VariableResolver for Row<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let value = match variable {
            "id" => int(self.id.get()),
            "name" => text(&self.definition.name),
            "createdBy" => text(&self.definition.created_by),
            "tags" => {
                let tag = |tag: &'b String| Box::new(CelString::from(tag.as_str())) as Box<dyn Val>;
                let tags: Vec<Box<dyn Val>> = self.definition.tags.iter().map(tag).collect();
                CowVal::owned(CelList::from(tags))
            }
            "state" => text(self.status.state.name()),
            "depth" => int(self.depth.into()),
            "createTime" => time(Some(self.status.create_time)),
            "startTime" => time(self.status.start_time),
            "endTime" => time(self.status.end_time),
            "children" => numbers(&self.children()),
            "subtree" => numbers(&self.subtree()),
            // The evaluator looks up a dotted name as a whole before it looks up its parts.
            dotted => match dotted.split_once('.')? {
                ("children", field) => number(&self.children(), field)?,
                ("subtree", field) => number(&self.subtree(), field)?,
                _ => return None,
            },
        };
        Some(value)
    }
}

/// Numbers are far below the largest integer of an expression; larger ones are capped.
fn int<'b>(number: u64) -> CowVal<'b, 'b> {
    CowVal::owned(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn text(text: &str) -> CowVal<'_, '_> {
    CowVal::owned(CelString::from(text))
}

fn time<'b>(time: Option<Timestamp>) -> CowVal<'b, 'b> {
    match time.and_then(|time| DateTime::from_timestamp_millis(time.millis())) {
        Some(time) => CowVal::owned(CelTimestamp::from(time.fixed_offset())),
        None => CowVal::Borrowed(&NULL),
    }
}

fn number<'b>(fields: &[(&'static str, u64)], wanted: &str) -> Option<CowVal<'b, 'b>> {
    fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| int(*value))
}

fn numbers<'b>(fields: &[(&'static str, u64)]) -> CowVal<'b, 'b> {
    let map: HashMap<&str, i64> = fields
        .iter()
        .map(|(name, value)| (*name, i64::try_from(*value).unwrap_or(i64::MAX)))
        .collect();
    match Box::<dyn Val>::try_from(cel::Value::from(map)) {
        Ok(map) => CowVal::Owned(map),
        Err(_) => CowVal::Borrowed(&NULL),
    }
}
