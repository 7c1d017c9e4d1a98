//! The first failure of a job or below it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Report;

/// The earliest own Faulted report of a job or of a job below it, as far as it is known.
///
/// In JSON this is the report, null where there is none, and absent where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirstFault {
    /// There may be a report from before the service kept the first one. It stays unknown: a later
    /// report is not the first one.
    #[default]
    Unknown,
    /// There is none.
    None,
    /// It is this one.
    At(Report),
}

impl FirstFault {
    /// The report, if there is one that is known.
    #[must_use]
    pub fn report(self) -> Option<Report> {
        match self {
            Self::At(report) => Some(report),
            Self::Unknown | Self::None => None,
        }
    }

    /// Whether nothing is known of it.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }

    /// Takes in a report; says whether it may be the first one for the jobs above, too. The order
    /// in which reports come does not matter, except for those of the same time.
    pub(super) fn take(&mut self, report: Report) -> bool {
        match self {
            // The jobs above may know an earlier one.
            Self::Unknown => return true,
            Self::At(known) if known.time <= report.time => return false,
            Self::None | Self::At(_) => {}
        }
        *self = Self::At(report);
        true
    }
}

impl From<Option<Report>> for FirstFault {
    /// The first fault of a job whose whole history is known.
    fn from(report: Option<Report>) -> Self {
        report.map_or(Self::None, Self::At)
    }
}

impl Serialize for FirstFault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.report().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FirstFault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<Report>::deserialize(deserializer).map(Self::from)
    }
}
