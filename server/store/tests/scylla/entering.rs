//! Checks that come before the store keeps anything in a keyspace.

use std::{sync::Arc, time::Duration};

use jobtracker_model::JobId;
use jobtracker_store::{
    DocumentChange, DocumentId, DocumentKey, DocumentKind, DocumentVersion, Documents, Error,
    Health, Jobs, Servers,
    scylla::{Migrated, ScyllaOptions, ScyllaStore, migrate, testing},
};
use jobtracker_store_suite::Forest;
use scylla::{
    client::{session::Session, session_builder::SessionBuilder},
    response::query_result::QueryRowsResult,
};
use uuid::Uuid;

use crate::space::{commit, compare, only};

/// A keyspace that does not exist yet, of one test alone: its changes do not reach the keyspaces
/// that tests lend each other.
struct Own {
    options: ScyllaOptions,
    session: Session,
}

impl Own {
    async fn new(name: &str) -> Self {
        let nodes = std::env::var(testing::NODES).expect("these tests need a cluster");
        let nodes: Vec<String> = nodes.split(',').map(str::to_owned).collect();
        let session = SessionBuilder::new().known_nodes(&nodes).build().await.unwrap();
        // With the process in its name, so that it goes when a test has failed.
        let keyspace = format!("jobtracker_test_{}_{name}", std::process::id());
        let options = ScyllaOptions {
            nodes,
            keyspace,
            replication_factor: 1,
            // Other tests make tables at the same time.
            request_timeout: Duration::from_secs(30),
            ..ScyllaOptions::default()
        };
        Self { options, session }
    }

    /// How a server opens it that may not change tables.
    fn as_it_is(&self) -> ScyllaOptions {
        ScyllaOptions { migrate: false, ..self.options.clone() }
    }

    /// Executes a statement, in which `KS` stands for the keyspace.
    async fn ask(&self, cql: &str) -> Option<QueryRowsResult> {
        let cql = cql.replace("KS", &self.options.keyspace);
        self.session.query_unpaged(cql, ()).await.unwrap().into_rows_result().ok()
    }

    async fn version(&self) -> Option<i64> {
        let cql = "SELECT value FROM KS.register WHERE name = 'schema'";
        let (version,) = self.ask(cql).await.unwrap().single_row().unwrap();
        version
    }

    /// The tables as they are, and when their version was written.
    async fn state(&self) -> (Vec<(String, Uuid)>, Option<i64>) {
        let cql = "SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = 'KS'";
        let rows = self.ask(cql).await.unwrap();
        let tables = rows.rows().unwrap().map(Result::unwrap).collect();
        let cql = "SELECT WRITETIME(value) FROM KS.register WHERE name = 'schema'";
        let (written,) = self.ask(cql).await.unwrap().single_row().unwrap();
        (tables, written)
    }

    /// A store works in it.
    async fn works(&self) {
        let store = Arc::new(ScyllaStore::open(&self.as_it_is()).await.unwrap());
        let mut forest = Forest::default();
        forest.root(1);
        commit(&store, only(&mut forest)).await.unwrap();
        compare(&[&store], &forest).await;
        store.close().await;
    }

    async fn remove(self) {
        self.ask("DROP KEYSPACE KS").await;
    }
}

async fn refused(options: &ScyllaOptions) -> Error {
    ScyllaStore::open(options).await.err().expect("it was opened")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_a_newer_program_are_left_alone() {
    let own = Own::new("newer").await;
    let known = migrate(&own.options).await.unwrap().to;
    let newer = known + 7;
    // The newer program does without one of the tables; this one would make it again.
    own.ask("DROP TABLE KS.part").await;
    let cql = format!("UPDATE KS.register SET value = {newer} WHERE name = 'schema' IF EXISTS");
    own.ask(&cql).await;
    let before = own.state().await;
    for error in [
        refused(&own.as_it_is()).await,
        refused(&own.options).await,
        migrate(&own.options).await.unwrap_err(),
    ] {
        let Error::NewerFormat { found, known: own } = error else { panic!("{error}") };
        assert_eq!((i64::from(found), i64::from(own)), (newer, known));
    }
    assert_eq!(own.state().await, before, "something was changed");
    assert_eq!(own.version().await, Some(newer));
    own.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_make_tables_is_told_who_does() {
    let own = Own::new("bare").await;
    let told = async |what: &str| {
        let error = refused(&own.as_it_is()).await;
        let Error::Unusable { place, reason } = &error else { panic!("{what}: {error}") };
        assert!(place.contains(&own.options.keyspace), "{place}");
        assert!(reason.contains(what), "{reason}");
        assert!(reason.contains("run `jobtracker migrate`"), "{reason}");
    };
    told("it is not there").await;
    let cql = "CREATE KEYSPACE KS WITH replication = \
               {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}";
    own.ask(cql).await;
    told("it has no tables").await;
    let cql = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'KS'";
    assert_eq!(own.ask(cql).await.unwrap().rows_num(), 0, "it has made some");
    own.remove().await;
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_named() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = free.local_addr().unwrap().to_string();
    drop(free);
    let options = ScyllaOptions { nodes: vec![closed.clone()], ..ScyllaOptions::default() };
    for error in [refused(&options).await, migrate(&options).await.unwrap_err()] {
        let Error::Unusable { place, reason } = &error else { panic!("{error}") };
        assert_eq!(*place, closed);
        assert!(reason.contains("store.scylla.nodes"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_may_be_made_again_and_by_two_at_once() {
    let own = Own::new("twice").await;
    let (one, other) = tokio::join!(migrate(&own.options), migrate(&own.options));
    let known = one.unwrap().to;
    assert_eq!(other.unwrap().to, known);
    assert_eq!(own.version().await, Some(known));
    own.works().await;
    let before = own.state().await;
    let again = migrate(&own.options).await.unwrap();
    assert_eq!(again, Migrated { from: known, to: known });
    assert_eq!(own.state().await, before, "something was made again");

    // Tables of an earlier version, which knows nothing of documents, are taken over.
    own.ask("DROP TABLE KS.document").await;
    own.ask("UPDATE KS.register SET value = 1 WHERE name = 'schema' IF EXISTS").await;
    let error = refused(&own.as_it_is()).await;
    let Error::Unusable { reason, .. } = &error else { panic!("{error}") };
    let told = format!("version 1, not {known}; run `jobtracker migrate`");
    assert!(reason.contains(&told), "{reason}");
    assert_eq!(migrate(&own.options).await.unwrap(), Migrated { from: 1, to: known });
    assert_eq!(own.version().await, Some(known));
    let store = ScyllaStore::open(&own.as_it_is()).await.unwrap();
    assert!(store.get_job(JobId::MIN).await.unwrap().is_some(), "what was there has gone");
    let (kind, key) = (DocumentKind::Token, DocumentKey::new("a").unwrap());
    assert_eq!(store.get_document(&DocumentId { kind, key }).await.unwrap(), None);
    store.close().await;

    // The server that made them died before the version was written.
    own.ask("DELETE FROM KS.register WHERE name = 'schema' IF EXISTS").await;
    let again = migrate(&own.options).await.unwrap();
    assert_eq!(again, Migrated { from: 0, to: known });
    assert_eq!(own.version().await, Some(known));
    let store = ScyllaStore::open(&own.as_it_is()).await;
    store.expect("what was there has not gone");
    own.remove().await;
}

/// Those that come and go stood in the table of all others before version 10.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_come_and_go_move_with_the_tables() {
    let own = Own::new("moved").await;
    migrate(&own.options).await.unwrap();
    own.ask("DROP TABLE KS.transient_document").await;
    let kinds = [DocumentKind::Token, DocumentKind::Worker, DocumentKind::Audit];
    // More than are moved at once.
    for (kind, count) in kinds.into_iter().zip([1, 501, 1]) {
        for number in 0..count {
            let cql = format!(
                "UPDATE KS.document SET version = 00000000-0000-0000-0000-000000000007, \
                 body = 0x01 WHERE kind = {} AND key = 'a{number:03}'",
                kind.number()
            );
            own.ask(&cql).await;
        }
    }
    own.ask("UPDATE KS.register SET value = 9 WHERE name = 'schema' IF EXISTS").await;
    let migrated = migrate(&own.options).await.unwrap();
    assert_eq!((migrated.from, migrated.to > 9), (9, true));

    let store = ScyllaStore::open(&own.as_it_is()).await.unwrap();
    let id = |kind, key: &str| DocumentId { kind, key: DocumentKey::new(key).unwrap() };
    let moved = [(kinds[0], "a000"), (kinds[1], "a000"), (kinds[1], "a500"), (kinds[2], "a000")];
    for (kind, key) in moved {
        let found = store.get_document(&id(kind, key)).await.unwrap().expect("it was there");
        assert_eq!((found.version, &found.bytes[..]), (DocumentVersion(7), &[1][..]));
    }
    let left = own.ask("SELECT kind FROM KS.document").await.unwrap();
    assert_eq!(left.rows_num(), 1, "only the token stays");
    let worker = id(DocumentKind::Worker, "a500");
    let change = DocumentChange::delete(worker.clone(), DocumentVersion(7));
    store.change_document(change).await.unwrap();

    // A program that was slower moves again what it has read before.
    let late = "UPDATE KS.document SET version = 00000000-0000-0000-0000-000000000007, \
                body = 0x01 WHERE kind = 4 AND key = 'a500'";
    own.ask(late).await;
    own.ask("UPDATE KS.register SET value = 9 WHERE name = 'schema' IF EXISTS").await;
    migrate(&own.options).await.unwrap();
    assert_eq!(store.get_document(&worker).await.unwrap(), None, "it is back");
    store.close().await;
    own.remove().await;
}

/// A statement that the cluster refuses is refused the next time, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_told_so_and_not_tried_again() {
    let own = Own::new("refused").await;
    migrate(&own.options).await.unwrap();
    let store = Arc::new(ScyllaStore::open(&own.as_it_is()).await.unwrap());
    let mut forest = Forest::default();
    forest.root(1);
    commit(&store, only(&mut forest)).await.unwrap();
    let refused = |error: Error, what: &str| {
        let Error::Unusable { reason, .. } = &error else { panic!("{what}: {error}") };
        assert!(reason.contains("it refuses a statement"), "{what}: {reason}");
    };
    own.ask("DROP TABLE KS.listing").await;
    let mut more = forest.clone();
    more.root(2);
    refused(commit(&store, only(&mut more)).await.unwrap_err(), "a plain write");
    own.ask("DROP TABLE KS.tree").await;
    refused(store.list_ancestors(JobId::MIN).await.unwrap_err(), "a read");
    forest.append(JobId::MIN, &["a line"]);
    refused(commit(&store, only(&mut forest)).await.unwrap_err(), "a condition");
    own.ask("DROP TABLE KS.register").await;
    refused(store.lease("sorting", Duration::from_secs(9)).await.unwrap_err(), "a lease");
    store.close().await;
    own.remove().await;
}
