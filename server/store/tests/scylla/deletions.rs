//! Deleted trees whose removal fails, or whose server goes: in the end no row is left.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jobtracker_model::{JobId, State, Timestamp};
use jobtracker_store::{
    Error, Health, Jobs, Row, Tombstone, TreeCommit, Trees,
    scylla::{ScyllaOptions, ScyllaStore},
};
use jobtracker_store_suite::Forest;
use scylla::client::session::Session;

use crate::{
    leftovers,
    proxy::{Fault, Proxy},
    space::{COMMIT, Space, append_noise, commit, id, only, versions},
};

/// How a tree is kept when it is deleted.
const LOGGED: fn(&mut ScyllaOptions) = |_| {};
const IN_TABLES: fn(&mut ScyllaOptions) = |options| {
    options.tail_versions = 2;
    options.tail_bytes = 1;
};
/// Removals of jobs and of their reservations.
const REMOVAL: [&str; 2] = ["DELETE FROM job", "DELETE FROM origin"];
/// After how many more requests the next server dies, since each number would take too long.
const EVERY: usize = 7;

/// A tree, a server behind a proxy that is to delete it, and one that sees the cluster as it is.
struct Scene {
    space: Space,
    session: Session,
    proxy: Proxy,
    store: Arc<ScyllaStore>,
    other: Arc<ScyllaStore>,
    root: u64,
    jobs: BTreeSet<JobId>,
}

impl Scene {
    async fn new(tune: fn(&mut ScyllaOptions)) -> Self {
        let space = Space::new().await;
        let (session, other) = (space.session().await, space.open().await);
        let proxy = space.proxy().await;
        let store = space.behind(&proxy, tune).await;
        let jobs = BTreeSet::new();
        let mut scene = Self { space, session, proxy, store, other, root: 1, jobs };
        scene.grow().await;
        scene
    }

    /// Makes the tree, with jobs on three levels and in two buckets.
    async fn grow(&mut self) {
        let root = self.root;
        let mut forest = Forest::default();
        forest.root(root);
        for child in [1, 2, 3, 300] {
            forest.child(root + child, root);
            forest.child(root + child + 10, root + child);
        }
        self.jobs = forest.ids().collect();
        let due = only(&mut forest);
        commit(&self.store, due).await.unwrap();
        forest.report(id(root + 1), State::Running, None);
        append_noise(&mut forest, id(root + 2), 2, 100);
        let due = only(&mut forest);
        commit(&self.store, due).await.unwrap();
        self.proxy.quiet().await;
        assert!(self.rows().await >= self.jobs.len(), "the tree has rows");
    }

    async fn deletion(&self) -> TreeCommit {
        let root = id(self.root);
        let created = self.other.get_job(root).await.unwrap().unwrap().status.create_time;
        // Later than any row may live on Cassandra.
        let until = Timestamp::from_millis(4_000_000_000_000).unwrap();
        let jobs = self.jobs.len() as u64;
        let tombstone =
            Tombstone { time: Timestamp::MIN, by: "an admin".into(), jobs, until, summary: None };
        let expected = versions(&self.store, [root]).await[&root];
        let rows = vec![Row::Deleted { root, created, tombstone }];
        TreeCommit { root, expected, rows, publishes: None }
    }

    async fn rows(&self) -> usize {
        leftovers::rows_of(&self.session, &self.jobs).await
    }

    /// When this store has no removal under way, there is no row, and no server has anything left.
    async fn removed_by(&self, store: &ScyllaStore) {
        until_removed(store).await;
        assert_eq!(self.rows().await, 0, "rows of tree {}", self.root);
        self.space.forget_servers(&self.session).await;
        assert_eq!(self.other.tidy().await.unwrap(), 0, "work that is still listed");
        assert!(self.other.get_tombstone(id(self.root)).await.unwrap().is_some());
    }

    async fn close(self) {
        self.store.close().await;
        self.other.close().await;
    }
}

async fn until_removed(store: &ScyllaStore) {
    const PATIENCE: Duration = Duration::from_secs(60);
    let removed = async {
        // There is nothing to wait for but the number itself.
        while store.removals() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, removed).await.expect("the removal has an end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_fails_is_tried_until_it_does_not() {
    for tune in [LOGGED, IN_TABLES] {
        let scene = Scene::new(tune).await;
        for words in REMOVAL {
            scene.proxy.inject(words, Fault::Refuse, 1);
        }
        commit(&scene.store, scene.deletion().await).await.unwrap();
        assert_eq!(scene.store.removals(), 1);
        scene.removed_by(&scene.store).await;
        assert_eq!(scene.proxy.hits(), 2, "both have failed");
        scene.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_of_unknown_outcome_is_completed() {
    let scene = Scene::new(|options| options.resolve_timeout = Duration::from_millis(1)).await;
    scene.proxy.inject(COMMIT, Fault::LoseReply, 1);
    let answer = commit(&scene.store, scene.deletion().await).await;
    assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");
    assert_eq!(scene.store.removals(), 1, "it is looked into at once");
    scene.removed_by(&scene.store).await;
    scene.close().await;
}

/// It leaves nothing behind that a server would ever have to look at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_is_not_done_is_taken_off_the_list() {
    let scene = Scene::new(LOGGED).await;
    let (root, late) = (id(scene.root), scene.deletion().await);
    let text = Row::Attachment { id: root, key: "a".into(), text: Some("text".into()) };
    let first = TreeCommit { rows: vec![text], ..late.clone() };
    commit(&scene.other, first).await.unwrap();
    let answer = commit(&scene.store, late).await;
    assert!(matches!(answer, Err(Error::Stale { .. })), "{answer:?}");
    scene.proxy.quiet().await;
    assert_eq!(scene.store.removals(), 0);
    scene.space.forget_servers(&scene.session).await;
    assert_eq!(scene.other.tidy().await.unwrap(), 0, "work that is still listed");
    assert!(scene.other.get_job(root).await.unwrap().is_some());
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_is_cut_off_by_a_close_is_completed_by_another() {
    for (tune, words) in [(LOGGED, REMOVAL[0]), (IN_TABLES, REMOVAL[1])] {
        let scene = Scene::new(tune).await;
        scene.proxy.inject(words, Fault::Hold, usize::MAX);
        commit(&scene.store, scene.deletion().await).await.unwrap();
        scene.proxy.hit(1).await;
        scene.store.close().await;
        assert!(scene.rows().await > 0, "nothing was left to be done");
        assert_eq!(scene.other.tidy().await.unwrap(), 1);
        assert_eq!(scene.other.removals(), 1);
        // It has an owner now, which is alive.
        let third = scene.space.open().await;
        assert_eq!(third.removals(), 0, "two remove one tree");
        scene.removed_by(&scene.other).await;
        // What was under way arrives late.
        scene.proxy.clear();
        scene.proxy.quiet().await;
        assert_eq!(scene.rows().await, 0);
        third.close().await;
        scene.close().await;
    }
}

/// One that is opened goes on at once, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_survives_servers_that_die_at_any_time() {
    for tune in [LOGGED, IN_TABLES] {
        let mut scene = Scene::new(tune).await;
        let every = if std::env::var_os("JOBTRACKER_LONG").is_some() { 1 } else { EVERY };
        let mut requests = 0;
        loop {
            let deletion = scene.deletion().await;
            scene.proxy.die_after(requests);
            let ended = tokio::select! {
                biased;
                () = scene.proxy.died() => false,
                () = async {
                    commit(&scene.store, deletion).await.unwrap();
                    until_removed(&scene.store).await;
                } => true,
            };
            if ended {
                break;
            }
            scene.after_a_death().await;
            requests += every;
            scene.proxy = scene.space.proxy().await;
            scene.store = scene.space.behind(&scene.proxy, tune).await;
            scene.root += 1_000;
            scene.grow().await;
        }
        assert!(requests > 20, "{requests} requests are less than that work takes");
        println!("a removal takes up to {requests} requests");
        scene.removed_by(&scene.store).await;
        scene.close().await;
    }
}

impl Scene {
    /// The tree is whole, or another server removes it.
    async fn after_a_death(&self) {
        self.space.forget_servers(&self.session).await;
        let next = self.space.open().await;
        until_removed(&next).await;
        if self.other.get_job(id(self.root)).await.unwrap().is_none() {
            self.removed_by(&next).await;
        } else {
            let found = versions(&next, [id(self.root)]).await;
            assert_eq!(found[&id(self.root)], 2, "the tree as it was");
        }
        next.close().await;
    }
}
