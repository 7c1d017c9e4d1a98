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
