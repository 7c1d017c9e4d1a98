//! Connections that are encrypted, and who may open one.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use jobtracker_store::{
    Error, Health, Servers,
    scylla::{ScyllaOptions, ScyllaStore, Tls, testing::Lent},
};
use jobtracker_store_suite::Forest;
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer,
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;

use crate::{
    gatekeeper::Gatekeeper,
    space::{commit, compare, only},
};

/// An authority that vouches for nodes and servers, and the files in which it does so.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, folder: tempfile::tempdir().unwrap() }
    }

    fn issue(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn ca_file(&self) -> PathBuf {
        self.file("ca.pem", &self.issuer.pem())
    }

    /// The certificate and the key that a server shows.
    fn identity(&self) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.issue("jobtracker.test");
        let certificate = self.file("certificate.pem", &certificate.pem());
        (certificate, self.file("key.pem", &key.serialize_pem()))
    }

    /// Trusts this authority, and shows nothing.
    fn tls(&self) -> Tls {
        Tls { ca_file: self.ca_file(), identity: None }
    }

    /// How a node of this name encrypts; it may ask for a certificate of the same authority.
    fn node(&self, name: &str, asks: bool) -> ServerConfig {
        let provider = Arc::new(default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = if asks {
            let mut authorities = RootCertStore::empty();
            authorities.add(self.issuer.der().clone()).unwrap();
            let authorities = Arc::new(authorities);
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            config.with_no_client_auth()
        };
        let (certificate, key) = self.issue(name);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        config.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }
}

/// The only node, and how a store is opened on it.
async fn node() -> (SocketAddr, Lent) {
    let lent = Lent::new().await;
    assert_eq!(lent.options.nodes.len(), 1, "these tests are for a cluster of one node");
    let node = tokio::net::lookup_host(&lent.options.nodes[0]).await.unwrap().next().unwrap();
    (node, lent)
}

fn through(gate: &str, lent: &Lent, tls: Option<Tls>) -> ScyllaOptions {
    let nodes = vec![gate.to_owned()];
    ScyllaOptions { nodes, tls, migrate: false, ..lent.options.clone() }
}

/// A store that is opened like this does its work.
async fn works(options: &ScyllaOptions) {
    let store = Arc::new(ScyllaStore::open(options).await.unwrap());
    let first = store.reserve_ids(1).await.unwrap();
    let mut forest = Forest::default();
    forest.root(first.get());
    commit(&store, only(&mut forest)).await.unwrap();
    compare(&[&store], &forest).await;
    store.close().await;
}

/// No store can be opened like this. Answers the reason in the error.
async fn refused(options: &ScyllaOptions) -> String {
    let error = ScyllaStore::open(options).await.err().expect("it was let in");
    let Error::Unusable { place, reason } = &error else { panic!("refused otherwise: {error}") };
    assert_eq!(*place, options.nodes.join(", "));
    assert!(reason.contains("no node can be reached"), "{reason}");
    format!("{error} {error:?}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_has_to_be_vouched_for() {
    let (node, lent) = node().await;
    let (ours, others) = (Authority::new(), Authority::new());
    let tls = Some(ours.node(&node.ip().to_string(), false));
    let gate = Gatekeeper { node, tls, login: None }.open().await;
    works(&through(&gate, &lent, Some(ours.tls()))).await;
    let text = refused(&through(&gate, &lent, Some(others.tls()))).await;
    assert!(text.contains("certificate"), "{text}");
    refused(&through(&gate, &lent, None)).await;

    // The certificate is of a node with another address.
    let tls = Some(ours.node("192.0.2.1", false));
    let gate = Gatekeeper { node, tls, login: None }.open().await;
    let text = refused(&through(&gate, &lent, Some(ours.tls()))).await;
    assert!(text.contains("certificate"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_may_ask_for_a_certificate() {
    let (node, lent) = node().await;
    let (ours, others) = (Authority::new(), Authority::new());
    let tls = Some(ours.node(&node.ip().to_string(), true));
    let gate = Gatekeeper { node, tls, login: None }.open().await;
    let shown = |identity| Tls { identity, ..ours.tls() };
    works(&through(&gate, &lent, Some(shown(Some(ours.identity()))))).await;
    refused(&through(&gate, &lent, Some(shown(None)))).await;
    refused(&through(&gate, &lent, Some(shown(Some(others.identity()))))).await;
}

/// No node is asked before they have been read.
#[tokio::test]
async fn a_file_that_is_of_no_use_is_named() {
    let ours = Authority::new();
    let missing = ours.folder.path().join("missing.pem");
    let empty = ours.file("empty.pem", "");
    let (certificate, key) = ours.identity();
    let trust = |file: &Path| Tls { ca_file: file.into(), identity: None };
    let show = |certificate: &Path, key: &Path| Tls {
        identity: Some((certificate.into(), key.into())),
        ..ours.tls()
    };
    for (wrong, tls) in [
        (&missing, trust(&missing)),
        (&empty, trust(&empty)),
        (&missing, show(&missing, &key)),
        (&empty, show(&empty, &key)),
        (&missing, show(&certificate, &missing)),
        (&empty, show(&certificate, &empty)),
    ] {
        let options = ScyllaOptions { tls: Some(tls.clone()), ..ScyllaOptions::default() };
        let error = ScyllaStore::open(&options).await.err().expect("it was opened");
        let Error::Unusable { place, .. } = &error else { panic!("{tls:?}: {error}") };
        assert_eq!(*place, wrong.display().to_string(), "{tls:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_refused_and_not_told() {
    const WRONG: &str = "a-guess-that-is-wrong";
    let (node, lent) = node().await;
    let login = Some(("keeper", "open sesame"));
    let gate = Gatekeeper { node, tls: None, login }.open().await;
    let login = |user: &str, password: &str| ScyllaOptions {
        user: user.into(),
        password: password.into(),
        ..through(&gate, &lent, None)
    };
    works(&login("keeper", "open sesame")).await;
    refused(&login("", "")).await;
    let wrong = login("keeper", WRONG);
    let text = refused(&wrong).await;
    assert!(text.contains("password are wrong"), "the node's own words: {text}");
    for told in [text, format!("{wrong:?}")] {
        assert!(!told.contains(WRONG), "{told}");
    }
}
