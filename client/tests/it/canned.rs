use jobtracker_client::{
    Change, Channel, Children, Created, Delivery, DeliveryStatus, Event, Job, JobId, JobNode,
    NewChange, Page, Problem, ProblemCode, State, Statistics, Status, Subtree, Timestamp, Trigger,
    Updated,
};
use serde::Serialize;
use wiremock::ResponseTemplate;

pub fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

pub fn json(value: impl Serialize) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(value)
}

pub fn text(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(text)
}

pub fn problem(code: ProblemCode) -> ResponseTemplate {
    problem_with(&Problem::new(code, "It happened."))
}

pub fn problem_with(problem: &Problem) -> ResponseTemplate {
    let body = serde_json::to_vec(problem).unwrap();
    ResponseTemplate::new(problem.status).set_body_raw(body, "application/problem+json")
}

pub fn page<T>(items: Vec<T>, next_cursor: Option<&str>) -> Page<T> {
    Page { items, next_cursor: next_cursor.map(str::to_owned) }
}

pub fn time() -> Timestamp {
    Timestamp::from_millis(1_795_253_400_120).unwrap()
}

pub fn job(number: u64) -> Job {
    Job {
        id: id(number),
        parent: None,
        root: id(number),
        depth: 0,
        name: format!("job {number}"),
        created_by: String::new(),
        tags: Vec::new(),
        options: None,
        source_link: None,
        keep_days: None,
        state: State::WaitingToRun,
        create_time: time(),
        start_time: None,
        end_time: None,
        children: Children::default(),
        subtree: Subtree::default(),
        changes: 1,
        log_lines: 0,
        attachments: 0,
        summary: false,
        failures: Vec::new(),
    }
}

pub fn node(number: u64) -> JobNode {
    let (status, _) = Status::created(id(number), time());
    JobNode { id: id(number), parent: None, root: id(number), depth: 0, status }
}

pub fn created(number: u64) -> Created {
    Created { id: id(number), root: id(number), created: true, state: State::WaitingToRun }
}

pub fn updated() -> Updated {
    Updated { applied: true, repeated: false, state: State::Running, changes: 2 }
}

pub fn change() -> Change {
    Change::recorded(NewChange::new(State::Faulted).message("no such file"), time())
}

pub fn statistics(number: u64) -> Statistics {
    Statistics {
        id: id(number),
        state: State::Running,
        tree_start: None,
        tree_end: None,
        first_fault: None,
        execution_time_ms: None,
        children: Children::default(),
        subtree: Subtree::default(),
    }
}

pub fn delivery(number: u64) -> Delivery {
    Delivery {
        id: format!("7-{number}"),
        job: id(7),
        trigger: Trigger::Action(1),
        channel: Channel::Http,
        recipient: None,
        event: Event {
            time: time(),
            state: State::Faulted,
            message: None,
            root: id(1),
            source: id(7),
            children: Children::default(),
            subtree: Subtree::default(),
            quiet_since: None,
        },
        status: DeliveryStatus::Failed,
        next_try: None,
        end_time: Some(time()),
        attempts: 3,
        last_attempt: None,
    }
}
