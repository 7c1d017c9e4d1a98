//! The bounds by which the service refuses values, for the schemas of the document: the types say
//! what a field is, and these bounds say how long and how many. The numbers are the limits of the
//! checks.
//!
//! The document measures texts in characters and the service in bytes, which is the same for ASCII.

use jobtracker_model::{AttemptFailure, QueueState, State, limits};
use serde_json::{Map, Value, json};

/// No control characters.
const PLAIN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// No control characters and no commas.
const TAG: &str = r"^[^,\u0000-\u001f\u007f-\u009f]*$";
const URL: &str = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s\\]+$";
/// Nothing but scheme, host and port.
const ORIGIN: &str = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#\s\\]+/?$";
/// A name that a path does not change.
const FILE_NAME: &str = r"^[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$";
/// `service/name`.
const HANDLER: &str = r"^[A-Za-z0-9._-]{1,64}/[A-Za-z0-9._-]{1,64}$";
const LOGIN: &str = r"^[^:\u0000-\u001f\u007f-\u009f]*$";
const ADDRESS: &str = r"^[^@\s]+@[A-Za-z0-9.-]+$";

/// 24 to 64 bytes in base64, with padding.
const SIGNING: &str = concat!(
    "^whsec_(",
    "([A-Za-z0-9+/]{4}){8,20}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?|",
    "([A-Za-z0-9+/]{4}){21}([A-Za-z0-9+/]{2}==)?",
    ")$"
);

/// Adds the bounds to a document.
pub(super) fn apply(document: &mut Value) {
    merge(&mut document["components"]["schemas"], schemas());
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            merge(&mut parameter["schema"], self::parameter(&id, &name));
        }
        if id == "putAttachment" {
            let text = json!({"schema": {"maxLength": limits::ATTACHMENT}});
            merge(&mut operation["requestBody"]["content"]["text/plain"], text);
        }
    }
}

/// Adds what a value lacks, and replaces what is neither an object nor a list of alternatives.
fn merge(value: &mut Value, more: Value) {
    match (value, more) {
        // Alternatives are named by their kinds.
        (Value::Array(alternatives), Value::Object(mut more)) => {
            for alternative in alternatives {
                let kind = alternative["properties"]["kind"]["enum"][0].as_str().unwrap_or("");
                if let Some(more) = more.remove(kind) {
                    merge(&mut alternative["properties"], more);
                }
            }
        }
        (Value::Object(fields), Value::Object(more)) => {
            for (name, more) in more {
                merge(fields.entry(name).or_insert(Value::Null), more);
            }
        }
        (value, more) => *value = more,
    }
}

fn schemas() -> Value {
    let mut schemas = jobs();
    merge(&mut schemas, follow_ups());
    merge(&mut schemas, tasks());
    merge(&mut schemas, schedules());
    schemas
}

fn text(min: usize, max: usize) -> Value {
    json!({"minLength": min, "maxLength": max})
}

fn text_like(min: usize, max: usize, pattern: &str) -> Value {
    json!({"minLength": min, "maxLength": max, "pattern": pattern})
}

fn children() -> Value {
    json!({
        "minItems": 1,
        "maxItems": limits::CHILDREN_PER_REQUEST,
        // The parent is in the address, and a child is no root.
        "items": {"not": {"anyOf": [
            {"required": ["parent"], "properties": {"parent": {"type": "integer"}}},
            {"required": ["keepDays"], "properties": {"keepDays": {"type": "integer"}}},
        ]}},
    })
}

fn lines() -> Value {
    json!({
        "minItems": 1,
        "maxItems": limits::LOG_LINES_PER_REQUEST,
        "items": text_like(0, limits::LOG_LINE, r"^[^\n\r]*$"),
    })
}

fn jobs() -> Value {
    let repeat_id = text(1, limits::REPEAT_ID);
    json!({
        "NewJob": {"not": {
            "required": ["parent", "keepDays"],
            "properties": {"parent": {"type": "integer"}, "keepDays": {"type": "integer"}},
        }, "properties": {
            "name": text_like(1, limits::NAME, PLAIN),
            "createdBy": text(0, limits::CREATED_BY),
            "tags": {
                "maxItems": limits::TAGS,
                "uniqueItems": true,
                "items": text_like(1, limits::TAG, TAG),
            },
            "options": text(0, limits::OPTIONS),
            "sourceLink": text(0, limits::SOURCE_LINK),
            "keepDays": {"minimum": 1, "maximum": limits::KEEP_DAYS},
            "actions": {"maxItems": limits::ACTIONS},
            "checks": {"maxItems": limits::CHECKS},
        }},
        "NewChildren": {"properties": {
            "jobs": children(),
        }},
        "NewOptions": {"properties": {"options": text(0, limits::OPTIONS)}},
        "NewChange": {"properties": {
            "state": {"not": {"const": State::WaitingForActivation}},
            "changeId": repeat_id,
        }},
        "NewLogLines": {"properties": {
            "lines": lines(),
            "appendId": repeat_id,
        }},
        "ReserveIds": {"properties": {
            "count": {"minimum": 1, "maximum": limits::IDS_PER_RESERVATION},
        }},
        "WindowQuery": {"properties": {
            "ids": {"minItems": 1, "maxItems": limits::ROWS_PER_REQUEST},
        }},
        "ExportRequest": {"properties": {"roots": {"maxItems": limits::EXPORT_ROOTS}}},
        "ExportPosition": {"properties": {"trees": most()}},
        "ExportCounts": {"properties": {
            "jobs": most(),
            "changes": most(),
            "logLines": most(),
            "attachments": most(),
            "repeats": most(),
            "followUps": most(),
        }},
        "RetentionRule": {"properties": {
            "keepDays": {"maximum": limits::KEEP_DAYS},
            "summaryDays": {"minimum": 1, "maximum": limits::SUMMARY_DAYS},
            "namePrefix": text(0, limits::NAME),
            "createdBy": text(0, limits::NAME),
            "tags": {"maxItems": limits::TAGS, "items": text(1, limits::TAG)},
        }},
        "StateQuery": {"properties": {
            "ids": {"minItems": 1, "maxItems": limits::STATES_PER_REQUEST},
        }},
        "NewToken": {"properties": {"name": text_like(1, limits::TOKEN_NAME, FILE_NAME)}},
        "UploadId": text_like(1, limits::REPEAT_ID, FILE_NAME),
    })
}

fn most() -> Value {
    json!({"maximum": limits::EXPORT_NUMBER})
}

fn tasks() -> Value {
    let time = json!({"minimum": 1, "maximum": limits::TASK_TIME_MS});
    let wait = json!({"maximum": limits::WORKER_WAIT_MS});
    let slots = json!({"minimum": 1, "maximum": limits::WORKER_SLOTS});
    let tags = json!({"maxItems": limits::TAGS, "items": text(1, limits::TAG)});
    let labels = json!({
        "maxProperties": limits::TAGS,
        "propertyNames": text(1, limits::TAG),
        "additionalProperties": text(0, limits::TAG),
    });
    json!({
        "NewTask": {"properties": {"handler": {"pattern": HANDLER}}},
        "Timeouts": {"properties": {
            "scheduleToStartMs": time, "executionMs": time, "cancelGraceMs": time,
        }},
        "Retry": {"properties": {
            "max": {"maximum": limits::RETRIES},
            "initialMs": time,
            "factor": {"minimum": 1, "maximum": 10},
            "capMs": time,
            "jitterPercent": {"maximum": 100},
            "on": {"maxItems": AttemptFailure::ALL.len()},
        }},
        "WorkerFilter": {"properties": {
            "tags": tags,
            "labels": labels,
            "workers": {"maxItems": limits::FILTER_WORKERS, "items": text(1, limits::WORKER_ID)},
        }},
        "PerWorker": {"properties": {"key": text(1, limits::PER_WORKER_KEY), "max": slots}},
        "Routing": {"oneOf": {
            "consistentHash": {"key": text(1, limits::NAME), "param": text(1, limits::NAME)},
            "specific": {"workers": {
                "minItems": 1,
                "maxItems": limits::FILTER_WORKERS,
                "items": text(1, limits::WORKER_ID),
            }},
            "custom": {"name": text_like(1, limits::TOKEN_NAME, FILE_NAME)},
        }},
        "Shard": {"properties": {"total": {"minimum": 1, "maximum": limits::SHARDS}}},
        "TaskReport": {"properties": {"progress": {"maximum": 100}}},
        "NewWorker": {"properties": {
            "name": text_like(1, limits::WORKER_NAME, FILE_NAME),
            "handlers": {"minItems": 1, "maxItems": limits::WORKER_HANDLERS},
            "tags": tags,
            "labels": labels,
            "slots": slots,
        }},
        "WorkerHandler": {"properties": {
            "name": {"pattern": HANDLER},
            "description": text(0, limits::NAME),
        }},
        "ClaimTasks": {"properties": {
            "free": slots,
            "waitMs": wait,
            "has": {"maxProperties": limits::WORKER_SLOTS},
        }},
        "Heartbeat": {"properties": {
            "tasks": {"maxItems": limits::WORKER_SLOTS},
            "waitMs": wait,
        }},
        "HeldTask": {"properties": {"progress": {"maximum": 100}}},
        "KickWorker": {"properties": {"banMs": {"maximum": limits::WORKER_BAN_MS}}},
        "TaskChildren": {"properties": {"jobs": children()}},
        "TaskLog": {"properties": {
            "lines": lines(),
            "appendId": text(1, limits::REPEAT_ID),
        }},
    })
}

fn addresses(min: usize, max: usize) -> Value {
    json!({
        "minItems": min,
        "maxItems": max,
        "uniqueItems": true,
        "items": {"format": "email", "maxLength": limits::ADDRESS, "pattern": ADDRESS},
    })
}

fn follow_ups() -> Value {
    json!({
        "StateSet": {"minItems": 1, "items": {"not": {"const": State::WaitingForActivation}}},
        "Action": {"anyOf": one_of_both("http", "email")},
        "Target": {"anyOf": one_of_both("http", "email")},
        "HttpAction": {"properties": {
            "url": {"maxLength": limits::URL, "pattern": URL, "format": "uri"},
            "headers": {
                "maxProperties": limits::HEADERS,
                "propertyNames": {"pattern": r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"},
                "additionalProperties": {"pattern": r"^([!-~]([\t -~]*[!-~])?)?$"},
            },
            "secret": {"pattern": SIGNING},
        }},
        "Proxy": {
            "properties": {
                "url": {"maxLength": limits::URL, "pattern": ORIGIN},
                "username": text_like(1, limits::PROXY_LOGIN, LOGIN),
                "password": text_like(0, limits::PROXY_LOGIN, PLAIN),
            },
            "dependentRequired": {"password": ["username"]},
        },
        "EmailAction": {"properties": {
            "to": addresses(1, limits::RECIPIENTS),
            "cc": addresses(0, limits::RECIPIENTS - 1),
            "subject": text_like(1, limits::SUBJECT, PLAIN),
        }},
        "NewCheck": {
            "properties": {
                "expression": text(1, limits::EXPRESSION),
                "quietMs": {"minimum": limits::QUIET_MIN_MS, "maximum": limits::QUIET_MS},
            },
            "oneOf": [
                kind("state", &["at", "states"], &["expression", "quietMs"]),
                kind("subtree", &["at", "expression"], &["states", "quietMs"]),
                kind("silence", &["quietMs"], &["at", "states", "expression", "success"]),
            ],
            "anyOf": one_of_both("success", "failure"),
        },
    })
}

fn schedules() -> Value {
    let pause = |min: u64| json!({"minimum": min, "maximum": limits::TRIGGER_MS});
    let number = |max: u32| json!({"minimum": 1, "maximum": max});
    json!({
        "NewSchedule": {"properties": {"name": text_like(1, limits::TOKEN_NAME, FILE_NAME)}},
        "RegisterSchedule": {"properties": {
            "version": {"minimum": 1, "maximum": limits::CODE_VERSION},
        }},
        "ScheduleDefinition": {"properties": {
            "description": text(0, limits::DESCRIPTION),
            "triggers": {"maxItems": limits::TRIGGERS},
            "windows": {"maxItems": limits::WINDOWS},
            "graceMs": {"maximum": limits::GRACE_MS},
        }},
        "ScheduleTrigger": {"oneOf": {
            "cron": {"pattern": text(1, limits::CRON_PATTERN)},
            "fixedRate": {"everyMs": pause(limits::RATE_MS)},
            "fixedDelay": {"delayMs": pause(limits::RATE_MS)},
            "delayed": {"afterMs": pause(0)},
            "after": {"schedule": text_like(1, limits::TOKEN_NAME, FILE_NAME)},
        }},
        "DailyWindow": {"properties": {"days": {"maxItems": 7}}},
        "Misfire": {"oneOf": {"fireAll": {"limit": number(limits::MISFIRES)}}},
        "Concurrency": {"oneOf": {
            "queue": {"limit": number(limits::QUEUED_FIRINGS)},
            "allow": {"max": number(limits::OPEN_RUNS)},
        }},
        "Sharding": {"oneOf": {
            "fixed": {"total": number(limits::SHARDS)},
            "filter": {"filter": {"not": {"required": ["perWorker"]}}},
        }},
        "ScheduleAlarm": {"properties": {
            "actions": {"minItems": 1, "maxItems": limits::ALARM_ACTIONS},
            "threshold": number(100),
            "silenceMs": pause(0),
            "notStartedMs": pause(1_000),
            "longPercent": {"minimum": 101, "maximum": 100_000},
        }},
        "AlarmAction": {"oneOf": {
            "http": {"url": {"maxLength": limits::URL, "pattern": URL, "format": "uri"}},
            "email": {"to": addresses(1, limits::RECIPIENTS)},
        }},
        "RunTemplate": {"properties": {
            "name": text_like(1, limits::NAME, PLAIN),
            "tags": {
                "maxItems": limits::TAGS,
                "uniqueItems": true,
                "items": text_like(1, limits::TAG, TAG),
            },
            "options": text(0, limits::OPTIONS),
            "sourceLink": text(0, limits::SOURCE_LINK),
            "keepDays": {"minimum": 1, "maximum": limits::KEEP_DAYS},
        }},
        "TriggerSchedule": {"properties": {
            "delayMs": pause(0),
            "idempotencyKey": text_like(1, limits::REPEAT_ID, PLAIN),
        }},
        "NextFires": {"properties": {"count": number(limits::PREVIEW)}},
    })
}

/// One of two objects, or both.
fn one_of_both(one: &str, other: &str) -> Value {
    let has = |name: &str| json!({"required": [name], "properties": {name: {"type": "object"}}});
    json!([has(one), has(other)])
}

/// A kind of check, with the fields that it has and lacks.
fn kind(name: &str, has: &[&str], lacks: &[&str]) -> Value {
    let mut properties = Map::from_iter([("kind".to_owned(), json!({"const": name}))]);
    properties.extend(has.iter().map(|name| ((*name).into(), json!({"not": {"type": "null"}}))));
    properties.extend(lacks.iter().map(|name| ((*name).into(), json!({"type": "null"}))));
    json!({"required": has, "properties": properties})
}

/// One or more of these names, separated by commas.
fn list_of(names: &[&str]) -> String {
    let name = names.join("|");
    format!("({name})(,({name}))*")
}

/// The bounds of a parameter of an operation.
fn parameter(operation: &str, name: &str) -> Value {
    let states = list_of(&State::ALL.map(State::name));
    match (operation, name) {
        ("waitForState", "states") => json!({"pattern": format!("^{states}$")}),
        ("listQueue", "states") => {
            json!({"pattern": format!("^({})?$", list_of(&QueueState::ALL.map(QueueState::name)))})
        }
        (_, "states") => json!({"pattern": format!("^({states})?$")}),
        (_, "expression") => text(1, limits::EXPRESSION),
        ("readLog", "from") => json!({"pattern": "^(start|end|[0-9]{1,7})$"}),
        ("listRoots" | "listDescendants", "format") => json!({"enum": ["json", "ndjson", "csv"]}),
        ("readLog", "format") => json!({"enum": ["json", "text"]}),
        (_, "order") => json!({"enum": ["oldest", "newest"]}),
        (_, "fields") => json!({"enum": ["all", "row"]}),
        ("listSchedules", "namePrefix") => text(0, limits::DOCUMENT_KEY),
        ("putAttachment", "key") => text_like(1, limits::ATTACHMENT_KEY, FILE_NAME),
        (_, "delivery") => json!({"pattern": "^[1-9][0-9]{0,18}-[0-9]{1,10}$"}),
        (_, "number") => json!({"maximum": u32::MAX}),
        _ => json!({}),
    }
}
