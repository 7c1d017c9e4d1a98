/// Why the service cannot start with what is set.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A source cannot be read, or a value has the wrong type.
    #[error("configuration: {0}")]
    Unreadable(String),
    /// A key that is not known.
    #[error("configuration: unknown key {key} in {origin}{hint}")]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// The file, or the environment.
        origin: String,
        /// A key that may have been meant.
        hint: String,
    },
    /// A value that is out of its bounds, or does not go with another.
    #[error("configuration: {key} {reason}")]
    BadValue {
        /// The key with its section.
        key: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
}
