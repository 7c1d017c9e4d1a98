use jobtracker_store::{conformance, scylla::ScyllaOptions};

use crate::cluster::Keyspaces;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn passes_the_suite() {
    conformance::run(&Keyspaces::new(|_| {})).await;
}

/// A checkpoint after nearly every commit, and next to nothing remembered.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn passes_the_suite_with_short_tails_and_no_memory() {
    let tune = |options: &mut ScyllaOptions| {
        options.tail_versions = 2;
        options.tail_bytes = 1;
        options.tree_cache_bytes = 1;
    };
    conformance::run(&Keyspaces::new(tune)).await;
}
