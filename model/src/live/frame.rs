use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

use super::{EventKind, JobSummary, ListState, Position, QueueLengths, Snapshot, Topic};
use crate::{
    Change, DeliveryStatus, FollowUpLoad, JobId, LogLine, Overview, Problem, State, StateSet,
    WorkerView, schedule::Schedule, upload::UploadId,
};

/// What a client says on a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ClientFrame {
    /// Begins a subscription; one with the same number is replaced.
    Sub(Subscribe),
    /// Shows other rows in a subscription to rows.
    Window {
        /// The number of the subscription.
        sub: u32,
        /// The jobs.
        ids: Vec<JobId>,
    },
    /// Ends a subscription.
    Unsub {
        /// The number of the subscription.
        sub: u32,
    },
    /// Asks for snapshots at another pace.
    #[serde(rename_all = "camelCase")]
    Pace {
        /// The number of the subscription.
        sub: u32,
        /// The shortest time from one snapshot to the next, in milliseconds: up to 60,000. 0: as
        /// fast as they come.
        every_ms: u32,
    },
    /// Asks for a `pong`.
    Ping,
}

/// A subscription to one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Subscribe {
    /// A number chosen by the client, which all frames of the subscription have.
    pub sub: u32,
    /// What it is about.
    pub topic: Topic,
    /// The jobs of a topic of rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<JobId>,
    /// The events that are told; absent: all, empty: none, so only the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<EventKind>>,
    /// Of `state` and `changed` events, those to one of these states; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub states: Option<StateSet>,
    /// The last position that the client knows: events behind it are told. Absent: from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Position>,
    /// The version of the snapshot that the client has, of the same rows or the same state of the
    /// service: there is another one as soon as it has moved on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Of the topic `roots`: which ones, as the query of `GET /api/v1/roots`, for example
    /// `states=Faulted&limit=20`. Up to 200, newest first; 100 without a limit. Of the topic
    /// `schedules` likewise, as the query of `GET /api/v1/schedules`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The shortest time from one snapshot to the next, in milliseconds: up to 60,000. Absent: as
    /// fast as they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u32>,
}

impl Subscribe {
    /// A subscription to all that a topic tells, from now on.
    #[must_use]
    pub fn new(sub: u32, topic: Topic) -> Self {
        let (ids, kinds, states, after, since) = Default::default();
        let (filter, every_ms) = (None, None);
        Self { sub, topic, ids, kinds, states, after, since, filter, every_ms }
    }
}

/// What the service says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerFrame {
    /// The subscription; absent in what is about the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<u32>,
    /// What is said.
    #[serde(flatten)]
    pub frame: Frame,
}

impl<'de> Deserialize<'de> for ServerFrame {
    /// Serde keeps the fields of what is tagged in memory, and of these a payload cannot be read:
    /// it is the text as it came. So the frame that may have payloads is read from its own text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Head<'a> {
            sub: Option<u32>,
            #[serde(borrow)]
            t: Cow<'a, str>,
        }
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let read = || {
            let Head { sub, t } = serde_json::from_str(text.get())?;
            let frame = match &*t {
                "schedules" => Frame::Schedules(serde_json::from_str(text.get())?),
                _ => serde_json::from_str(text.get())?,
            };
            Ok::<_, serde_json::Error>(Self { sub, frame })
        };
        read().map_err(de::Error::custom)
    }
}

/// The content of a frame of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Frame {
    /// The first frame of a connection.
    #[serde(rename_all = "camelCase")]
    Hello {
        /// Subscriptions that the connection may have.
        subscriptions: u32,
        /// Rows that they may show together.
        rows: u32,
        /// The time in milliseconds after which there is a `mark`, if nothing else is said.
        heartbeat_ms: u64,
    },
    /// Present rows.
    Snap(Snapshot),
    /// The first roots of a list.
    Roots(RootsState),
    /// Deliveries and checks.
    Deliveries(DeliveriesState),
    /// How the server is.
    Overview(OverviewState),
    /// The workers, by id.
    Workers(ListState<WorkerView>),
    /// The first schedules of a list, by name.
    Schedules(ListState<Schedule>),
    /// How long the queue of tasks is.
    Queue(QueueLengths),
    /// Something happened.
    Event(LiveEvent),
    /// Events are not told: what they changed has to be read again.
    Gap(Gap),
    /// All events up to here were told; without a position: the connection is alive.
    Mark {
        /// The position.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Position>,
    },
    /// The answer to a `ping`.
    Pong,
    /// The end of the subscription, or of the connection, and why. After a transient problem the
    /// client may come again with the last position that it knows.
    End {
        /// Why.
        problem: Problem,
    },
}

/// The first roots of a list as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RootsState {
    /// Names what is told: the same roots with the same rows have the same version, on every
    /// server.
    pub version: u64,
    /// The rows are those that differ from the state of this version, which the receiver has;
    /// absent: they are all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The roots, in the order of the list.
    pub ids: Vec<JobId>,
    /// The rows, in no order. Of one that the receiver has the definition is left out.
    pub rows: Vec<JobSummary>,
    /// Whether the list may go on behind them.
    pub more: bool,
}

/// Deliveries and checks of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveriesState {
    /// Names what is told.
    pub version: u64,
    /// How many there are. When `failed` grows, the list of failed deliveries has grown.
    pub follow_ups: FollowUpLoad,
}

/// How the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OverviewState {
    /// Names what is told.
    pub version: u64,
    /// The numbers.
    pub overview: Overview,
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveEvent {
    /// Where it stands in its tree.
    pub at: Position,
    /// The job; the root for a whole upload.
    pub id: JobId,
    /// What happened.
    #[serde(flatten)]
    pub what: Occurrence,
}

/// What happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Occurrence {
    /// It was created.
    Created {
        /// The parent; none for a root.
        parent: Option<JobId>,
        /// What people call it.
        name: String,
    },
    /// It reported a state.
    #[serde(rename_all = "camelCase")]
    Changed {
        /// The number of the change; the creation is 0 and is no change here.
        number: u32,
        /// The change.
        change: Change,
    },
    /// Its visible state became another one by a commit, which may have had several steps.
    State {
        /// The state before; none for a new job.
        before: Option<State>,
        /// The state after.
        state: State,
    },
    /// A line was appended to its log.
    Log(LogLine),
    /// Its options were replaced.
    Options,
    /// An attachment was put, or deleted.
    Attachment {
        /// Its key.
        key: String,
        /// Its size in bytes; none: it was deleted.
        size: Option<u32>,
    },
    /// A delivery was made, tried, or ended.
    Delivery {
        /// Its number among the deliveries of the job.
        number: u32,
        /// Its status.
        status: DeliveryStatus,
        /// Tries so far.
        attempts: u32,
    },
    /// An upload was applied. A large one is this one event.
    Flushed {
        /// The upload, if the commit tells.
        commit: Option<UploadId>,
    },
    /// The tree was deleted; nothing follows. It is told of the root.
    Deleted,
}

impl Occurrence {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Created { .. } => EventKind::Created,
            Self::Changed { .. } => EventKind::Changed,
            Self::State { .. } => EventKind::State,
            Self::Log(_) => EventKind::Log,
            Self::Options => EventKind::Options,
            Self::Attachment { .. } => EventKind::Attachment,
            Self::Delivery { .. } => EventKind::Delivery,
            Self::Flushed { .. } => EventKind::Flushed,
            Self::Deleted => EventKind::Deleted,
        }
    }

    /// The state that it is about, if it is about one.
    #[must_use]
    pub const fn state(&self) -> Option<State> {
        match self {
            Self::State { state, .. } => Some(*state),
            Self::Changed { change, .. } => Some(change.state),
            _ => None,
        }
    }
}

/// Events that are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gap {
    /// What is told ends here.
    pub from: Position,
    /// What is told goes on behind this position.
    pub to: Position,
    /// How many events of the tree are missing, whatever the subscription asks for, if that is
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Why.
    pub why: GapReason,
}

/// Why events are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum GapReason {
    /// A commit had more rows than are told.
    Large,
    /// More than 1,000 events came within a second.
    Rate,
    /// The receiver, or the server itself, was too slow.
    Slow,
    /// They are no longer kept: the client was away for too long, or the server has restarted.
    Gone,
    /// Another server committed them, and the store does not show them.
    OtherServer,
}
