use std::{
    cell::Cell,
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use scylla::{
    cluster::{ClusterState, NodeRef},
    policies::load_balancing::{FallbackPlan, LoadBalancingPolicy, RoutingInfo},
    routing::Shard,
};
use tokio::time::Instant;
use uuid::Uuid;

/// How long a node that did not answer comes last.
const SUSPECT: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// The node that the request of this task was sent to.
    static PICKED: Cell<Option<Uuid>>;
}

/// Sends all conditional writes of a partition to the same replica, as long as that one is up.
///
/// The driver would take any replica for a conditional batch, and two coordinators that propose at
/// once make each other start again. Which replica is first differs from partition to partition, so
/// that the work is spread. A replica that has not answered comes last for a while: a node that
/// hangs keeps its connections.
#[derive(Debug)]
pub struct OneCoordinator {
    datacenter: String,
    /// Nodes that did not answer, and until when they come last.
    suspects: Mutex<HashMap<Uuid, Instant>>,
}

impl OneCoordinator {
    pub fn new(datacenter: &str) -> Arc<Self> {
        Arc::new(Self { datacenter: datacenter.to_owned(), suspects: Mutex::default() })
    }

    /// Sends a request whose nodes this policy orders. `failed` says of its answer whether the node
    /// is to be suspected.
    pub async fn watched<T>(
        &self,
        request: impl Future<Output = T>,
        failed: impl FnOnce(&T) -> bool,
    ) -> T {
        let sent = async { (request.await, PICKED.with(Cell::get)) };
        let (answer, node) = PICKED.scope(Cell::new(None), sent).await;
        if let Some(node) = node.filter(|_| failed(&answer)) {
            self.suspects.lock().insert(node, Instant::now() + SUSPECT);
        }
        answer
    }

    fn is_suspect(&self, node: Uuid) -> bool {
        self.suspects.lock().get(&node).is_some_and(|until| Instant::now() < *until)
    }

    fn order<'a>(
        &self,
        request: &RoutingInfo<'_>,
        cluster: &'a ClusterState,
    ) -> Vec<(NodeRef<'a>, Option<Shard>)> {
        let nodes = cluster.get_nodes_info();
        let (Some(token), Some(table)) = (request.token, request.table) else {
            return nodes
                .iter()
                .filter(|node| node.is_connected())
                .map(|node| (node, None))
                .collect();
        };
        let mut replicas = cluster.get_token_endpoints(table.ks_name(), table.table_name(), token);
        replicas.retain(|(node, _)| {
            node.is_connected() && node.datacenter.as_deref() == Some(&*self.datacenter)
        });
        replicas.sort_by_key(|(node, _)| {
            let mut hasher = DefaultHasher::new();
            (token.value(), node.host_id).hash(&mut hasher);
            (self.is_suspect(node.host_id), hasher.finish())
        });
        let known = |(replica, shard): &(Arc<scylla::cluster::Node>, Shard)| {
            let node = nodes.iter().find(|node| node.host_id == replica.host_id)?;
            Some((node, Some(*shard)))
        };
        replicas.iter().filter_map(known).collect()
    }
}

impl LoadBalancingPolicy for OneCoordinator {
    fn pick<'a>(
        &'a self,
        request: &'a RoutingInfo<'_>,
        cluster: &'a ClusterState,
    ) -> Option<(NodeRef<'a>, Option<Shard>)> {
        let first = self.order(request, cluster).into_iter().next();
        // Outside of `watched` the choice is not read.
        let _ = PICKED.try_with(|picked| picked.set(first.map(|(node, _)| node.host_id)));
        first
    }

    fn fallback<'a>(
        &'a self,
        request: &'a RoutingInfo<'_>,
        cluster: &'a ClusterState,
    ) -> FallbackPlan<'a> {
        Box::new(self.order(request, cluster).into_iter().skip(1))
    }

    fn name(&self) -> String {
        "OneCoordinator".into()
    }
}
