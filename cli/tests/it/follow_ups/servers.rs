//! Three servers on one cluster: one of them does what is due, and another one after that one dies.

use std::collections::HashSet;

use jobtracker_client::{NewChange, NewJob, State};
use jobtracker_store::scylla::testing::Lent;

use super::{
    id,
    receiver::{Received, Receiver},
    settled, tell,
};
use crate::process::{ANY_PORT, Process, Settings};

const JOBS: u64 = 120;

pub fn settings(lent: &Lent) -> Settings {
    vec![
        ("store.kind", "scylla".to_owned()),
        ("store.scylla.nodes", lent.options.nodes.join(",")),
        ("store.scylla.keyspace", lent.options.keyspace.clone()),
        ("store.scylla.replication_factor", "1".to_owned()),
        ("log.filter", "warn,scylla=error".to_owned()),
    ]
}

fn ids(received: &[Received]) -> HashSet<String> {
    received.iter().map(|one| one.id().to_owned()).collect()
}

/// Creates jobs and faults them, each on the next of the servers.
async fn fault(servers: &[Process], receiver: &Receiver, first: u64) {
    let clients: Vec<_> = servers.iter().map(Process::client).collect();
    for number in first..first + JOBS {
        let at = |more: u64| &clients[((number + more) % clients.len() as u64) as usize];
        let action = tell(receiver, "x", &[State::Faulted]);
        let job = NewJob::new("job").id(id(number)).action(action);
        at(0).create(job).await.unwrap();
        at(1).update(id(number), NewChange::new(State::Faulted)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_delivery_is_sent_once_and_taken_over_from_the_dead() {
    let (lent, receiver) = (Lent::new().await, Receiver::start().await);
    let mut servers: Vec<_> = (0..3).map(|_| Process::start(ANY_PORT, &settings(&lent))).collect();
    fault(&servers, &receiver, 1).await;
    receiver.count(JOBS as usize).await;
    let client = servers[0].client();
    for number in 1..=JOBS {
        assert_eq!(settled(&client, id(number)).await[0].attempts, 1);
    }
    let calm = receiver.all();
    assert_eq!((calm.len(), ids(&calm).len()), (JOBS as usize, JOBS as usize), "each came once");

    // The parts of these trees are spread over the servers, so the killed one has some of them.
    servers.remove(0).kill();
    fault(&servers, &receiver, 1 + JOBS).await;
    let all = receiver.until(|all| ids(all).len() == 2 * JOBS as usize).await;
    let again = all.len() - ids(&all).len();
    let client = servers[0].client();
    for number in 1 + JOBS..=2 * JOBS {
        settled(&client, id(number)).await;
    }
    println!("{} deliveries, {again} requests more than that", ids(&all).len());
}
