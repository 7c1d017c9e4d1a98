use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{ActionView, CheckView, Children, JobId, State, Subtree, Timestamp, limits, shortened};

/// The name of a delivery: the same on every try, and never used for another one. On the wire it is
/// a text, `7-3` for the third of job 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// The job that it is about.
    pub job: JobId,
    /// Its number among the deliveries of that job, from 0 on.
    pub number: u32,
}

/// A text that names no delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery is named by its job and its number, such as 7-3")]
pub struct InvalidDeliveryId;

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.job, self.number)
    }
}

impl FromStr for DeliveryId {
    type Err = InvalidDeliveryId;

    fn from_str(text: &str) -> Result<Self, InvalidDeliveryId> {
        let (job, number) = text.split_once('-').ok_or(InvalidDeliveryId)?;
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| number.parse().ok()).flatten().ok_or(InvalidDeliveryId)?;
        Ok(Self { job: job.parse().map_err(|_| InvalidDeliveryId)?, number })
    }
}

/// How a receiver is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Channel {
    /// An HTTP request.
    Http,
    /// An e-mail.
    Email,
}

/// What a delivery belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Trigger {
    /// An action of the job, by its number.
    Action(u32),
    /// A check of the job that found what it expected, by its number.
    CheckPassed(u32),
    /// A check of the job that found something else.
    CheckFailed(u32),
}

impl Trigger {
    /// Whether it is a check.
    #[must_use]
    pub fn is_check(self) -> bool {
        matches!(self, Self::CheckPassed(_) | Self::CheckFailed(_))
    }
}

/// What a receiver is told: a job, as it was at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// When it happened.
    pub time: Timestamp,
    /// The visible state that the job became, or that a check found.
    pub state: State,
    /// The message of the own change that made the state what it is, if it had one: up to 1,024
    /// bytes.
    pub message: Option<String>,
    /// The root of the job's tree.
    pub root: JobId,
    /// The job whose own change that is: for Faulted the one with the earliest own Faulted change,
    /// for RanToCompletion the one that finished it. The job itself for a check that found none.
    pub source: JobId,
    /// Direct children by category.
    pub children: Children,
    /// Descendants by visible state.
    pub subtree: Subtree,
    /// When something last happened at the job or below it, if a check found silence.
    pub quiet_since: Option<Timestamp>,
}

impl Event {
    /// The part of a message that is told.
    #[must_use]
    pub fn message(text: &str) -> String {
        shortened(text, limits::EVENT_MESSAGE).into_owned()
    }
}

/// One try to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempt {
    /// When it ended.
    pub time: Timestamp,
    /// The status code of the answer, if there was one.
    pub status: Option<u16>,
    /// The beginning of the answer, up to 1,024 bytes, or why there was none.
    pub response: String,
}

/// The progress of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Progress {
    /// It will be tried at that time, or as soon as possible after it.
    Waiting(Timestamp),
    /// It was received.
    Delivered(Timestamp),
    /// It is not tried any more, unless it is replayed.
    Failed(Timestamp),
    /// It was cancelled.
    Cancelled(Timestamp),
}

/// The number that a new action or check of a job has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Added {
    /// Its number among the others of its kind.
    pub number: u32,
    /// False when the same one was there already.
    pub added: bool,
}

/// An action of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobAction {
    /// Its number.
    pub number: u32,
    /// What it is, without secrets.
    pub action: ActionView,
}

/// The progress of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CheckStatus {
    /// It is still to be made.
    Waiting,
    /// It found what it expected.
    Passed,
    /// It found something else.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// A check of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobCheck {
    /// Its number.
    pub number: u32,
    /// What it is, without secrets.
    pub check: CheckView,
    /// Its progress.
    pub status: CheckStatus,
    /// When it will be made, was made, or was cancelled.
    pub time: Timestamp,
    /// The visible state that it found, once it is made.
    pub found: Option<State>,
    /// How often it has told its receivers; more than once for silence alone.
    pub told: u32,
}

/// The progress of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeliveryStatus {
    /// It will be tried at `nextTry`.
    Waiting,
    /// It was received.
    Delivered,
    /// It is not tried any more, unless it is replayed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// A delivery and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// Its name: the job and a number. The receiver gets it as `webhook-id`.
    pub id: String,
    /// The job.
    pub job: JobId,
    /// What it belongs to.
    pub trigger: Trigger,
    /// How it is sent.
    pub channel: Channel,
    /// Which recipient of an e-mail: those of `to` first, then those of `cc`, from 0 on.
    pub recipient: Option<u32>,
    /// What is told.
    pub event: Event,
    /// Its progress.
    pub status: DeliveryStatus,
    /// When it is tried next, while it waits.
    pub next_try: Option<Timestamp>,
    /// When it was received, given up or cancelled.
    pub end_time: Option<Timestamp>,
    /// Tries so far.
    pub attempts: u32,
    /// The last try.
    pub last_attempt: Option<Attempt>,
}

/// A page of the deliveries of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveryPage {
    /// The deliveries, oldest first.
    pub items: Vec<Delivery>,
    /// Where the next page begins; absent at the end of the list.
    pub next_cursor: Option<String>,
    /// How many deliveries were not made, because the job had as many as it may have: each is a
    /// receiver who was not told.
    #[serde(default)]
    pub lost: u32,
}

/// Which failed deliveries are to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayFailed {
    /// Those that failed at this time or later.
    pub from: Timestamp,
    /// Up to this time.
    pub to: Timestamp,
}

/// How many failed deliveries will be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replayed {
    /// How many are sent again.
    pub replayed: u64,
    /// Whether there may be more: ask again. One request replays up to 10,000.
    pub more: bool,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tested {
    /// What came of the request, if there is one.
    pub http: Option<TestedChannel>,
    /// What came of the e-mail, if there is one.
    pub email: Option<TestedChannel>,
}

/// What came of a test in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestedChannel {
    /// Whether it was received.
    pub delivered: bool,
    /// The try.
    pub attempt: Attempt,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(Event::message("why"), "why");
        let long = "ü".repeat(limits::EVENT_MESSAGE);
        let told = Event::message(&format!("x{long}!"));
        assert!(told.len() <= limits::EVENT_MESSAGE && told.len() > limits::EVENT_MESSAGE - 4);
        assert!(told.starts_with("xüü") && told.ends_with("üü!"), "{told}");
    }

    #[test]
    fn names_of_deliveries_are_read_as_they_are_written() {
        let job = JobId::new(7).unwrap();
        for number in [0, 3, u32::MAX] {
            let id = DeliveryId { job, number };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for text in ["", "7", "7-", "-3", "7-x", "7--3", "7-+3", "0-1", "7-4294967296", "7-3-1"] {
            assert_eq!(text.parse::<DeliveryId>(), Err(InvalidDeliveryId), "{text}");
        }
    }
}
