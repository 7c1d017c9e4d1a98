use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use scylla::{
    cluster::{ClusterState, NodeRef},
    policies::load_balancing::{FallbackPlan, LoadBalancingPolicy, RoutingInfo},
    routing::Shard,
};

/// Sends all conditional writes of a partition to the same of its replicas, as long as that one is
/// there.
///
/// The driver would take any replica for a conditional batch, and two coordinators that propose at
/// once make each other start again. Which replica is first differs from partition to partition, so
/// that the work is spread.
#[derive(Debug)]
pub struct OneCoordinator {
    datacenter: String,
}

impl OneCoordinator {
    pub fn new(datacenter: &str) -> Arc<Self> {
        Arc::new(Self { datacenter: datacenter.to_owned() })
    }

    fn order<'a>(
        &self,
        request: &RoutingInfo<'_>,
        cluster: &'a ClusterState,
    ) -> Vec<(NodeRef<'a>, Option<Shard>)> {
        let nodes = cluster.get_nodes_info();
        let (Some(token), Some(table)) = (request.token, request.table) else {
            return nodes.iter().filter(|node| node.is_connected()).map(|node| (node, None)).collect();
        };
        let mut replicas = cluster.get_token_endpoints(table.ks_name(), table.table_name(), token);
        replicas.retain(|(node, _)| {
            node.is_connected() && node.datacenter.as_deref() == Some(&*self.datacenter)
        });
        replicas.sort_by_key(|(node, _)| {
            let mut hasher = DefaultHasher::new();
            (token.value(), node.host_id).hash(&mut hasher);
            hasher.finish()
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
        self.order(request, cluster).into_iter().next()
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
