use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
    ser,
};

use crate::{
    FieldError, JobId, State, StateSet, Timestamp,
    action::check_states,
    field::check_text,
    fingerprint::TextHash,
    limits,
    text::{mended_option, shorten},
};

/// A state that a job reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewChange {
    /// The state; any but WaitingForActivation.
    pub state: State,
    /// A message about it. Of a message longer than 4096 bytes, the beginning and the end are
    /// kept.
    #[serde(default, deserialize_with = "mended_option", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A short code for machines; of a code longer than 64 bytes, the beginning is kept.
    #[serde(default, deserialize_with = "mended_option", skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<String>,
    /// Chosen by the sender, unique per change, 1 to 64 bytes: the same id on the same job is
    /// applied once, so a change with one can be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_id: Option<String>,
    /// What the job has to be for the change to be applied. If it is not so, nothing changes, and
    /// the answer is the problem `unexpected_state`. A change that was applied before, by its
    /// change id, is answered as such all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// Who reports it by hand. It is no part of a request: the service takes it from the token.
    #[serde(skip)]
    pub by: Option<Box<str>>,
}

/// What a job has to be: each condition that is given here has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Expect {
    /// Its last own state is one of these; at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub states: Option<StateSet>,
    /// It has this many own changes, its creation included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<u32>,
}

/// How a job stands by what it has reported itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Standing {
    /// Its last own state.
    pub last: State,
    /// Its visible state.
    pub state: State,
    /// How many own changes it has, its creation included.
    pub changes: u32,
}

impl Expect {
    /// Whether these conditions hold for a job.
    #[must_use]
    pub fn is_met(&self, standing: &Standing) -> bool {
        self.states.is_none_or(|states| states.contains(standing.last))
            && self.changes.is_none_or(|changes| changes == standing.changes)
    }

    fn check(&self) -> Result<(), FieldError> {
        self.states.map_or(Ok(()), |states| check_states("expect.states", states))
    }
}

impl NewChange {
    /// A change to `state` with nothing more to say.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { state, message: None, reason_code: None, change_id: None, expect: None, by: None }
    }

    /// With a message for people.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// With a short code for machines.
    #[must_use]
    pub fn reason_code(mut self, code: impl Into<String>) -> Self {
        self.reason_code = Some(code.into());
        self
    }

    /// With a change id, which makes the change repeatable.
    #[must_use]
    pub fn change_id(mut self, id: impl Into<String>) -> Self {
        self.change_id = Some(id.into());
        self
    }

    /// Only if the job's last own state is one of these: so a report that was held up on its way
    /// does not undo what came after it.
    #[must_use]
    pub fn expect_last(mut self, states: impl IntoIterator<Item = State>) -> Self {
        self.expect.get_or_insert_default().states = Some(states.into_iter().collect());
        self
    }

    /// Only if the job has this many own changes, as the answer to the change before said
    /// ([`Updated::changes`]): 1 after its creation.
    #[must_use]
    pub fn expect_changes(mut self, changes: u32) -> Self {
        self.expect.get_or_insert_default().changes = Some(changes);
        self
    }

    /// With texts inside their limits, so that a long text does not cost the caller the state. See
    /// [`shortened`](crate::shortened).
    #[must_use]
    pub fn shortened(mut self) -> Self {
        shorten_texts(&mut self.message, &mut self.reason_code);
        self
    }

    /// A hash of what it says, to tell its repetition from another change with its change id.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(self.state, &self.message, &self.reason_code)
    }

    /// Checks every text against its limit. Whether the state may be reported is for the roll-up.
    ///
    /// # Errors
    /// The first field that is past its limit: of a [shortened](Self::shortened) change, it can
    /// only be the change id.
    pub fn check(&self) -> Result<(), FieldError> {
        check_texts(&self.message, &self.reason_code, &self.change_id)?;
        self.expect.as_ref().map_or(Ok(()), Expect::check)
    }
}

/// Rows have it, so it never changes.
fn fingerprint(state: State, message: &Option<String>, reason_code: &Option<String>) -> u64 {
    TextHash::short([Some(state.name()), message.as_deref(), reason_code.as_deref()])
}

fn shorten_texts(message: &mut Option<String>, reason_code: &mut Option<String>) {
    shorten(message, limits::MESSAGE);
    shorten(reason_code, limits::REASON_CODE);
    // An empty reason counts as absent.
    reason_code.take_if(|code| code.is_empty());
}

fn check_texts(
    message: &Option<String>,
    reason_code: &Option<String>,
    change_id: &Option<String>,
) -> Result<(), FieldError> {
    check_text("message", message.as_deref().unwrap_or(""), 0, limits::MESSAGE)?;
    for (field, text, limit) in [
        ("reasonCode", reason_code, limits::REASON_CODE),
        ("changeId", change_id, limits::REPEAT_ID),
    ] {
        if let Some(text) = text {
            check_text(field, text, 1, limit)?;
        }
    }
    Ok(())
}

/// One of a job's own state changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "camelCase"))]
pub struct Change {
    /// The state that the job reported.
    pub state: State,
    /// When it was recorded.
    pub time: Timestamp,
    /// The message about it.
    pub message: Option<String>,
    /// A short code for machines.
    pub reason_code: Option<String>,
    /// The sender's name for the change.
    pub change_id: Option<String>,
    /// Who reported it by hand: the name of an operator's or an admin's token. Absent for what
    /// services report.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub by: Option<Box<str>>,
}

/// The form of a [`Change`] in JSON.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Change", rename_all = "camelCase")]
struct Named {
    state: State,
    time: Timestamp,
    message: Option<String>,
    reason_code: Option<String>,
    change_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<Box<str>>,
}

/// In rows of stores, which have no names of fields, this bit of the state says that
/// [`by`](Change::by) stands behind the fields that there were before it.
const HAS_BY: u8 = 0x40;

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Named::serialize(self, serializer);
        }
        let Self { state, time, message, reason_code, change_id, by } = self;
        let position = State::ALL.iter().position(|known| known == state);
        let state = position.and_then(|position| u8::try_from(position).ok());
        let state = state.ok_or_else(|| ser::Error::custom("the state is not in the list"))?;
        match by {
            None => (state, time, message, reason_code, change_id).serialize(serializer),
            Some(by) => {
                let state = state | HAS_BY;
                (state, time, message, reason_code, change_id, by).serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Named::deserialize(deserializer);
        }
        const FIELDS: usize = 6;
        deserializer.deserialize_tuple(FIELDS, Fields)
    }
}

/// Reads the fields of a [`Change`] in a row.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Change;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fields of a change")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Change, A::Error> {
        let state: u8 = next(&mut fields)?;
        let known = State::ALL.get(usize::from(state & !HAS_BY)).copied();
        Ok(Change {
            state: known.ok_or_else(|| de::Error::custom("there is no such state"))?,
            time: next(&mut fields)?,
            message: next(&mut fields)?,
            reason_code: next(&mut fields)?,
            change_id: next(&mut fields)?,
            by: if state & HAS_BY == 0 { None } else { Some(next(&mut fields)?) },
        })
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(fields: &mut A) -> Result<T, A::Error> {
    fields.next_element()?.ok_or_else(|| de::Error::custom("a field of a change is missing"))
}

impl Change {
    /// The change that creation writes.
    #[must_use]
    pub fn creation(time: Timestamp) -> Self {
        let change = NewChange::new(State::WaitingToRun);
        Self::recorded(change, time)
    }

    /// A reported change, recorded at `time`.
    #[must_use]
    pub fn recorded(change: NewChange, time: Timestamp) -> Self {
        let NewChange { state, message, reason_code, change_id, expect: _, by } = change;
        Self { state, time, message, reason_code, change_id, by }
    }

    /// With texts inside their limits, as [`NewChange::shortened`].
    #[must_use]
    pub fn shortened(mut self) -> Self {
        shorten_texts(&mut self.message, &mut self.reason_code);
        self
    }

    /// The same as [`NewChange::fingerprint`].
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(self.state, &self.message, &self.reason_code)
    }

    /// Checks every text against its limit, as [`NewChange::check`] does.
    ///
    /// # Errors
    /// The first field that is past its limit.
    pub fn check(&self) -> Result<(), FieldError> {
        check_texts(&self.message, &self.reason_code, &self.change_id)
    }
}

/// One of a job's own changes, by when it was recorded and where it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Report {
    /// When it was recorded.
    pub time: Timestamp,
    /// The job that reported it.
    pub job: JobId,
    /// Its number among the changes of that job; the creation is 0.
    pub change: u32,
}

/// The answer to a reported change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Updated {
    /// False when the job was finished and updates to finished jobs are blocked: nothing changed.
    pub applied: bool,
    /// True when a change with this change id had been applied before: nothing changed now.
    pub repeated: bool,
    /// The visible state after it.
    pub state: State,
    /// How many own changes the job has after it; 0 if the service does not tell.
    #[serde(default)]
    pub changes: u32,
}

/// What makes an append to a job repeatable: the sender's name for it, kept with what it did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Repeat {
    /// The id of a state change.
    Change(String),
    /// The id of lines appended to the log.
    Append(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_compared_with_what_stands() {
        use State::{Faulted, Running, WaitingForChildrenToComplete, Warning};
        let standing = Standing { last: Running, state: WaitingForChildrenToComplete, changes: 3 };
        let is_met = |change: NewChange| change.expect.unwrap().is_met(&standing);
        let change = || NewChange::new(Warning);
        // The last own state counts, and not the visible one.
        assert!(is_met(change().expect_last([Running, Warning])));
        assert!(!is_met(change().expect_last([WaitingForChildrenToComplete])));
        assert!(is_met(change().expect_changes(3)) && !is_met(change().expect_changes(2)));
        assert!(!is_met(change().expect_changes(2).expect_last([Running])));
        assert!(!is_met(change().expect_changes(3).expect_last([Faulted])));
        assert!(Expect::default().is_met(&standing));
        assert_eq!(change().expect_last([]).check().unwrap_err().field, "expect.states");
    }

    #[test]
    fn a_caller_cannot_say_by_whom_a_change_is() {
        let json = r#"{"state": "Running", "by": "anna"}"#;
        assert!(serde_json::from_str::<NewChange>(json).is_err());
        // A change of a service looks as it did before there were names.
        let json = concat!(
            r#"{"state":"Running","time":"1970-01-01T00:00:00.007Z","#,
            r#""message":null,"reasonCode":null,"changeId":null"#
        );
        let change: Change = serde_json::from_str(&format!("{json}}}")).unwrap();
        assert_eq!(serde_json::to_string(&change).unwrap(), format!("{json}}}"));
        let by_hand = Change { by: Some("anna".into()), ..change };
        let json = format!("{json},\"by\":\"anna\"}}");
        assert_eq!(serde_json::to_string(&by_hand).unwrap(), json);
        assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), by_hand);
    }

    #[test]
    fn no_word_is_too_much() {
        let trace = format!("panicked at ü{}: the disk is full", "x".repeat(9_700));
        let change = NewChange::new(State::Faulted).message(&trace).reason_code("r".repeat(99));
        let short = change.change_id("c").shortened();
        assert_eq!(short.check(), Ok(()));
        let message = short.message.as_deref().unwrap();
        assert!(message.starts_with("panicked at ü") && message.ends_with(": the disk is full"));
        assert!(message.contains(&format!("it has {} bytes", trace.len())));
        assert_eq!(short.reason_code, Some("r".repeat(limits::REASON_CODE)));
        assert_eq!(short.clone().shortened(), short);
        let recorded = Change::recorded(short.clone(), Timestamp::MIN);
        assert_eq!(recorded.clone().shortened(), recorded);
        let empty = NewChange::new(State::Faulted).reason_code("").shortened();
        assert_eq!(empty, NewChange::new(State::Faulted));
    }

    #[test]
    fn what_is_no_text_is_mended_and_null_is_nothing() {
        let json = r#"{"state": "Faulted", "message": "\ud83d!", "reasonCode": "\udc00"}"#;
        let change: NewChange = serde_json::from_str(json).unwrap();
        let expected = NewChange::new(State::Faulted).message("\u{FFFD}!").reason_code("\u{FFFD}");
        assert_eq!(change, expected);
        let json = r#"{"state": "Running", "message": null, "reasonCode": null, "changeId": null}"#;
        let change: NewChange = serde_json::from_str(json).unwrap();
        assert_eq!(change, NewChange::new(State::Running));
        // A repaired id could be another one.
        let json = r#"{"state": "Running", "changeId": "\ud83d"}"#;
        assert!(serde_json::from_str::<NewChange>(json).is_err());
    }

    #[test]
    fn each_text_is_checked_at_and_past_its_limit() {
        let full = NewChange::new(State::Running)
            .message("m".repeat(limits::MESSAGE))
            .reason_code("r".repeat(limits::REASON_CODE))
            .change_id("c".repeat(limits::REPEAT_ID));
        assert_eq!(full.check(), Ok(()));
        let past = [
            full.clone().message("m".repeat(limits::MESSAGE + 1)),
            full.clone().reason_code("r".repeat(limits::REASON_CODE + 1)),
            full.clone().reason_code(""),
            full.clone().change_id("c".repeat(limits::REPEAT_ID + 1)),
            full.clone().change_id(""),
        ];
        for change in past {
            assert!(change.check().is_err(), "{change:?}");
        }
    }
}
