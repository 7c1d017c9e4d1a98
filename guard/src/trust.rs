use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Why connections cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
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
}

/// How connections to receivers are encrypted: a receiver is trusted if an authority has signed its
/// certificate that this machine trusts, or one in the file. The result is shared: reading all
/// authorities for each receiver would take longer than sending.
///
/// # Errors
/// The file cannot be used, or has no certificate.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "some authorities that this machine trusts cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    if let Some(ca_file) = ca_file {
        let bad = |reason: String| TrustError::Certificates { file: ca_file.into(), reason };
        let certificates = CertificateDer::pem_file_iter(ca_file);
        let certificates = certificates
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| bad(format!("cannot be read: {error}")))?;
        if certificates.is_empty() {
            return Err(bad("has no certificate in PEM".into()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| bad(format!("is of no use: {error}")))?;
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
