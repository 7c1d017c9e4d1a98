use jobtracker_guard::TrustError;

/// Why deliveries cannot be sent with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Connections cannot be encrypted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A rule of the guard, or the sender of e-mails, is invalid.
    #[error("{key} {reason}")]
    BadValue {
        /// The key with its section.
        key: &'static str,
        /// The error.
        reason: String,
    },
    /// The SMTP client cannot be set up.
    #[error("e-mail cannot be set up")]
    Smtp(#[from] lettre::transport::smtp::Error),
}
