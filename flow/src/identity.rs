use std::{fmt, sync::Arc};

use jobtracker_client::JobId;
use serde::{Serialize, Serializer};

/// The name of a run: one of the caller's, or 32 random hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Name);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    /// It is written out only when it is shown: a small run is over sooner than that is done.
    Random(u128),
    Given(Arc<str>),
}

impl RunId {
    pub(crate) fn random() -> Self {
        Self(Name::Random(rand::random()))
    }
}

impl<T: Into<Arc<str>>> From<T> for RunId {
    fn from(name: T) -> Self {
        let name = name.into();
        // What was shown of a random one is that one.
        let number = u128::from_str_radix(&name, 16).map(Name::Random);
        let random = number.ok().map(Self).filter(|random| random.to_string() == *name);
        random.unwrap_or(Self(Name::Given(name)))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::Random(number) => write!(f, "{number:032x}"),
            Name::Given(name) => f.write_str(name),
        }
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Under what a run is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parent {
    /// A job of the service.
    Job(JobId),
    /// A step of another run that the same [`Recorder`](crate::Recorder) records.
    Step {
        /// The run.
        run: RunId,
        /// The index of the step.
        step: u32,
    },
}

/// Which run it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunInfo {
    /// Its name.
    pub id: RunId,
    /// The run that it continues, if it is a [re-run](crate::Run::rerun).
    pub origin: Option<RunId>,
    /// The first of the runs that it continues; itself, if it continues none.
    pub first: RunId,
    /// The name of the flow.
    pub flow: Arc<str>,
    /// Under what it is recorded.
    pub parent: Option<Parent>,
}

#[cfg(test)]
mod tests {
    use super::RunId;

    #[test]
    fn a_name_is_what_it_shows() {
        let random = RunId::random();
        assert_eq!(RunId::from(random.to_string()), random);
        let long = "0123456789abcdef0123456789abcdef0";
        for name in ["monday", "12", "", "00", &long[..32], &long[..32].to_uppercase(), long] {
            assert_eq!(RunId::from(name).to_string(), name);
        }
        assert_ne!(RunId::random(), random);
    }
}
