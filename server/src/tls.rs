//! The certificate by which clients know the service, and the encryption of its connections.

use std::{path::Path, sync::Arc};

use parking_lot::RwLock;
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::{ConfigError, ServerConfig};

/// A certificate, those that vouch for it, and its key.
#[derive(Clone)]
pub(crate) struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    encryption: Arc<rustls::ServerConfig>,
}

impl Certificate {
    /// Reads the files that the configuration names; `None`: it names none.
    pub fn read(config: &ServerConfig) -> Result<Option<Self>, ConfigError> {
        const CERTIFICATE: &str = "server.tls_cert_file";
        const KEY: &str = "server.tls_key_file";
        if !config.is_encrypted() {
            return Ok(None);
        }
        let (file, key_file) = (&config.tls_cert_file, &config.tls_key_file);
        let chain = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        let chain: Vec<_> = chain.map_err(|error| unreadable(CERTIFICATE, file, error))?;
        if chain.is_empty() {
            let reason = format!("names {}, which has no certificate in PEM", file.display());
            return Err(ConfigError::BadValue { key: CERTIFICATE, reason });
        }
        let key = PrivateKeyDer::from_pem_file(key_file);
        let key = key.map_err(|error| unreadable(KEY, key_file, error))?;
        let encryption = encryption(chain.clone(), key).map_err(|error| {
            let file = file.display();
            let reason = format!("cannot be used with the certificate in {file}: {error}");
            ConfigError::BadValue { key: KEY, reason }
        })?;
        Ok(Some(Self { chain, encryption: Arc::new(encryption) }))
    }
}

fn unreadable(key: &'static str, file: &Path, error: impl std::fmt::Display) -> ConfigError {
    let reason = format!("names {}, which cannot be read: {error}", file.display());
    ConfigError::BadValue { key, reason }
}

fn encryption(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<rustls::ServerConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificate in use, which can be replaced while the service runs.
pub(crate) struct Tls(RwLock<Certificate>);

impl Tls {
    pub fn new(certificate: Certificate) -> Self {
        Self(RwLock::new(certificate))
    }

    /// How new connections are encrypted.
    pub fn encryption(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.0.read().encryption)
    }

    /// Shows another certificate to new connections; answers whether it is another one.
    pub fn replace(&self, certificate: Certificate) -> bool {
        let mut current = self.0.write();
        let is_other = current.chain != certificate.chain;
        *current = certificate;
        is_other
    }
}
