use jobtracker_model::{Change, Definition};

use super::{Extras, FrozenJob, Node, Noted};
use crate::{budget::Cost, follow_ups::FollowUps};

/// A job with its place in the map and in a batch; allocators add some.
const JOB: usize = size_of::<Node>() + size_of::<FrozenJob>() + size_of::<Definition>() + 64;

impl Cost {
    pub fn creation(definition: &Definition, follow_ups: Option<&FollowUps>) -> Self {
        let followed = follow_ups.map_or(0, |these| size_of::<Extras>() + these.bytes());
        Self::one(JOB + definition.bytes() + followed)
    }

    /// A change with these texts.
    pub fn change(texts: [&Option<String>; 3]) -> Self {
        let length: usize = texts.iter().map(|text| text.as_ref().map_or(0, String::len)).sum();
        let boxed = if texts.iter().any(|text| text.is_some()) { size_of::<Change>() } else { 0 };
        Self::one(size_of::<Noted>() + boxed + length)
    }

    pub fn options(options: Option<&str>) -> Self {
        Self::one(size_of::<Noted>() + options.map_or(0, str::len))
    }

    pub fn lines(lines: &[String]) -> Self {
        let texts: usize = lines.iter().map(String::len).sum();
        let bytes = lines.len() * size_of::<Noted>() + texts;
        Self { operations: lines.len() as u64, bytes: bytes as u64 }
    }

    fn one(bytes: usize) -> Self {
        Self { operations: 1, bytes: bytes as u64 }
    }
}
