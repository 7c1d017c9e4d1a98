use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits;

/// What a job is doing. The numbers are part of the API; the order here is the one in which a
/// job usually passes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[repr(u8)]
pub enum State {
    /// There is no such job yet. Never accepted as an update.
    WaitingForActivation = 0,
    /// Created.
    WaitingToRun = 1,
    /// At work.
    Running = 4,
    /// At work, with something to say; also an attempt that failed and will be tried again.
    Warning = 7,
    /// The job's own work is over, a child's is not.
    WaitingForChildrenToComplete = 5,
    /// Finished, and so is every child, all successfully.
    RanToCompletion = 3,
    /// Finished; the job itself or a child failed.
    Faulted = 2,
}

/// How a parent counts a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// Not finished.
    Pending,
    /// Finished well.
    Successful,
    /// Finished badly.
    Failed,
}

/// A text or number that is not a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown state {0:?}; the states are WaitingToRun, Running, Warning, \
     WaitingForChildrenToComplete, RanToCompletion and Faulted"
)]
pub struct UnknownState(pub String);

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::WaitingForActivation,
        Self::WaitingToRun,
        Self::Running,
        Self::Warning,
        Self::WaitingForChildrenToComplete,
        Self::RanToCompletion,
        Self::Faulted,
    ];

    /// The number of the state, as rows and other languages have it.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The state with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// Whether a job that has this many own changes may report this state. One that is at work may
    /// not fill the room that is kept for saying that its work is over.
    #[must_use]
    pub const fn has_room_after(self, changes: u32) -> bool {
        let more = if self.says_own_work_is_over() { limits::CHANGES_TO_END } else { 0 };
        changes < limits::CHANGES + more
    }

    /// The name, as the API spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WaitingForActivation => "WaitingForActivation",
            Self::WaitingToRun => "WaitingToRun",
            Self::Running => "Running",
            Self::Warning => "Warning",
            Self::WaitingForChildrenToComplete => "WaitingForChildrenToComplete",
            Self::RanToCompletion => "RanToCompletion",
            Self::Faulted => "Faulted",
        }
    }

    /// How a parent counts a child in this visible state; `None` for a job that is not there.
    #[must_use]
    pub const fn category(self) -> Option<Category> {
        match self {
            Self::WaitingForActivation => None,
            Self::WaitingToRun
            | Self::Running
            | Self::Warning
            | Self::WaitingForChildrenToComplete => Some(Category::Pending),
            Self::RanToCompletion => Some(Category::Successful),
            Self::Faulted => Some(Category::Failed),
        }
    }

    /// Whether a job in this visible state is finished.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::RanToCompletion | Self::Faulted)
    }

    /// Whether a job that reports this state says that its own work is over; an own
    /// RanToCompletion, Faulted or WaitingForChildrenToComplete all say so.
    #[must_use]
    pub const fn says_own_work_is_over(self) -> bool {
        matches!(self, Self::RanToCompletion | Self::Faulted | Self::WaitingForChildrenToComplete)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| UnknownState(text.chars().take(64).collect()))
    }
}

/// A set of states.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct StateSet(u8);

impl StateSet {
    /// No state.
    pub const EMPTY: Self = Self(0);
    /// RanToCompletion and Faulted.
    pub const FINISHED: Self =
        Self(1 << State::RanToCompletion.number() | 1 << State::Faulted.number());

    /// The set with these bits, one for each state's number, if every bit is one of a state.
    #[must_use]
    pub fn from_bits(bits: u8) -> Option<Self> {
        let all = State::ALL.iter().fold(0, |bits, state| bits | 1 << state.number());
        (bits & !all == 0).then_some(Self(bits))
    }

    /// One bit for each state's number.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether the set has the state.
    #[must_use]
    pub const fn contains(self, state: State) -> bool {
        self.0 & (1 << state.number()) != 0
    }

    /// Whether the set has no state.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The states of the set.
    pub fn iter(self) -> impl Iterator<Item = State> {
        State::ALL.into_iter().filter(move |state| self.contains(*state))
    }
}

impl FromIterator<State> for StateSet {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        Self(states.into_iter().fold(0, |bits, state| bits | 1 << state.number()))
    }
}

impl fmt::Debug for StateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for StateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, state) in self.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}", state.name())?;
        }
        Ok(())
    }
}

/// States separated by commas, as in a query string.
impl FromStr for StateSet {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        text.split(',').filter(|name| !name.is_empty()).map(State::from_str).collect()
    }
}

/// A list of names in formats for people, bits in formats for machines.
impl Serialize for StateSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.iter())
        } else {
            serializer.serialize_u8(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for StateSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Vec::<State>::deserialize(deserializer).map(Self::from_iter);
        }
        let bits = u8::deserialize(deserializer)?;
        Self::from_bits(bits).ok_or_else(|| de::Error::custom("a bit that is no state"))
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use utoipa::{
        PartialSchema, ToSchema,
        openapi::{ArrayBuilder, Ref, RefOr, schema::Schema},
    };

    use super::{State, StateSet};

    impl ToSchema for StateSet {
        fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            schemas.push((<State as ToSchema>::name().into_owned(), State::schema()));
        }
    }

    impl PartialSchema for StateSet {
        fn schema() -> RefOr<Schema> {
            let state = Ref::from_schema_name(<State as ToSchema>::name());
            ArrayBuilder::new().items(state).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_the_api() {
        for state in State::ALL {
            assert_eq!(State::from_number(state.number()), Some(state));
            assert_eq!(state.name().parse(), Ok(state));
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
        }
        assert_eq!(State::from_number(6), None);
        assert!("running".parse::<State>().is_err());
    }

    #[test]
    fn sets_print_and_parse() {
        let set: StateSet = "Faulted,Running".parse().unwrap();
        assert!(set.contains(State::Faulted) && set.contains(State::Running));
        assert_eq!(set.to_string().parse(), Ok(set));
        assert!("Faulted,Done".parse::<StateSet>().is_err());
        assert!("".parse::<StateSet>().unwrap().is_empty());
    }

    #[test]
    fn sets_are_lists_on_the_wire_and_bits_in_rows() {
        let set: StateSet = "Faulted,Warning".parse().unwrap();
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["Warning","Faulted"]"#);
        assert_eq!(serde_json::from_str::<StateSet>(&json).unwrap(), set);
        let bytes = postcard::to_stdvec(&set).unwrap();
        assert_eq!(bytes, [1 << 2 | 1 << 7]);
        assert_eq!(postcard::from_bytes::<StateSet>(&bytes).unwrap(), set);
        assert!(postcard::from_bytes::<StateSet>(&[1 << 6]).is_err());
    }
}
