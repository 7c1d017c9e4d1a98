//! The frames are as the OpenAPI document says.

use std::collections::{BTreeMap, BTreeSet};

use jobtracker_model::{
    Change, Definition, DeliveryStatus, FollowUpLoad, HandlerQueue, JobId, LogLine, NewChange,
    NewWorker, OperationLoad, Overview, Problem, ProblemCode, QueueCounts, QueueLength,
    RequestLoad, State, StoreLoad, Timestamp, ViewerLoad, WorkerHandler, WorkerLoad, WorkerState,
    WorkerView,
    live::{
        ClientFrame, DeliveriesState, EventKind, Frame, Gap, GapReason, JobSummary, ListState,
        LiveEvent, Occurrence, OverviewState, Position, QueueLengths, RootsState, ServerFrame,
        Snapshot, Subscribe, SummaryDefinition, Topic,
    },
    rollup::Status,
    schedule::{Schedule, ScheduleCode, ScheduleDefinition, ScheduleStatistics, ScheduleTrigger},
};
use serde_json::{Value, json};

/// Why a value does not fit a schema; nothing if it does.
fn misfit(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let all = |name: &str| schema[name].as_array().into_iter().flatten();
    if let Some(reference) = schema["$ref"].as_str() {
        return misfit(document, document.pointer(&reference[1..]).unwrap(), value);
    }
    if let Some(found) = all("allOf").find_map(|part| misfit(document, part, value)) {
        return Some(found);
    }
    let choices: Vec<_> = all("oneOf").map(|choice| misfit(document, choice, value)).collect();
    if !choices.is_empty() && choices.iter().filter(|choice| choice.is_none()).count() != 1 {
        return Some(format!("{value} fits not one of {}: {choices:?}", choices.len()));
    }
    if let Some(names) = schema["enum"].as_array().filter(|names| !names.contains(value)) {
        return Some(format!("{value} is none of {names:?}"));
    }
    let kinds: Vec<_> =
        schema["type"].as_str().into_iter().chain(all("type").filter_map(Value::as_str)).collect();
    let is = |kind: &&str| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    if !kinds.is_empty() && !kinds.iter().any(is) {
        return Some(format!("{value} is no {kinds:?}"));
    }
    if let Some((pattern, text)) = schema["pattern"].as_str().zip(value.as_str())
        && !regex::Regex::new(pattern).unwrap().is_match(text)
    {
        return Some(format!("{value} is not like {pattern}"));
    }
    if let Some(name) = all("required").find(|name| value.get(name.as_str().unwrap()).is_none()) {
        return Some(format!("{value} has no {name}"));
    }
    let fields = schema["properties"].as_object().into_iter().flatten();
    let mut fields = fields.filter_map(|(name, field)| Some((field, value.get(name)?)));
    let items = value.as_array().into_iter().flatten().map(|item| (&schema["items"], item));
    let items = items.filter(|(schema, _)| !schema.is_null());
    fields
        .find_map(|(field, value)| misfit(document, field, value))
        .or_else(|| items.into_iter().find_map(|(schema, item)| misfit(document, schema, item)))
}

fn occurrences() -> Vec<Occurrence> {
    let change = Change::recorded(NewChange::new(State::Running).message("m"), Timestamp::MIN);
    vec![
        Occurrence::Created { parent: None, name: "a".into() },
        Occurrence::Created { parent: Some(JobId::MIN), name: "a".into() },
        Occurrence::Changed { number: 1, change },
        Occurrence::State { before: None, state: State::Running },
        Occurrence::State { before: Some(State::Running), state: State::Faulted },
        Occurrence::Log(LogLine {
            line: 0,
            time: Timestamp::MIN,
            attempt: Some(1),
            text: "a".into(),
        }),
        Occurrence::Options,
        Occurrence::Attachment { key: "a".into(), size: None },
        Occurrence::Attachment { key: "a".into(), size: Some(3) },
        Occurrence::Delivery { number: 0, status: DeliveryStatus::Waiting, attempts: 1 },
        Occurrence::Flushed { commit: None },
        Occurrence::Flushed { commit: Some("a".parse().unwrap()) },
        Occurrence::Deleted,
    ]
}

fn row() -> JobSummary {
    let definition = SummaryDefinition::new(None, 0, &Definition::default(), Timestamp::MIN);
    JobSummary::new(JobId::MAX, definition, &Status::created(JobId::MAX, Timestamp::MIN).0)
}

fn states() -> [Frame; 8] {
    let follow_ups = FollowUpLoad { due: 1, under_way: 2, delivered: 3, failed: 4 };
    let (time, started, version) = (Timestamp::MAX, Timestamp::MIN, "0.1.0".into());
    let overview = Overview {
        time,
        version,
        started,
        operations: OperationLoad { per_minute: 1, waiting: 2, refused: 3 },
        requests: RequestLoad { per_minute: 1, in_flight: 2 },
        viewers: ViewerLoad { connections: 1, trees: 2 },
        follow_ups,
        store: StoreLoad {
            is_alive: true,
            is_shared: false,
            jobs: Some(1),
            bytes: None,
            free_bytes: None,
        },
    };
    let (root, version) = (JobId::MIN, 7);
    let (rows, missing) = (vec![row()], vec![JobId::MAX]);
    let changed = JobSummary { definition: None, ..row() };
    [
        Frame::Snap(Snapshot { root, version, from: None, rows, missing }),
        Frame::Snap(Snapshot {
            root,
            version,
            from: Some(6),
            rows: vec![changed],
            missing: vec![],
        }),
        Frame::Roots(RootsState {
            version,
            from: Some(6),
            ids: vec![JobId::MAX],
            rows: vec![row()],
            more: true,
        }),
        Frame::Deliveries(DeliveriesState { version, follow_ups }),
        Frame::Overview(OverviewState { version, overview }),
        Frame::Workers(list(worker())),
        Frame::Schedules(list(schedule())),
        Frame::Queue(QueueLengths { version, counts: counts() }),
    ]
}

fn list<Row>(row: Row) -> ListState<Row> {
    let keys = Some(vec!["w-1".to_owned()]);
    ListState { version: 7, from: Some(6), keys, rows: vec![row], more: false }
}

fn worker() -> WorkerView {
    let handler = WorkerHandler { name: "test/run".into(), description: "runs".into() };
    let (tags, labels) = (vec!["big".to_owned()], BTreeMap::new());
    let worker = NewWorker { name: "w".into(), handlers: vec![handler], tags, labels, slots: 4 };
    let load = WorkerLoad { cpu: Some(0.5), ..WorkerLoad::default() };
    WorkerView {
        id: "w-1".into(),
        worker,
        state: WorkerState::Online,
        registered: Timestamp::MIN,
        heard: Timestamp::MIN,
        running: 1,
        load: Some(load),
        banned_until: None,
    }
}

fn schedule() -> Schedule {
    Schedule {
        name: "nightly".into(),
        version: 1,
        enabled: true,
        definition: ScheduleDefinition::new([ScheduleTrigger::FixedDelay { delay_ms: 1_000 }]),
        create_time: Timestamp::MIN,
        change_time: Timestamp::MIN,
        changed_by: "ops".into(),
        code: Some(ScheduleCode { version: 1, changed_by_hand: true }),
        next: Some(Timestamp::MAX),
        running: vec![JobId::MAX],
        queued: 0,
        last_firing: None,
        statistics: ScheduleStatistics::default(),
    }
}

fn counts() -> QueueCounts {
    let all = QueueLength { leased: 1, ready: 2, delayed: 3, oldest: Some(Timestamp::MIN) };
    let handlers = vec![HandlerQueue { handler: "test/run".into(), length: all }];
    QueueCounts { all, more: false, handlers }
}

/// The values that a member of an object may have by a schema, as its variants say.
fn choices(document: &Value, schema: &Value, member: &str) -> BTreeSet<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return choices(document, document.pointer(&reference[1..]).unwrap(), member);
    }
    let here = schema["properties"][member]["enum"].as_array().into_iter().flatten();
    let here = here.map(|value| value.as_str().unwrap().to_owned());
    let parts = ["allOf", "oneOf"].into_iter().filter_map(|name| schema[name].as_array());
    let below = parts.flatten().flat_map(|part| choices(document, part, member));
    here.chain(below).collect()
}

#[test]
fn frames_fit_the_document_and_come_back() {
    let document: Value = serde_json::from_str(jobtracker_server::openapi_document()).unwrap();
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let at = Position::new(7, 1);
    let gap =
        Gap { from: at, to: Position::end_of(9), count: Some(3), why: GapReason::OtherServer };
    let events = occurrences().into_iter();
    let events = events.map(|what| Frame::Event(LiveEvent { at, id: JobId::MAX, what }));
    let others = [
        Frame::Hello { subscriptions: 64, rows: 1_000, heartbeat_ms: 15_000 },
        Frame::Gap(gap),
        Frame::Gap(Gap { count: None, ..gap }),
        Frame::Mark { at: Some(at) },
        Frame::Mark { at: None },
        Frame::Pong,
        Frame::End { problem: Problem::new(ProblemCode::ShuttingDown, "") },
    ];
    let (mut frames, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for frame in events.chain(states()).chain(others) {
        let frame = ServerFrame { sub: Some(1), frame };
        let text = serde_json::to_value(&frame).unwrap();
        assert_eq!(misfit(&document, &schema("ServerFrame"), &text), None);
        frames.extend(text["t"].as_str().map(str::to_owned));
        kinds.extend(text["kind"].as_str().map(str::to_owned));
        assert_eq!(serde_json::from_value::<ServerFrame>(text).unwrap(), frame);
    }
    // What the document has and this test has not is not known to be right.
    assert_eq!(frames, choices(&document, &schema("ServerFrame"), "t"));
    assert_eq!(kinds, choices(&document, &schema("LiveEvent"), "kind"));
    let mut full = Subscribe::new(3, Topic::Tree(JobId::MIN));
    let mut said = BTreeSet::new();
    full.kinds = Some(EventKind::ALL.to_vec());
    full.states = Some([State::Running].into_iter().collect());
    (full.after, full.since) = (Some(at), Some(7));
    (full.filter, full.every_ms) = (Some("states=Faulted".into()), Some(500));
    for frame in [
        ClientFrame::Sub(Subscribe::new(1, Topic::Log(JobId::MIN))),
        ClientFrame::Sub(full),
        ClientFrame::Window { sub: 1, ids: vec![JobId::MIN] },
        ClientFrame::Pace { sub: 1, every_ms: 500 },
        ClientFrame::Unsub { sub: 1 },
        ClientFrame::Ping,
    ] {
        let text = serde_json::to_value(&frame).unwrap();
        assert_eq!(misfit(&document, &schema("ClientFrame"), &text), None);
        said.extend(text["t"].as_str().map(str::to_owned));
        assert_eq!(serde_json::from_value::<ClientFrame>(text).unwrap(), frame);
    }
    assert_eq!(said, choices(&document, &schema("ClientFrame"), "t"));
    // A schema that takes everything would prove nothing.
    for wrong in [
        json!({"t": "event", "at": "7.1", "id": 1, "kind": "state", "state": "Done"}),
        json!({"t": "mark", "at": "x"}),
        json!({"t": "sing"}),
    ] {
        assert!(misfit(&document, &schema("ServerFrame"), &wrong).is_some(), "{wrong}");
    }
}
