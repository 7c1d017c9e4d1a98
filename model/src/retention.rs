//! Which trees are deleted, and what is known of those that were.

use serde::{Deserialize, Serialize};

use crate::{FieldError, JobId, State, Timestamp, field::check_text, limits};

/// A rule that has finished trees deleted some time after they finished. A tree is meant when all
/// filters are true of its root; absent and empty ones are true of every root.
///
/// A rule never deletes a tree that has an unfinished job, or one with a delivery or a check that
/// is still to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RetentionRule {
    /// How many days a tree is kept after its last job has finished, 0 to 36,500. A root that has
    /// `keepDays` of its own is kept for that many days instead.
    pub keep_days: u32,
    /// How many days the summary of a tree is kept when the tree is deleted, 1 to 7,000: its root
    /// can still be asked for by id, and says `summary: true`. Absent: no summary is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary_days: Option<u32>,
    /// Whether the rule is in force; one that is not can be tried by a preview.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The name of the root begins like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_prefix: Option<String>,
    /// The root was created by exactly this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The root has all of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The root ended in one of these states: `RanToCompletion`, `Faulted`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<EndState>))]
    pub states: Vec<State>,
    /// An expression (CEL) that is true for the root, as in the list of roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

/// A state in which a tree ends.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is a word of the API's document alone")]
enum EndState {
    RanToCompletion,
    Faulted,
}

fn yes() -> bool {
    true
}

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

impl RetentionRule {
    /// A rule for every tree.
    #[must_use]
    pub fn new(keep_days: u32) -> Self {
        Self {
            keep_days,
            summary_days: None,
            enabled: true,
            name_prefix: None,
            created_by: None,
            tags: Vec::new(),
            states: Vec::new(),
            expression: None,
        }
    }

    /// Checks all fields but the expression.
    ///
    /// # Errors
    /// A number of days or a text past its limit, a state in which no tree ends.
    pub fn check(&self) -> Result<(), FieldError> {
        if self.keep_days > limits::KEEP_DAYS {
            let reason = format!("must be 0 to {}", limits::KEEP_DAYS);
            return Err(FieldError::new("keepDays", reason));
        }
        if self.summary_days.is_some_and(|days| !(1..=limits::SUMMARY_DAYS).contains(&days)) {
            let reason = format!("must be 1 to {}", limits::SUMMARY_DAYS);
            return Err(FieldError::new("summaryDays", reason));
        }
        for (field, text) in [("namePrefix", &self.name_prefix), ("createdBy", &self.created_by)] {
            check_text(field, text.as_deref().unwrap_or(""), 0, limits::NAME)?;
        }
        if self.tags.len() > limits::TAGS {
            return Err(FieldError::new("tags", format!("has more than {}", limits::TAGS)));
        }
        for tag in &self.tags {
            check_text("tags", tag, 1, limits::TAG)?;
        }
        if let Some(state) = self.states.iter().find(|state| !state.is_finished()) {
            let reason = format!("a tree does not end as {state}");
            return Err(FieldError::new("states", reason));
        }
        let expression = self.expression.as_deref().unwrap_or("");
        check_text("expression", expression, 0, limits::EXPRESSION)
    }

    /// When a tree is deleted that finished at this time, and whose root is kept for `own` days.
    #[must_use]
    pub fn due(&self, own: Option<u32>, finished: Timestamp) -> Timestamp {
        let days = own.unwrap_or(self.keep_days);
        let millis = finished.millis().saturating_add(i64::from(days) * DAY);
        Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX)
    }
}

/// A retention rule with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NamedRetentionRule {
    /// The name.
    pub name: String,
    /// The rule.
    pub rule: RetentionRule,
    /// When it was put.
    pub time: Timestamp,
    /// The name of the admin who put it.
    pub by: String,
}

/// The trees that a rule would delete now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RetentionPreview {
    /// How many. Some of them may have a delivery or a check that is still to be done, and stay
    /// until that is over.
    pub trees: u64,
    /// How many jobs they have.
    pub jobs: u64,
    /// The one of them whose root was created first.
    pub oldest: Option<PreviewedTree>,
    /// The ones whose roots were created last, at most ten.
    pub newest: Vec<PreviewedTree>,
    /// How many roots were looked at.
    pub looked_at: u64,
    /// Whether these were all; otherwise they were the newest.
    pub complete: bool,
}

/// A tree that a rule would delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewedTree {
    /// Its root.
    pub root: JobId,
    /// The root's name.
    pub name: String,
    /// When the root was created.
    pub create_time: Timestamp,
    /// When it finished.
    pub end_time: Timestamp,
    /// How many jobs the tree has.
    pub jobs: u64,
}

/// A tree that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedTree {
    /// Its root.
    pub root: JobId,
    /// When it was deleted.
    pub delete_time: Timestamp,
    /// The name of the principal who asked for it; `retention:` and the name of a rule.
    pub deleted_by: String,
    /// How many jobs it had.
    pub jobs: u64,
    /// Until when the service knows of it.
    pub known_until: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_within_the_limits_is_a_rule() {
        let rule = || RetentionRule::new(30);
        assert_eq!(rule().check(), Ok(()));
        let cases = [
            (RetentionRule::new(36_501), "keepDays"),
            (RetentionRule { name_prefix: Some("x".repeat(257)), ..rule() }, "namePrefix"),
            (RetentionRule { created_by: Some("x".repeat(257)), ..rule() }, "createdBy"),
            (RetentionRule { tags: vec![String::new()], ..rule() }, "tags"),
            (RetentionRule { tags: vec!["x".to_owned(); 33], ..rule() }, "tags"),
            (RetentionRule { states: vec![State::Running], ..rule() }, "states"),
            (RetentionRule { expression: Some("x".repeat(1_025)), ..rule() }, "expression"),
        ];
        for (rule, field) in cases {
            assert_eq!(rule.check().unwrap_err().field, field);
        }
    }

    #[test]
    fn the_days_of_the_root_come_before_those_of_the_rule() {
        let finished = Timestamp::from_millis(5).unwrap();
        let due = |own| (RetentionRule::new(2).due(own, finished).millis() - 5) / DAY;
        assert_eq!([due(None), due(Some(1)), due(Some(36_500))], [2, 1, 36_500]);
    }
}
