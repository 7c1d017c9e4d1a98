use jobtracker_store::{conformance, scylla::ScyllaOptions};

use crate::cluster::Keyspaces;

/// Every part of the suite on stores that are opened with these options, each as a test.
macro_rules! suites {
    ($($name:ident: $part:expr;)*) => {
        mod with_defaults {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::run($part, |_| {}).await;
            })*
        }

        mod with_short_tails_and_no_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::run($part, super::short).await;
            })*
        }
    };
}

suites! {
    commits_and_lists: 0;
    history_and_verdicts: 1;
    stages: 2;
    random_work: 3;
    readers_and_bulk: 4;
}

#[test]
fn no_part_is_left_out() {
    assert_eq!(conformance::PARTS, 5);
}

async fn run(part: usize, tune: fn(&mut ScyllaOptions)) {
    conformance::run_part(&Keyspaces::new(tune), part).await;
}

/// A checkpoint after nearly every commit, and next to nothing remembered.
fn short(options: &mut ScyllaOptions) {
    options.tail_versions = 2;
    options.tail_bytes = 1;
    options.tree_cache_bytes = 1;
}
