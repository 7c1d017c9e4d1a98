/// Why the service cannot start with what is set.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A source cannot be read, or a value has the wrong type.
    #[error("configuration: {0}")]
    Unreadable(String),
    /// A key that nobody knows.
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

impl From<::config::ConfigError> for ConfigError {
    /// Keeps what is wrong and where. A file that cannot be parsed is not quoted: the line that is
    /// wrong may be the one with the token.
    fn from(error: ::config::ConfigError) -> Self {
        match error {
            ::config::ConfigError::FileParse { uri, cause } => {
                let what = cause.to_string();
                let first = what.lines().next().unwrap_or("it cannot be parsed");
                Self::Unreadable(format!("{}: {first}", uri.unwrap_or_default()))
            }
            other => Self::Unreadable(other.to_string()),
        }
    }
}
