use jobtracker_store::scylla::ScyllaOptions;

use crate::cluster::Keyspaces;

/// Each part of the suite as a test, on stores that are opened with these options.
macro_rules! suite {
    ($tune:expr; $($(#[$meta:meta])* $name:ident: $part:expr;)*) => {$(
        $(#[$meta])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            super::run($part, $tune).await;
        }
    )*};
}

mod with_defaults {
    suite! {
        |_| {};
        commits_and_lists: 0;
        history_and_tree_results: 1;
        stages: 2;
        random_work: 3;
        readers_and_bulk: 4;
        deletion: 5;
    }
}

mod with_short_tails_and_no_memory {
    suite! {
        super::short;
        commits_and_lists: 0;
        history_and_tree_results: 1;
        #[ignore = "takes minutes; the same part with defaults always runs"]
        stages: 2;
        random_work: 3;
        #[ignore = "takes minutes; the same part with defaults always runs"]
        readers_and_bulk: 4;
        deletion: 5;
    }
}

#[test]
fn no_part_is_left_out() {
    assert_eq!(jobtracker_store_suite::PARTS, 6);
}

async fn run(part: usize, tune: fn(&mut ScyllaOptions)) {
    jobtracker_store_suite::run_part(&Keyspaces::new(tune), part).await;
}

/// A checkpoint after nearly every commit, and hardly anything remembered.
fn short(options: &mut ScyllaOptions) {
    options.tail_versions = 2;
    options.tail_bytes = 1;
    options.tree_cache_bytes = 1;
}
