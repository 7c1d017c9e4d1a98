use crate::limits;

/// A field whose value cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    /// The field as the wire spells it.
    pub field: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl FieldError {
    /// An error about a field.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }

    /// The same error about a field within another one.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        Self { field: format!("{outer}.{}", self.field), ..self }
    }
}

/// Checks a name that stands in addresses: of a token, or of a retention rule.
///
/// # Errors
/// It is not 1 to [`limits::TOKEN_NAME`] of `A-Z a-z 0-9 . _ -`, or only dots, which an address
/// would lose.
pub fn check_name(name: &str) -> Result<(), FieldError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = (1..=limits::TOKEN_NAME).contains(&name.len());
    let named = name.bytes().any(|byte| byte != b'.');
    if fits && named && name.bytes().all(allowed) {
        return Ok(());
    }
    let most = limits::TOKEN_NAME;
    let reason = format!("must be 1 to {most} of A-Z a-z 0-9 . _ -, not only dots");
    Err(FieldError::new("name", reason))
}

/// Checks the length of a text in bytes.
pub(crate) fn check_text(
    field: &str,
    text: &str,
    min: usize,
    max: usize,
) -> Result<(), FieldError> {
    if text.len() < min || text.len() > max {
        let reason = format!("has {} bytes; it must have {min} to {max}", text.len());
        return Err(FieldError::new(field, reason));
    }
    Ok(())
}
