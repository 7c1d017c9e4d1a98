//! Connecting to the cluster, and what has to be right before the store keeps anything there.

use std::{fs::File, io::BufReader, path::Path, sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, pki_types};
use scylla::{
    client::{
        PoolSize, execution_profile::ExecutionProfile, session::Session,
        session_builder::SessionBuilder,
    },
    policies::{
        load_balancing::DefaultPolicy, speculative_execution::SimpleSpeculativeExecutionPolicy,
    },
    statement::{Consistency, SerialConsistency},
};

use super::{ScyllaOptions, options::Tls};
use crate::{Error, Result};

/// A node that has not answered by then may be down: another one is asked as well.
const SLOW: Duration = Duration::from_secs(1);

/// How often a connection is asked whether its node is there, and how long that may take: a node
/// that hangs keeps its connections open.
const ALIVE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(5));

/// A session that uses no keyspace yet.
pub async fn connect(options: &ScyllaOptions) -> Result<Session> {
    check_name(&options.keyspace)?;
    let unusable = |reason: String| Error::Unusable { place: options.nodes.join(", "), reason };
    // Only for what may be repeated; conditional writes are not marked as such.
    let again = SimpleSpeculativeExecutionPolicy { max_retry_count: 1, retry_interval: SLOW };
    let profile = ExecutionProfile::builder()
        .speculative_execution_policy(Some(Arc::new(again)))
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .request_timeout(Some(options.request_timeout))
        .load_balancing_policy(
            DefaultPolicy::builder()
                .prefer_datacenter(options.datacenter.clone())
                .token_aware(true)
                .build(),
        )
        .build();
    let per_node = std::num::NonZeroUsize::new(options.connections_per_node.max(1))
        .ok_or_else(|| unusable("no connections are allowed".into()))?;
    let mut builder = SessionBuilder::new()
        .known_nodes(&options.nodes)
        .connection_timeout(options.connect_timeout)
        .keepalive_interval(ALIVE.0)
        .keepalive_timeout(ALIVE.1)
        .pool_size(PoolSize::PerHost(per_node))
        .default_execution_profile_handle(profile.into_handle());
    if !options.user.is_empty() {
        builder = builder.user(&options.user, &options.password);
    }
    if let Some(tls) = &options.tls {
        builder = builder.tls_context(Some(Arc::new(encryption(tls)?)));
    }
    builder.build().await.map_err(|error| {
        unusable(format!(
            "no node can be reached: {error}; check store.scylla.nodes, the network, the user and \
             the encryption"
        ))
    })
}

/// The name goes into statements unchanged.
fn check_name(keyspace: &str) -> Result<()> {
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = keyspace.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if begins && keyspace.len() <= 48 && keyspace.bytes().all(sound) {
        return Ok(());
    }
    let reason = "a keyspace has 1 to 48 of a-z, 0-9 and _, and begins with a letter".into();
    Err(Error::Unusable { place: format!("keyspace {keyspace:?}"), reason })
}

fn encryption(tls: &Tls) -> Result<ClientConfig> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(&tls.ca_file)? {
        authorities.add(certificate).map_err(|error| unreadable(&tls.ca_file, error))?;
    }
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unreadable(&tls.ca_file, error))?
            .with_root_certificates(authorities);
    let Some((certificate, key)) = &tls.identity else { return Ok(config.with_no_client_auth()) };
    config
        .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
        .map_err(|error| unreadable(certificate, error))
}

fn open(file: &Path) -> Result<BufReader<File>> {
    File::open(file).map(BufReader::new).map_err(|error| unreadable(file, error))
}

fn certificates(file: &Path) -> Result<Vec<pki_types::CertificateDer<'static>>> {
    use pki_types::pem::PemObject;

    let found: std::result::Result<Vec<_>, _> =
        pki_types::CertificateDer::pem_reader_iter(open(file)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unreadable(file, "there is no certificate in it")),
        Err(error) => Err(unreadable(file, error)),
    }
}

fn private_key(file: &Path) -> Result<pki_types::PrivateKeyDer<'static>> {
    use pki_types::pem::PemObject;

    pki_types::PrivateKeyDer::from_pem_reader(open(file)?).map_err(|error| unreadable(file, error))
}

fn unreadable(file: &Path, error: impl std::fmt::Display) -> Error {
    Error::Unusable { place: file.display().to_string(), reason: error.to_string() }
}

/// The database that the cluster runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// Apache Cassandra.
    Cassandra,
    /// ScyllaDB of this version: year and release, or the numbers of the older kind.
    Scylla(u32, u32),
}

/// Finds out what the cluster runs.
pub async fn engine(session: &Session) -> Engine {
    // A table that only ScyllaDB has.
    let Ok(answer) = session.query_unpaged("SELECT version FROM system.versions", ()).await else {
        return Engine::Cassandra;
    };
    let rows = answer.into_rows_result().ok();
    let version = rows.and_then(|rows| rows.first_row::<(String,)>().ok());
    let (major, minor) = version.map_or((0, 0), |(version,)| numbers(&version));
    Engine::Scylla(major, minor)
}

fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split(['.', '-', '~']).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Refuses to go on when the clocks disagree too much: times that servers write would be in the
/// wrong order.
pub async fn check_clock(session: &Session, allowed: Duration) -> Result<()> {
    let cql = "SELECT toUnixTimestamp(now()) FROM system.local";
    let before = now_millis();
    let answer = session.query_unpaged(cql, ()).await.map_err(super::failure::asking)?;
    let after = now_millis();
    let rows = answer.into_rows_result().map_err(super::failure::reading)?;
    let (theirs,): (i64,) = rows.first_row().map_err(super::failure::reading)?;
    judge_clock(before, theirs, after, allowed)
}

/// The cluster told its time between two times of this machine, all in milliseconds.
fn judge_clock(before: i64, theirs: i64, after: i64, allowed: Duration) -> Result<()> {
    let off = (before - theirs).max(theirs - after).max(0);
    if off.unsigned_abs() > allowed.as_millis() as u64 {
        return Err(Error::Unusable {
            place: "the clock of the cluster".into(),
            reason: format!(
                "it differs from this machine's by {off} ms, and {} are allowed; set both by NTP, \
                 or raise store.scylla.max_clock_skew_ms",
                allowed.as_millis()
            ),
        });
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "compared with the cluster's, and for timestamps")]
pub fn now_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_both_kinds_are_read() {
        assert_eq!(numbers("2025.4.1-0.20251101.abc"), (2025, 4));
        assert_eq!(numbers("6.2.0~rc1"), (6, 2));
        assert_eq!(numbers(""), (0, 0));
    }

    #[test]
    fn a_clock_may_be_off_by_what_is_allowed() {
        let judge = |theirs, allowed| {
            judge_clock(10_000, theirs, 10_200, Duration::from_millis(allowed)).err()
        };
        for (theirs, allowed) in [(10_000, 0), (10_200, 0), (9_950, 50), (10_250, 50)] {
            assert!(judge(theirs, allowed).is_none(), "{theirs} is off by at most {allowed}");
        }
        for (theirs, allowed, off) in [(9_999, 0, 1), (9_949, 50, 51), (10_251, 50, 51)] {
            let refused = judge(theirs, allowed).map(|error| error.to_string()).unwrap_or_default();
            let told = format!("by {off} ms, and {allowed} are allowed");
            assert!(refused.contains(&told), "{theirs}: {refused}");
            assert!(refused.contains("store.scylla.max_clock_skew_ms"), "{refused}");
        }
    }

    #[test]
    fn a_keyspace_with_a_bad_name_is_refused() {
        for name in ["", "A", "1a", "a-b", "a\"b", &"a".repeat(49)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for name in ["a", "job_tracker_2", &"a".repeat(48)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
    }
}
