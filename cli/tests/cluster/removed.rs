//! A large tree is removed while the servers that remove it are killed: nothing of it is left in
//! the tables, and nothing of another tree is missing.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use jobtracker_client::{JobId, JobTrackerClient};
use jobtracker_context::JobTrackerContext;
use scylla::client::{session::Session, session_builder::SessionBuilder};

use crate::{
    broad_tree::{is_whole, record},
    cassandra::{Nodes, times},
    fleet::Fleet,
};

/// The trees: their roots and how many children these have. One is removed, in many steps.
const REMOVED: (u64, u64) = (100_000, 20_000);
const KEPT: (u64, u64) = (10, 500);
const KILLS: usize = 2;
/// Rows stay for readers for half a minute, and a server takes over within 40 s.
const PATIENCE: Duration = Duration::from_secs(400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "dev/test faults runs it, on three nodes"]
async fn a_tree_is_removed_though_the_servers_that_remove_it_are_killed() {
    let nodes = Nodes::take().await;
    let keyspace = format!("cluster_removed_{:08x}", rand::random::<u32>());
    let mut fleet = Fleet::start(3, nodes.settings(&keyspace));
    let urls = fleet.urls();
    let client = JobTrackerClient::new(&urls[0]).unwrap();
    let context = JobTrackerContext::new(Arc::new(client.clone())).unwrap();
    let (root, children) = (REMOVED.0, REMOVED.1 * times() as u64);
    record(&context, root, children).await;
    record(&context, KEPT.0, KEPT.1).await;
    context.commit_and_close().await.unwrap();
    let tables = Tables::of(&nodes, &keyspace, root..=root + children).await;
    let is_in_the_middle = |left: usize| (left as u64) < children * 9 / 10;
    assert!(!is_in_the_middle(tables.rows("job").await));

    client.delete_tree(JobId::new(root).unwrap()).await.unwrap();
    let mut kills = 0;
    let removing = async {
        loop {
            match tables.rows("job").await {
                0 => break,
                left if is_in_the_middle(left) && kills < KILLS => {
                    for (server, url) in urls.iter().enumerate() {
                        if removes(url).await {
                            fleet.kill(server);
                            fleet.restart(server);
                            kills += 1;
                        }
                    }
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, removing).await.expect("some server removes it");
    assert!(kills > 0, "it was removed before a server could be killed");
    // Each job goes after what is below it, and its history and its details before it.
    for table in ["history", "detail"] {
        assert_eq!(tables.rows(table).await, 0, "{table}, after {kills} kills");
    }
    assert!(is_whole(&client, KEPT.0, KEPT.1).await);
    println!("{kills} servers were killed while they removed {} jobs", children + 1);
    drop(fleet);
    tables.drop().await;
}

/// Whether a server removes trees now.
async fn removes(url: &str) -> bool {
    let metrics = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
    let gauge = metrics.lines().find_map(|line| line.strip_prefix("jobtracker_store_removals "));
    gauge.unwrap().parse::<f64>().unwrap() > 0.0
}

/// The tables, as the database has them.
struct Tables {
    session: Session,
    keyspace: String,
    /// The jobs whose rows are counted.
    jobs: std::ops::RangeInclusive<i64>,
}

impl Tables {
    async fn of(nodes: &Nodes, keyspace: &str, jobs: std::ops::RangeInclusive<u64>) -> Self {
        let session = SessionBuilder::new().known_nodes(&nodes.addresses).build().await.unwrap();
        let number = |id: &u64| i64::try_from(*id).unwrap();
        let jobs = number(jobs.start())..=number(jobs.end());
        Self { session, keyspace: keyspace.to_owned(), jobs }
    }

    /// How many rows of the jobs a table has.
    async fn rows(&self, table: &str) -> usize {
        let cql = format!("SELECT id FROM {}.{table}", self.keyspace);
        let rows = self.session.query_iter(cql, ()).await.unwrap();
        let ids = rows.rows_stream::<(i64,)>().unwrap();
        let ours = ids.try_filter(|(id,)| std::future::ready(self.jobs.contains(id)));
        ours.try_fold(0, async |count, _| Ok(count + 1)).await.unwrap()
    }

    async fn drop(self) {
        let cql = format!("DROP KEYSPACE {}", self.keyspace);
        self.session.query_unpaged(cql, ()).await.unwrap();
    }
}
