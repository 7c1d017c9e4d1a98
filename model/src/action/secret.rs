use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use crate::{FieldError, limits};

/// What a secret for signatures begins with.
const PREFIX: &str = "whsec_";

/// A text that does not print. It does go over the wire and into rows: otherwise the
/// service could not use it.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. It must not go to a log or an answer.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none: the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that this can sign, as the Standard Webhooks specification has it: `whsec_` and 24
    /// to 64 bytes in base64. The text itself does not stand in the error.
    ///
    /// # Errors
    /// It is not such a text.
    pub fn check_signing(&self, field: &str) -> Result<(), FieldError> {
        let Some(text) = self.0.strip_prefix(PREFIX) else {
            let reason = format!("must begin with {PREFIX}, followed by base64");
            return Err(FieldError::new(field, reason));
        };
        let Ok(key) = BASE64_STANDARD.decode(text) else {
            let reason = format!("is not base64 after {PREFIX}; it is with padding, and no blanks");
            return Err(FieldError::new(field, reason));
        };
        let (min, max) = (limits::SECRET_MIN, limits::SECRET);
        if key.len() < min || key.len() > max {
            let reason = format!("has {} bytes in base64; it must have {min} to {max}", key.len());
            return Err(FieldError::new(field, reason));
        }
        Ok(())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_bytes(count: usize) -> Secret {
        format!("whsec_{}", BASE64_STANDARD.encode(vec![7; count])).into()
    }

    #[test]
    fn a_secret_for_signatures_is_as_the_specification_has_it() {
        for good in [limits::SECRET_MIN, limits::SECRET] {
            assert_eq!(of_bytes(good).check_signing("secret"), Ok(()));
        }
        let key = BASE64_STANDARD.encode([7; 32]);
        for bad in [
            of_bytes(limits::SECRET_MIN - 1),
            of_bytes(limits::SECRET + 1),
            key.clone().into(),
            format!("whsec_{key} ").into(),
            format!("whsec_{}", key.trim_end_matches('=')).into(),
            "whsec_".into(),
            "".into(),
        ] {
            let error = bad.check_signing("secret").unwrap_err();
            assert_eq!(error.field, "secret");
            assert!(bad.expose().len() < 8 || !error.reason.contains(bad.expose()), "{error}");
        }
    }

    #[test]
    fn it_does_not_print_and_passes_through() {
        let secret = Secret::new("geheim");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"geheim\"");
        let bytes = postcard::to_stdvec(&secret).unwrap();
        assert_eq!(postcard::from_bytes::<Secret>(&bytes).unwrap(), secret);
    }
}
