use serde::{Deserialize, Serialize};

use crate::FieldError;

use super::{EmailAction, HttpAction, HttpView};

/// Whom to tell: by a request, by an e-mail, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Target {
    /// A request to send; this or `email` or both.
    #[serde(default)]
    pub http: Option<HttpAction>,
    /// An e-mail to send.
    #[serde(default)]
    pub email: Option<EmailAction>,
}

impl Target {
    /// With an e-mail as well.
    #[must_use]
    pub fn and_email(mut self, email: EmailAction) -> Self {
        self.email = Some(email);
        self
    }

    /// Checks everything against its limits; `field` is what the wire calls this target.
    ///
    /// # Errors
    /// The first field that is past its limit or malformed.
    pub fn check(&self, field: &str) -> Result<(), FieldError> {
        if self.http.is_none() && self.email.is_none() {
            return Err(FieldError::new(field, "has no receiver; give http or email or both"));
        }
        if let Some(http) = &self.http {
            http.check(&format!("{field}.http"))?;
        }
        if let Some(email) = &self.email {
            email.check(&format!("{field}.email"))?;
        }
        Ok(())
    }
}

impl Target {
    /// About how much memory its texts take.
    pub(crate) fn bytes(&self) -> usize {
        let http = self.http.as_ref().map_or(0, HttpAction::bytes);
        http + self.email.as_ref().map_or(0, EmailAction::bytes)
    }
}

impl From<HttpAction> for Target {
    fn from(http: HttpAction) -> Self {
        Self { http: Some(http), email: None }
    }
}

impl From<EmailAction> for Target {
    fn from(email: EmailAction) -> Self {
        Self { http: None, email: Some(email) }
    }
}

/// A target as the service shows it: without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetView {
    /// The request that is sent.
    pub http: Option<HttpView>,
    /// The e-mail that is sent.
    pub email: Option<EmailAction>,
}

impl From<&Target> for TargetView {
    fn from(target: &Target) -> Self {
        Self { http: target.http.as_ref().map(HttpView::from), email: target.email.clone() }
    }
}
