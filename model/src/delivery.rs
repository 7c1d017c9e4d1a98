use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Children, JobId, State, Subtree, Timestamp};

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

/// How somebody is told.
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

/// What somebody is told: a job, as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// When it happened.
    pub time: Timestamp,
    /// The visible state that the job became, or that a check found.
    pub state: State,
    /// The message of the change that caused it, if it was one and had one.
    pub message: Option<String>,
    /// The job whose own change caused it; the job itself for a check.
    pub source: JobId,
    /// Direct children by category.
    pub children: Children,
    /// Descendants by visible state.
    pub subtree: Subtree,
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

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Progress {
    /// It will be tried at that time, or as soon as possible after it.
    Waiting(Timestamp),
    /// It was received.
    Delivered(Timestamp),
    /// It is not tried any more, unless somebody asks for it.
    Failed(Timestamp),
    /// Somebody has cancelled it.
    Cancelled(Timestamp),
}
