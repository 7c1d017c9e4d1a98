use std::path::PathBuf;

/// Why deliveries cannot be sent with what is set.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// A file with certificates that cannot be read.
    #[error("{}: {reason}", .file.display())]
    Certificates {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something that TLS needs is not there.
    #[error("encryption cannot be set up")]
    Tls(#[from] rustls::Error),
    /// A rule of the guard, or the sender of e-mails, that cannot be understood.
    #[error("{key} {reason}")]
    BadValue {
        /// The key with its section.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The SMTP client cannot be set up.
    #[error("e-mail cannot be set up")]
    Smtp(#[from] lettre::transport::smtp::Error),
}
