use std::fmt::Display;

/// Why the service cannot start with its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A source cannot be read, or a value has the wrong type.
    #[error("configuration: {0}")]
    Unreadable(String),
    /// An unknown key.
    #[error("configuration: unknown key {key} in {origin}{hint}")]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// The file, or the environment.
        origin: String,
        /// A key that may have been meant.
        hint: String,
    },
    /// A value that is out of its bounds, or contradicts another.
    #[error("configuration: {key} {reason}")]
    BadValue {
        /// The key with its section.
        key: &'static str,
        /// The error, and how to correct it.
        reason: String,
    },
}

/// Refuses a number that is out of its bounds.
pub(super) fn within<T: PartialOrd + Display + Copy>(
    key: &'static str,
    value: T,
    min: T,
    max: T,
) -> Result<(), ConfigError> {
    if value < min || value > max {
        return Err(bad(key, format!("is {value}; it must be {min} to {max}")));
    }
    Ok(())
}

pub(super) fn bad(key: &'static str, reason: String) -> ConfigError {
    ConfigError::BadValue { key, reason }
}
