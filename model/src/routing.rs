//! By which rule a task is given to one of the workers that may claim it.

use serde::{Deserialize, Serialize};

use crate::{FieldError, Payload, check_name, field::check_text, limits};

/// By which rule a task is given to one of the workers that may claim it. Ties are decided by the
/// id.
///
/// With any rule but the first one the service keeps the task for the worker that it has chosen;
/// if that one does not claim it in time, the task goes to the next by the same rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// The braces: without them a field that the rule does not have would be read past.
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Routing {
    /// To the first that claims it.
    Any {},
    /// To the first by id.
    First {},
    /// To the last by id.
    Last {},
    /// To each in turn, by id.
    RoundRobin {},
    /// By chance.
    Random {},
    /// To the same one for the same key, by its name, as long as it is there: when one of n leaves,
    /// about one of n keys moves. Waits for that one, for a while, though it is busy.
    ConsistentHash {
        /// The key; 1 to 256 bytes. Without one and without `param`, it is the name of the
        /// schedule, or the id of the job.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The field of the task's parameters that is the key; 1 to 256 bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        param: Option<String>,
    },
    /// To the one that was given the fewest tasks of this handler within a day.
    LeastDispatched {},
    /// To the one that was given a task of this handler the longest time ago.
    LeastRecentlyUsed {},
    /// To the one of which the smallest share is busy.
    LeastLoaded {},
    /// To the one with the most free memory, as it last said.
    MemoryFirst {},
    /// To the one with the most idle processors, as it last said.
    CpuFirst {},
    /// To the one with the shortest round trip to the service, as it last said.
    FastestResponse {},
    /// To the first by id, and to the next one if that does not claim it.
    Failover {},
    /// To one that does nothing; while there is none, to the one of which the smallest share is
    /// busy.
    IdleFirst {},
    /// To the first of these, by id or name, that is there; to no other one. Waits for it, for a
    /// while, though it is busy.
    Specific {
        /// 1 to 100, in this order.
        workers: Vec<String>,
    },
    /// By a rule that the operator has built into the service.
    Custom {
        /// Its name.
        name: String,
    },
}

impl Default for Routing {
    fn default() -> Self {
        Self::Any {}
    }
}

impl Routing {
    /// Whether any worker may take it at once.
    #[must_use]
    pub fn is_any(&self) -> bool {
        *self == Self::Any {}
    }

    /// The key by which the same tasks go to the same worker, without one of its own: `otherwise`.
    #[must_use]
    pub fn key(&self, params: Option<&Payload>, otherwise: &str) -> String {
        let Self::ConsistentHash { key, param } = self else { return otherwise.to_owned() };
        let of_param = || {
            let fields = serde_json::from_str::<serde_json::Value>(params?.as_str()).ok()?;
            let value = fields.get(param.as_ref()?)?;
            Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        of_param().or_else(|| key.clone()).unwrap_or_else(|| otherwise.to_owned())
    }

    pub(crate) fn check(&self) -> Result<(), FieldError> {
        match self {
            Self::ConsistentHash { key, param } => {
                let all = [("routing.key", key), ("routing.param", param)];
                all.into_iter().try_for_each(|(field, text)| match text {
                    Some(text) => check_text(field, text, 1, limits::NAME),
                    None => Ok(()),
                })
            }
            Self::Specific { workers } if workers.is_empty() => {
                Err(FieldError::new("routing.workers", "must name a worker"))
            }
            Self::Specific { workers } if workers.len() > limits::FILTER_WORKERS => {
                let reason = format!("has more than {}", limits::FILTER_WORKERS);
                Err(FieldError::new("routing.workers", reason))
            }
            Self::Specific { workers } => {
                let mut workers = workers.iter();
                workers.try_for_each(|id| check_text("routing.workers", id, 1, limits::WORKER_ID))
            }
            Self::Custom { name } => {
                check_name(name).map_err(|error| FieldError::new("routing.name", error.reason))
            }
            _ => Ok(()),
        }
    }

    /// About how much memory its texts take.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::ConsistentHash { key, param } => {
                [key, param].into_iter().flatten().map(String::len).sum()
            }
            Self::Specific { workers } => workers.iter().map(|id| id.len() + 24).sum(),
            Self::Custom { name } => name.len(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_checked_and_comes_back() {
        for (json, field) in [
            (r#"{"kind":"any"}"#, None),
            (r#"{"kind":"roundRobin"}"#, None),
            (r#"{"kind":"consistentHash"}"#, None),
            (r#"{"kind":"consistentHash","key":""}"#, Some("routing.key")),
            (r#"{"kind":"consistentHash","param":"customer"}"#, None),
            (r#"{"kind":"specific","workers":["w"]}"#, None),
            (r#"{"kind":"specific","workers":[]}"#, Some("routing.workers")),
            (r#"{"kind":"custom","name":"a b"}"#, Some("routing.name")),
        ] {
            let routing: Routing = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&routing).unwrap(), json);
            assert_eq!(routing.check().err().map(|error| error.field).as_deref(), field, "{json}");
        }
        assert!(serde_json::from_str::<Routing>(r#"{"kind":"first","key":"a"}"#).is_err());
    }

    #[test]
    fn a_key_is_that_of_the_parameters_or_its_own() {
        let params = Payload::parse(r#"{"customer": "a", "number": 7}"#).unwrap();
        let key = |key: Option<&str>, param: Option<&str>| {
            let [key, param] = [key, param].map(|text| text.map(str::to_owned));
            Routing::ConsistentHash { key, param }.key(Some(&params), "job")
        };
        assert_eq!(key(None, None), "job");
        assert_eq!(key(Some("k"), None), "k");
        assert_eq!(key(Some("k"), Some("customer")), "a");
        assert_eq!(key(None, Some("number")), "7");
        assert_eq!(key(None, Some("nothing")), "job");
    }
}
