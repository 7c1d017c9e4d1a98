use jobtracker_model::{CheckKind, Children, JobId, Payload, State, Subtree, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

/// An event of a job for a receiver: the whole content of a request or an e-mail.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The kind of event.
    pub kind: NoticeKind,
    /// The delivery's id, the same on every try.
    pub delivery: String,
    /// The job.
    pub job: JobName,
    /// The visible state: the new one, or the one that a check found.
    pub state: State,
    /// When the event happened.
    pub time: Timestamp,
    /// The own change that caused the state; `None` for a test, and where a check found no failure.
    pub cause: Option<Cause>,
    /// Direct children by category.
    pub children: Children,
    /// Descendants by visible state.
    pub subtree: Subtree,
}

/// The kind of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum NoticeKind {
    /// The visible state became one of those of an action.
    State,
    /// A check was made.
    Check(Finding),
    /// A test of an action.
    Test,
}

/// The job that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobName {
    /// Its id.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// The root of its tree; the job itself for a root.
    pub root: JobId,
}

/// A job by its id and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRef {
    /// Its id.
    pub id: JobId,
    /// Its name.
    pub name: String,
}

/// The own change that caused a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The job that reported it.
    pub job: JobRef,
    /// Its message.
    pub message: Option<String>,
    /// When it was recorded.
    pub time: Timestamp,
    /// From the job that fired down to the one that reported it.
    pub path: Vec<JobRef>,
}

/// What a check expected, and what it found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The expectation, and its time.
    pub expected: CheckKind,
    /// Whether the expectation was met.
    pub met: bool,
    /// What the check found.
    pub found: Found,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The visible state.
    pub state: State,
    /// When something last changed at the job or below it; for a silence check.
    pub last_change: Option<Timestamp>,
}

/// The body of a request, with the fields and in the order that the Standard Webhooks specification
/// recommends: type, time, and the rest below `data`.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    job: &'a JobName,
    state: State,
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a Cause>,
    children: &'a Children,
    subtree: &'a Subtree,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'a Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
}

impl Notice {
    /// The event's type on the wire.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self.kind {
            NoticeKind::State => "job.state",
            NoticeKind::Check(_) => "job.check",
            NoticeKind::Test => "test",
        }
    }

    /// The finding, if the event is a check.
    #[must_use]
    pub const fn finding(&self) -> Option<&Finding> {
        match &self.kind {
            NoticeKind::Check(finding) => Some(finding),
            NoticeKind::State | NoticeKind::Test => None,
        }
    }

    /// What there is to say about it.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self.kind {
            NoticeKind::Test => Some("This is a test."),
            _ => self.cause.as_ref()?.message.as_deref(),
        }
    }

    /// The body of a request: the same bytes for the same event and payload.
    ///
    /// # Errors
    /// The payload is not JSON. A validated payload is.
    pub fn body(&self, payload: Option<&Payload>) -> Result<Vec<u8>, serde_json::Error> {
        let data = Data {
            job: &self.job,
            state: self.state,
            message: self.message(),
            cause: self.cause.as_ref(),
            children: &self.children,
            subtree: &self.subtree,
            check: self.finding(),
            payload: payload.map(Payload::raw).transpose()?,
        };
        let (id, timestamp) = (&self.delivery, self.time);
        serde_json::to_vec(&Body { kind: self.type_name(), id, timestamp, data })
    }

    /// An event for tests.
    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self {
            kind: NoticeKind::State,
            delivery: "dlv_01".into(),
            job: JobName { id: JobId::MIN, name: "nightly <import>".into(), root: JobId::MIN },
            state: State::Faulted,
            time: Timestamp::from_millis(1_795_253_400_120).unwrap(),
            cause: Some(Cause {
                job: JobRef { id: JobId::MAX, name: "page <9>".into() },
                message: Some("disk & \"tape\" full".into()),
                time: Timestamp::from_millis(1_795_253_300_000).unwrap(),
                path: [(JobId::MIN, "nightly <import>"), (JobId::MAX, "page <9>")]
                    .map(|(id, name)| JobRef { id, name: name.into() })
                    .into(),
            }),
            children: Children { pending: 0, successful: 8, failed: 2 },
            subtree: Subtree { total: 40, successful: 37, failed: 3, ..Subtree::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_model::StateSet;
    use serde_json::{Value, json};

    use super::*;

    fn parsed(event: &Notice, payload: Option<&Payload>) -> Value {
        serde_json::from_slice(&event.body(payload).unwrap()).unwrap()
    }

    #[test]
    fn a_state_tells_job_numbers_and_payload() {
        let event = Notice::example();
        let payload = Payload::parse(r#"{"n": 1.10}"#).unwrap();
        let text = String::from_utf8(event.body(Some(&payload)).unwrap()).unwrap();
        assert!(text.starts_with(r#"{"type":"job.state","id":"dlv_01","timestamp":"2026-11-21T"#));
        assert!(text.ends_with(r#""payload":{"n":1.10}}}"#), "{text}");
        let body = parsed(&event, None);
        assert_eq!(body["data"]["job"], json!({"id": 1, "name": "nightly <import>", "root": 1}));
        assert_eq!(body["data"]["state"], "Faulted");
        assert_eq!(body["data"]["message"], "disk & \"tape\" full");
        let top = json!({"id": 1, "name": "nightly <import>"});
        let page = json!({"id": JobId::MAX, "name": "page <9>"});
        let time = event.cause.as_ref().unwrap().time;
        let message = "disk & \"tape\" full";
        let cause = json!({"job": page, "message": message, "time": time, "path": [top, page]});
        assert_eq!(body["data"]["cause"], cause);
        assert_eq!(body["data"]["children"]["failed"], 2);
        assert_eq!(body["data"]["subtree"]["waitingForChildren"], 0);
        assert!(body["data"].get("payload").is_none() && body["data"].get("check").is_none());
    }

    #[test]
    fn a_check_tells_what_was_expected_and_found() {
        let expected = CheckKind::State { at: Timestamp::MIN, states: StateSet::FINISHED };
        let found = Found { state: State::Running, last_change: None };
        let kind = NoticeKind::Check(Finding { expected, met: false, found });
        let body = parsed(&Notice { kind, ..Notice::example() }, None);
        assert_eq!(body["type"], "job.check");
        let expected = json!({
            "kind": "state",
            "at": "1970-01-01T00:00:00.000Z",
            "states": ["RanToCompletion", "Faulted"],
        });
        let found = json!({"state": "Running", "lastChange": null});
        let check = json!({"expected": expected, "met": false, "found": found});
        assert_eq!(body["data"]["check"], check);
        let test = Notice { kind: NoticeKind::Test, ..Notice::example() };
        assert_eq!(parsed(&test, None)["type"], "test");
    }
}
