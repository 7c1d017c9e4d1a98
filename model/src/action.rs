//! What a job's creator wants done when the job's visible state becomes one of some states.
//!
//! Everything here is checked when it is created, so that a sender can use it as it is. What the
//! service answers are views, which have no secrets in them.

mod email;
mod http;
mod payload;
mod secret;
mod target;
mod url;
mod ways;

pub use email::EmailAction;
pub use http::{HttpAction, HttpView, Proxy, ProxyView};
pub use payload::Payload;
pub use secret::Secret;
pub use target::{Target, TargetView};
pub use ways::{Host, Way, Ways};

use serde::{Deserialize, Serialize};

use crate::{FieldError, State, StateSet, limits};

/// Whom to tell when a job's visible state becomes one of some states. It fires each time that
/// happens, for any cause; the creation of the job does not count.
///
/// On the wire: `{"states": ["Faulted"], "http": {"url": "https://example.com/hook"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Action {
    /// At least one, and not WaitingForActivation.
    pub states: StateSet,
    /// The receivers.
    pub target: Target,
}

/// An action as it is serialized, in JSON and in rows.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Action))]
struct Wire {
    /// The visible states; at least one, and not WaitingForActivation.
    states: StateSet,
    /// A request to send; this or `email` or both.
    #[serde(default)]
    http: Option<HttpAction>,
    /// An e-mail to send.
    #[serde(default)]
    email: Option<EmailAction>,
}

impl From<Wire> for Action {
    fn from(Wire { states, http, email }: Wire) -> Self {
        Self { states, target: Target { http, email } }
    }
}

impl From<Action> for Wire {
    fn from(Action { states, target: Target { http, email } }: Action) -> Self {
        Self { states, http, email }
    }
}

impl Action {
    /// An action for these states.
    pub fn new(states: impl IntoIterator<Item = State>, target: impl Into<Target>) -> Self {
        Self { states: states.into_iter().collect(), target: target.into() }
    }

    /// An action for the end of a job, good or bad; of a root: for the end of the whole tree.
    pub fn on_finish(target: impl Into<Target>) -> Self {
        Self { states: StateSet::FINISHED, target: target.into() }
    }

    /// Checks everything against its limits; `field` is what the wire calls this action.
    ///
    /// # Errors
    /// The first field that is past its limit or malformed.
    pub fn check(&self, field: &str) -> Result<(), FieldError> {
        check_states(&format!("{field}.states"), self.states)?;
        self.target.check(field)
    }

    /// About how much memory its texts take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.target.bytes()
    }

    /// Checks all actions of a job.
    ///
    /// # Errors
    /// There are too many, or the first field that is past its limit or malformed.
    pub fn check_all(actions: &[Self]) -> Result<(), FieldError> {
        if actions.len() > limits::ACTIONS {
            let reason = format!("has {} actions; at most {}", actions.len(), limits::ACTIONS);
            return Err(FieldError::new("actions", reason));
        }
        let mut all = actions.iter().enumerate();
        all.try_for_each(|(index, action)| action.check(&format!("actions[{index}]")))
    }
}

/// Checks a set of visible states that an action or a caller waits for.
pub(crate) fn check_states(field: &str, states: StateSet) -> Result<(), FieldError> {
    if states.is_empty() {
        return Err(FieldError::new(field, "is empty; name at least one state"));
    }
    if states.contains(State::WaitingForActivation) {
        let reason = "must not have WaitingForActivation: that means that there is no job";
        return Err(FieldError::new(field, reason));
    }
    Ok(())
}

/// An action as the service shows it: without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActionView {
    /// The visible states.
    pub states: StateSet,
    /// The request that is sent.
    pub http: Option<HttpView>,
    /// The e-mail that is sent.
    pub email: Option<EmailAction>,
}

impl From<&Action> for ActionView {
    fn from(action: &Action) -> Self {
        let TargetView { http, email } = TargetView::from(&action.target);
        Self { states: action.states, http, email }
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use utoipa::openapi::{RefOr, schema::Schema};

    impl utoipa::ToSchema for super::Action {
        fn name() -> std::borrow::Cow<'static, str> {
            super::Wire::name()
        }

        fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            super::Wire::schemas(schemas);
        }
    }

    impl utoipa::PartialSchema for super::Action {
        fn schema() -> RefOr<Schema> {
            super::Wire::schema()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Action {
        let proxy = Proxy {
            url: "http://proxy.example:3128".into(),
            username: Some("me".into()),
            password: Some(Secret::new("geheim")),
        };
        let http = HttpAction::new("https://example.com/hook?a=b")
            .header("Authorization", "Bearer geheim")
            .payload(Payload::parse(r#"{"b": [1, 2.50, " x "], "a": null}"#).unwrap())
            .proxy(proxy)
            .secret(format!("whsec_{}", "A".repeat(32)));
        let email = EmailAction { cc: vec!["b@example.com".into()], ..EmailAction::to("a@b.de") };
        Action::new([State::Faulted, State::Warning], Target::from(http).and_email(email))
    }

    #[test]
    fn the_wire_is_flat_and_camel_case_and_comes_back() {
        let action = full();
        assert_eq!(action.check("actions[0]"), Ok(()));
        let json = serde_json::to_string(&action).unwrap();
        assert!(json.starts_with(r#"{"states":["Warning","Faulted"],"http":{"url":"#), "{json}");
        assert!(json.contains(r#""payload":{"b":[1,2.50," x "],"a":null}"#), "{json}");
        assert_eq!(serde_json::from_str::<Action>(&json).unwrap(), action);
        let short = r#"{"states":["Faulted"],"email":{"to":["a@b.de"]}}"#;
        assert_eq!(serde_json::from_str::<Action>(short).unwrap().check("a"), Ok(()));
        for unknown in [
            r#"{"states":["Faulted"],"sms":{}}"#,
            r#"{"states":["Faulted"],"http":{"url":"http://a","method":"GET"}}"#,
            r#"{"states":["Done"]}"#,
            r#"{"http":{"url":"http://a"}}"#,
        ] {
            assert!(serde_json::from_str::<Action>(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn rows_come_back() {
        for action in [full(), Action::on_finish(EmailAction::to("a@b.de"))] {
            let bytes = postcard::to_stdvec(&action).unwrap();
            assert_eq!(postcard::from_bytes::<Action>(&bytes).unwrap(), action);
        }
    }

    #[test]
    fn nothing_that_is_shown_has_a_secret() {
        let action = full();
        let view = ActionView::from(&action);
        let json = serde_json::to_string(&view).unwrap();
        for text in [json.clone(), format!("{view:?}"), format!("{action:?}")] {
            assert!(!text.contains("geheim") && !text.contains("AAAA"), "{text}");
        }
        assert!(json.contains(r#""headers":["Authorization"]"#), "{json}");
        assert!(json.contains(r#""hasSecret":true"#) && json.contains(r#""hasPassword":true"#));
        assert_eq!(serde_json::from_str::<ActionView>(&json).unwrap(), view);
    }

    #[test]
    fn states_and_numbers_are_checked() {
        let target = || Target::from(EmailAction::to("a@b.de"));
        let field = |action: &Action| action.check("actions[3]").unwrap_err().field;
        assert_eq!(field(&Action::new([], target())), "actions[3].states");
        let none = Action::new([State::WaitingForActivation], target());
        assert_eq!(field(&none), "actions[3].states");
        assert_eq!(field(&Action::on_finish(Target::default())), "actions[3]");
        let many = vec![Action::on_finish(target()); limits::ACTIONS + 1];
        assert_eq!(Action::check_all(&many[1..]), Ok(()));
        assert_eq!(Action::check_all(&many).unwrap_err().field, "actions");
    }
}
