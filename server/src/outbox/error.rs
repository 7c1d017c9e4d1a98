use std::path::PathBuf;

/// Why deliveries cannot be sent with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// A file with certificates that cannot be read.
    #[error("{}: {reason}", .file.display())]
    Certificates {
        /// The file.
        file: PathBuf,
        /// The error.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("encryption cannot be set up")]
    Tls(#[from] rustls::Error),
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
