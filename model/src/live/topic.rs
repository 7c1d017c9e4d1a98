use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::JobId;

/// What can be subscribed to. Written as its kind and an id: `tree/812`; what is about the whole
/// service has no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The rows of some jobs of the tree with this root.
    Rows(JobId),
    /// The row of a job, and the events of that job.
    Job(JobId),
    /// The row of a root, and the events of its tree.
    Tree(JobId),
    /// The lines of a job's log.
    Log(JobId),
    /// The first roots of a list, as rows.
    Roots,
    /// How many deliveries and checks of this server wait, were made and have failed.
    Deliveries,
    /// How the server is.
    Overview,
    /// All workers.
    Workers,
    /// The first schedules of a list.
    Schedules,
    /// How long the queue of tasks is.
    Queue,
}

/// A text that names no topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a topic is rows/ID, job/ID, tree/ID, log/ID, roots, deliveries, overview, workers, schedules \
     or queue"
)]
pub struct InvalidTopic;

impl Topic {
    /// The job in it, the root for rows and trees; none where it is about the service.
    #[must_use]
    pub const fn id(self) -> Option<JobId> {
        match self {
            Self::Rows(id) | Self::Job(id) | Self::Tree(id) | Self::Log(id) => Some(id),
            Self::Roots | Self::Deliveries | Self::Overview => None,
            Self::Workers | Self::Schedules | Self::Queue => None,
        }
    }

    /// Whether it is of a list, of which a filter chooses a part.
    #[must_use]
    pub const fn has_filter(self) -> bool {
        matches!(self, Self::Roots | Self::Schedules)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Rows(_) => "rows",
            Self::Job(_) => "job",
            Self::Tree(_) => "tree",
            Self::Log(_) => "log",
            Self::Roots => "roots",
            Self::Deliveries => "deliveries",
            Self::Overview => "overview",
            Self::Workers => "workers",
            Self::Schedules => "schedules",
            Self::Queue => "queue",
        };
        match self.id() {
            Some(id) => write!(f, "{kind}/{id}"),
            None => f.write_str(kind),
        }
    }
}

impl FromStr for Topic {
    type Err = InvalidTopic;

    fn from_str(text: &str) -> Result<Self, InvalidTopic> {
        let Some((kind, id)) = text.split_once('/') else {
            return match text {
                "roots" => Ok(Self::Roots),
                "deliveries" => Ok(Self::Deliveries),
                "overview" => Ok(Self::Overview),
                "workers" => Ok(Self::Workers),
                "schedules" => Ok(Self::Schedules),
                "queue" => Ok(Self::Queue),
                _ => Err(InvalidTopic),
            };
        };
        let id = id.parse().map_err(|_| InvalidTopic)?;
        match kind {
            "rows" => Ok(Self::Rows(id)),
            "job" => Ok(Self::Job(id)),
            "tree" => Ok(Self::Tree(id)),
            "log" => Ok(Self::Log(id)),
            _ => Err(InvalidTopic),
        }
    }
}

impl Serialize for Topic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventKind {
    /// A job was created.
    Created,
    /// A job reported a state.
    Changed,
    /// The visible state of a job became another one.
    State,
    /// A line was appended to a log.
    Log,
    /// The options of a job were replaced.
    Options,
    /// An attachment was put or deleted.
    Attachment,
    /// A delivery was made, tried, or ended.
    Delivery,
    /// An upload was applied to the tree.
    Flushed,
    /// The tree was deleted.
    Deleted,
}

/// A text that names no kind of event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown kind {0:?}; the kinds are created, changed, state, log, options, attachment, \
     delivery, flushed and deleted"
)]
pub struct UnknownKind(String);

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Created,
        Self::Changed,
        Self::State,
        Self::Log,
        Self::Options,
        Self::Attachment,
        Self::Delivery,
        Self::Flushed,
        Self::Deleted,
    ];

    /// The name, as the API spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::State => "state",
            Self::Log => "log",
            Self::Options => "options",
            Self::Attachment => "attachment",
            Self::Delivery => "delivery",
            Self::Flushed => "flushed",
            Self::Deleted => "deleted",
        }
    }
}

impl FromStr for EventKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| UnknownKind(text.chars().take(64).collect()))
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use utoipa::openapi::{ObjectBuilder, RefOr, Type, schema::Schema};

    fn text(description: &str, pattern: &str) -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
        text.description(Some(description)).into()
    }

    impl utoipa::ToSchema for super::Topic {}

    impl utoipa::PartialSchema for super::Topic {
        fn schema() -> RefOr<Schema> {
            let what = "What can be subscribed to: `rows/ID` and `tree/ID` with the id of a root, \
                 `job/ID` and `log/ID` with that of a job, `roots`, `deliveries`, `overview`, \
                 `workers`, `schedules`, `queue`.";
            let of_service = "roots|deliveries|overview|workers|schedules|queue";
            text(what, &format!("^((rows|job|tree|log)/[1-9][0-9]{{0,18}}|{of_service})$"))
        }
    }

    impl utoipa::ToSchema for super::super::Position {}

    impl utoipa::PartialSchema for super::super::Position {
        fn schema() -> RefOr<Schema> {
            let what = "Where an event stands in its tree: the version that its commit has made, \
                 and its number in that commit. Without a number it is the end of the version.";
            text(what, r"^[0-9]{1,20}(\.[0-9]{1,10})?$")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_kinds_come_back() {
        let id = JobId::new(812).unwrap();
        let of_service = [Topic::Roots, Topic::Deliveries, Topic::Overview];
        let of_tasks = [Topic::Workers, Topic::Schedules, Topic::Queue];
        let of_trees = [Topic::Rows(id), Topic::Job(id), Topic::Tree(id), Topic::Log(id)];
        for topic in of_trees.into_iter().chain(of_service).chain(of_tasks) {
            assert_eq!(topic.to_string().parse(), Ok(topic));
        }
        for text in ["", "tree", "tree/", "tree/0", "forest/1", "tree/1/2", "roots/1"] {
            assert_eq!(text.parse::<Topic>(), Err(InvalidTopic), "{text}");
        }
        for kind in EventKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert!("Created".parse::<EventKind>().is_err());
    }
}
