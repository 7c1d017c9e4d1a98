//! Jobs of one id that two trees create at once.

use std::{sync::Arc, time::Duration};

use jobtracker_store::{
    Error, Health, Jobs, Result, StageId, TreeCommit, Trees, scylla::ScyllaStore,
};
use jobtracker_store_suite::{Forest, Staging};
use tokio::time::{sleep, timeout};

use crate::{
    faulty::stage_rows,
    proxy::Fault,
    space::{COMMIT, Space, commit, commit_soon, compare, id, only, versions},
};

/// A statement by which the rows of a stage are removed.
const REMOVAL: &str = "DELETE FROM job";

/// A store with a tree of its own, and what should be in that tree.
struct Side {
    store: Arc<ScyllaStore>,
    root: u64,
    forest: Forest,
    stages: u64,
}

/// How a side creates jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Commit,
    /// It stages them before.
    Stage,
    /// It creates a tree with them.
    NewTree,
}

impl Side {
    async fn new(space: &Space, root: u64) -> Self {
        let mut forest = Forest::default();
        forest.root(root);
        let store = space.open().await;
        commit(&store, only(&mut forest)).await.unwrap();
        Self { store, root, forest, stages: root << 32 }
    }

    /// The commit that it wants, and the forest after it.
    fn wish(&self, wanted: [u64; 2], way: Way) -> (TreeCommit, Forest) {
        let mut forest = self.forest.clone();
        let mut parent = self.root;
        if way == Way::NewTree {
            parent = self.root * 1_000_000 + wanted[0];
            forest.root(parent);
        }
        wanted.into_iter().for_each(|child| forest.child(child, parent));
        (only(&mut forest), forest)
    }

    async fn try_once(&mut self, due: TreeCommit, way: Way) -> Result<()> {
        if way != Way::Stage {
            return commit(&self.store, due).await;
        }
        self.stages += 1;
        let aside = Staging::new(self.stages, due, 1);
        let done = match stage_rows(&self.store, &aside).await {
            Ok(()) => commit(&self.store, aside.commit).await,
            refused => refused,
        };
        if done.is_err() {
            self.store.discard(StageId(self.stages));
        }
        done
    }

    /// Tries until it has the jobs, or sees that the other side has. Answers whether it has.
    async fn create(&mut self, wanted: [u64; 2], way: Way) -> bool {
        for round in 0..60_u64 {
            let (due, after) = self.wish(wanted, way);
            match self.try_once(due, way).await {
                Ok(()) => {
                    self.forest = after;
                    return true;
                }
                Err(Error::Stale { .. } | Error::Unavailable(_)) => {}
                Err(error) => panic!("{way:?} of {wanted:?} in tree {}: {error}", self.root),
            }
            let [first, second] = wanted.map(|wanted| self.store.get_job(id(wanted)));
            if first.await.unwrap().is_some() || second.await.unwrap().is_some() {
                return false;
            }
            versions(&self.store, [id(self.root)]).await;
            // Two that hinder each other may not go on in step.
            sleep(Duration::from_millis(round * (3 + self.root * 4))).await;
        }
        panic!("{wanted:?} cannot be created in tree {} by {way:?}", self.root);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_trees_gets_the_jobs() {
    let space = Space::new().await;
    let (mut one, mut two) = (Side::new(&space, 1).await, Side::new(&space, 2).await);
    let ways = [
        (Way::Commit, Way::Commit),
        (Way::Stage, Way::Commit),
        (Way::Stage, Way::Stage),
        (Way::NewTree, Way::Commit),
        (Way::NewTree, Way::Stage),
        (Way::NewTree, Way::NewTree),
    ];
    let mut wanted = 1_000;
    let mut won = [0, 0];
    for round in 0..4 {
        for (mine, theirs) in ways {
            wanted += 1;
            let (mine, theirs) = if round % 2 == 0 { (mine, theirs) } else { (theirs, mine) };
            // Two jobs, which are reserved in two partitions.
            let both = [wanted, wanted + 5_000];
            let (first, second) = tokio::join!(one.create(both, mine), two.create(both, theirs));
            assert!(first != second, "{wanted} by {mine:?}, {theirs:?}: {first}, {second}");
            won[usize::from(second)] += 1;
        }
    }
    println!("won by one and by the other: {won:?}");
    let mut all = one.forest.clone();
    all.join(two.forest.clone());
    let fresh = space.open().await;
    compare(&[&one.store, &two.store, &fresh], &all).await;
    for store in [one.store, two.store, fresh] {
        store.close().await;
    }
}

/// A commit is cut off between its reservations and its condition, and arrives when its ids are
/// taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_a_commit_that_is_cut_off_is_no_obstacle() {
    let space = Space::new().await;
    let proxy = space.proxy().await;
    let dying = space.behind(&proxy, |options| options.resolve_timeout = Duration::ZERO).await;
    let other = space.open().await;
    let mut theirs = Forest::default();
    theirs.root(1);
    theirs.root(2);
    for due in theirs.commits() {
        commit(&other, due).await.unwrap();
    }
    // In an existing tree, and in one that was to be created.
    for number in [10, 20] {
        let mut mine = theirs.clone();
        if number == 20 {
            mine.root(number);
        }
        mine.child(number + 1, if number == 20 { number } else { 1 });
        proxy.inject(COMMIT, Fault::Hold, 1);
        let answer = commit(&dying, only(&mut mine)).await;
        assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");
        // Two others want it: neither has to wait for long, and one gets it.
        theirs.child(number + 1, 2);
        let due = only(&mut theirs);
        timeout(Duration::from_secs(10), commit_soon(&other, due)).await.expect("it is blocked");
        proxy.clear();
        proxy.quiet().await;
        compare(&[&other], &theirs).await;
        let roots = [id(1), id(2)];
        let found = versions(&other, roots.into_iter().chain([id(20)])).await;
        assert_eq!(found, theirs.versions().collect(), "the late commit has come true");
    }
    // The tree that was not created may still be.
    theirs.root(20);
    commit_soon(&other, only(&mut theirs)).await;
    let fresh = space.open().await;
    compare(&[&fresh, &other], &theirs).await;
    for store in [dying, other, fresh] {
        store.close().await;
    }
}

/// A server dies with a stage that was about to be published: other servers wait for its jobs only
/// until it counts as gone, and the publication that comes late does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_of_a_dead_server_is_revoked() {
    let space = Space::new().await;
    let proxy = space.proxy().await;
    let dying = space.behind(&proxy, |options| options.resolve_timeout = Duration::ZERO).await;
    let other = space.open().await;
    let mut theirs = Forest::default();
    theirs.root(1);
    theirs.root(2);
    for due in theirs.commits() {
        commit(&other, due).await.unwrap();
    }
    let mut mine = theirs.clone();
    for child in 10..16 {
        mine.child(child, 1);
    }
    let aside = Staging::new(7, only(&mut mine), 2);
    stage_rows(&dying, &aside).await.unwrap();
    proxy.inject(COMMIT, Fault::Hold, 1);
    let answer = commit(&dying, aside.commit).await;
    assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");

    theirs.child(15, 2);
    let due = only(&mut theirs);
    let early = commit(&other, due.clone()).await;
    assert!(matches!(early, Err(Error::Stale { .. })), "its server is still there: {early:?}");
    assert_eq!(other.tidy().await.unwrap(), 0, "its server is still there");
    space.forget_servers(&space.session().await).await;
    commit_soon(&other, due).await;
    proxy.clear();
    proxy.quiet().await;
    compare(&[&other], &theirs).await;
    // One job of the stage was taken; the others can be had after a server has tidied up.
    assert_eq!(other.tidy().await.unwrap(), 1, "what was left");
    for child in 10..15 {
        theirs.child(child, 2);
    }
    commit_soon(&other, only(&mut theirs)).await;
    let fresh = space.open().await;
    compare(&[&fresh, &other], &theirs).await;
    for store in [dying, other, fresh] {
        store.close().await;
    }
}

/// A stage that may have been published is discarded: its ids are waited for until they are free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_a_discarded_stage_are_leaving_until_they_are_free() {
    let space = Space::new().await;
    let proxy = space.proxy().await;
    let store = space.behind(&proxy, |options| options.resolve_timeout = Duration::ZERO).await;
    let (aside, mut forest) = staged(&store).await;
    proxy.inject(COMMIT, Fault::Hold, 1);
    let answer = commit(&store, aside.commit).await;
    assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");
    assert!(!store.is_leaving(id(15)), "it may be there");

    proxy.inject(REMOVAL, Fault::Hold, 1);
    store.discard(aside.id);
    proxy.hit(2).await;
    assert!(store.is_leaving(id(15)) && !store.is_leaving(id(16)));
    proxy.clear();
    let free = async {
        while store.is_leaving(id(15)) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), free).await.expect("it holds its ids");
    proxy.quiet().await;
    forest.child(15, 2);
    commit(&store, only(&mut forest)).await.expect("the id is free");
    compare(&[&store], &forest).await;
    store.close().await;
}

/// What one server is removing does not keep the ids from another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_takes_ids_that_are_being_removed() {
    let space = Space::new().await;
    let proxy = space.proxy().await;
    let (store, other) = (space.behind(&proxy, |_| {}).await, space.open().await);
    let (aside, mut forest) = staged(&store).await;
    proxy.inject(REMOVAL, Fault::Hold, usize::MAX);
    store.discard(aside.id);
    proxy.hit(1).await;
    assert!(!store.is_leaving(id(15)), "its own server knows that it is free");
    forest.child(15, 2);
    let due = only(&mut forest);
    versions(&other, [due.root]).await;
    commit(&other, due).await.expect("the id is free");
    proxy.clear();
    proxy.quiet().await;
    compare(&[&other], &forest).await;
    for store in [store, other] {
        store.close().await;
    }
}

/// A store's stage with the jobs 10 to 15 below root 1, and what is visible beside it: the roots 1
/// and 2.
async fn staged(store: &ScyllaStore) -> (Staging, Forest) {
    let mut forest = Forest::default();
    forest.root(1);
    forest.root(2);
    for due in forest.commits() {
        commit(store, due).await.unwrap();
    }
    let mut mine = forest.clone();
    (10..16).for_each(|child| mine.child(child, 1));
    let aside = Staging::new(7, only(&mut mine), 2);
    stage_rows(store, &aside).await.unwrap();
    (aside, forest)
}

/// A server whose stage was revoked while it was away may not go on with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_was_revoked_is_not_published() {
    let space = Space::new().await;
    let (away, other) = (space.open().await, space.open().await);
    let mut theirs = Forest::default();
    theirs.root(1);
    theirs.root(2);
    for due in theirs.commits() {
        commit(&other, due).await.unwrap();
    }
    let mut mine = theirs.clone();
    for child in 10..14 {
        mine.child(child, 1);
    }
    let aside = Staging::new(7, only(&mut mine), 2);
    stage_rows(&away, &aside).await.unwrap();
    space.forget_servers(&space.session().await).await;
    theirs.child(12, 2);
    commit_soon(&other, only(&mut theirs)).await;

    versions(&away, [id(1)]).await;
    let late = commit(&away, aside.commit).await;
    assert!(matches!(late, Err(Error::Unavailable(_))), "the stage was revoked: {late:?}");
    compare(&[&away, &other], &theirs).await;
    away.discard(aside.id);
    theirs.child(11, 2);
    commit_soon(&other, only(&mut theirs)).await;
    compare(&[&away, &other], &theirs).await;
    for store in [away, other] {
        store.close().await;
    }
}
