//! Servers that die between any two of their requests.
//!
//! A server does the same work again and again, in trees of its own each time, and each time it
//! dies one request later. Work that was acknowledged to it is there, and the work in progress
//! wholly or not at all; nothing that it left is in the way of the other servers.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jobtracker_model::{
    Progress, State, Timestamp,
    upload::{Refusal, TreeResult, UploadId, UploadOutcome},
};
use jobtracker_store::{
    Health, PageLimit, Result, Row, StageId, Store, TreeResultRow, TreeResultsQuery, Trees,
    UploadRow, Uploads, scylla::ScyllaStore,
};
use jobtracker_store_suite::{Forest, Staging, compare_roots};

use crate::{
    faulty::stage_rows,
    leftovers,
    proxy::Proxy,
    space::{Space, append_noise, commit, commit_soon, compare, id, only, versions},
};

/// After how many more requests the next server dies, since each number would take too long.
const EVERY: usize = 11;

/// The work of a server until it dies.
struct Work {
    store: Arc<ScyllaStore>,
    proxy: Proxy,
    /// All its ids come behind this one.
    base: u64,
    /// The work that was acknowledged.
    done: Forest,
    /// The forest if the commit under way comes true.
    under_way: Option<Forest>,
    /// Whether it has begun to complete an upload, and whether it has done so.
    concluding: (bool, bool),
}

impl Work {
    async fn commit(&mut self, change: impl FnOnce(&mut Forest)) -> Result<()> {
        self.commit_with(change, |_| {}).await
    }

    async fn commit_with(
        &mut self,
        change: impl FnOnce(&mut Forest),
        add: impl FnOnce(&mut Vec<Row>),
    ) -> Result<()> {
        let mut after = self.done.clone();
        change(&mut after);
        let mut due = only(&mut after);
        add(&mut due.rows);
        self.under_way = Some(after);
        commit(&self.store, due).await?;
        self.proxy.quiet().await;
        self.done = self.under_way.take().unwrap();
        Ok(())
    }

    /// Stages jobs, and publishes or discards them.
    async fn stage(&mut self, publishes: bool, change: impl FnOnce(&mut Forest)) -> Result<()> {
        let mut after = self.done.clone();
        change(&mut after);
        let due = only(&mut after);
        let aside = Staging::new(self.base * 100 + due.root.get() + u64::from(publishes), due, 2);
        stage_rows(&self.store, &aside).await?;
        self.proxy.quiet().await;
        if publishes {
            self.under_way = Some(after);
            commit(&self.store, aside.commit).await?;
        } else {
            self.store.discard(StageId(aside.id.0));
        }
        self.proxy.quiet().await;
        self.done = self.under_way.take().unwrap_or_else(|| self.done.clone());
        Ok(())
    }

    async fn run(&mut self) -> Result<()> {
        let base = self.base;
        self.commit(|forest| {
            forest.root(base + 1);
            forest.append(id(base + 1), &["the first line"]);
            forest.attach(id(base + 1), "a", Some("text"));
        })
        .await?;
        self.commit(|forest| (base + 2..base + 5).for_each(|child| forest.child(child, base + 1)))
            .await?;
        self.commit(|forest| {
            forest.report(id(base + 2), State::Running, Some("on its way".into()));
            forest.set_options(id(base + 1), Some("others".into()));
        })
        .await?;
        // Too large for the conditional batch, and for the tail.
        self.commit(|forest| append_noise(forest, id(base + 3), 4, 24_000)).await?;
        self.stage(true, |forest| {
            for child in base + 10..base + 13 {
                forest.child(child, base + 2);
                forest.append(id(child), &["staged"]);
                forest.deliver(id(child), 40, Progress::Delivered(Timestamp::MIN));
                forest.report(id(child), State::Faulted, None);
            }
            append_often(forest, base + 10);
        })
        .await?;
        self.commit(|forest| {
            forest.report(id(base + 10), State::Running, None);
            forest.attach(id(base + 1), "a", None);
        })
        .await?;
        let in_vain = |forest: &mut Forest| {
            for child in base + 20..base + 23 {
                forest.child(child, base + 1);
                forest.append(id(child), &["in vain"]);
                forest.deliver(id(child), 40, Progress::Delivered(Timestamp::MIN));
            }
            append_often(forest, base + 20);
        };
        self.stage(false, in_vain).await?;
        self.commit(|forest| forest.append(id(base + 1), &["one more"])).await?;
        self.stage(true, |forest| {
            forest.root(base + 30);
            (base + 31..base + 34).for_each(|child| forest.child(child, base + 30));
        })
        .await?;
        self.sent().await
    }

    async fn sent(&mut self) -> Result<()> {
        let root = self.base + 40;
        let row = Row::TreeResult { commit: name(self.base), row: tree_result(root, false) };
        self.commit_with(|forest| forest.root(root), |rows| rows.push(row)).await?;
        self.concluding.0 = true;
        let refused = vec![tree_result(root + 1, true)];
        self.store.complete_upload(completion(self.base), refused).await?;
        self.proxy.quiet().await;
        self.concluding.1 = true;
        Ok(())
    }
}

/// Often enough that the last appends are not kept with the first.
fn append_often(forest: &mut Forest, job: u64) {
    (0..34).for_each(|_| forest.append(id(job), &["again"]));
}

fn name(base: u64) -> UploadId {
    format!("commit-{base}").parse().unwrap()
}

fn tree_result(root: u64, refused: bool) -> TreeResultRow {
    let refusal = Refusal { position: 1, code: "cycle".into(), detail: "a cycle".into() };
    let tree_result = TreeResult {
        root: id(root),
        jobs: 1,
        changes: 0,
        repeated: 0,
        blocked: 0,
        blocked_changes: Vec::new(),
        refusal: refused.then_some(refusal),
    };
    let time = Timestamp::from_millis(1_700_000_000_000).unwrap();
    TreeResultRow { tree_result, checksum: root, time }
}

fn completion(base: u64) -> UploadRow {
    let mut outcome = UploadOutcome::new(name(base));
    let (applied, refused) = (tree_result(base + 40, false), tree_result(base + 41, true));
    outcome.add(&applied.tree_result);
    outcome.add(&refused.tree_result);
    outcome.complete = true;
    UploadRow { outcome, time: applied.time }
}

/// The other servers, and what they see.
struct Others {
    space: Space,
    session: scylla::client::session::Session,
    store: Arc<ScyllaStore>,
    /// The forest of all that should be there.
    all: Forest,
}

impl Others {
    /// One server that dies after this many requests. Answers whether it dies at all.
    async fn one(&mut self, requests: usize) -> bool {
        let proxy = self.space.proxy().await;
        let tune = |options: &mut jobtracker_store::scylla::ScyllaOptions| {
            options.tail_versions = 4;
            options.tail_bytes = 70_000;
            options.request_timeout = Duration::from_secs(5);
        };
        let store = self.space.behind(&proxy, tune).await;
        proxy.quiet().await;
        proxy.die_after(requests);
        let base = 1_000 * (requests as u64 + 1);
        let (done, concluding) = (Forest::default(), (false, false));
        let mut work =
            Work { store, proxy: proxy.clone(), base, done, under_way: None, concluding };
        let ended = tokio::select! {
            biased;
            () = proxy.died() => None,
            ended = work.run() => Some(ended),
        };
        match ended {
            Some(Ok(())) => {}
            None | Some(Err(_)) if proxy.is_dead() => proxy.died().await,
            other => panic!("after {requests} requests, nothing was in the way: {other:?}"),
        }
        let found = self.found(&work).await;
        compare(&[&self.store], &found).await;
        self.compare_tree_results(&work, &found).await;
        self.go_on(&work, found).await;
        proxy.is_dead()
    }

    /// The work of a server that the store has: what was acknowledged, perhaps with one commit
    /// more.
    async fn found(&self, work: &Work) -> Forest {
        let roots = [1, 30, 40].map(|number| id(work.base + number));
        let there = versions(&self.store, roots).await;
        match &work.under_way {
            Some(after) if after.versions().collect::<Vec<_>>() == Vec::from_iter(there) => {
                after.clone()
            }
            _ => work.done.clone(),
        }
    }

    async fn compare_tree_results(&self, work: &Work, found: &Forest) {
        let (base, commit) = (work.base, name(work.base));
        let query =
            TreeResultsQuery { upload: commit.clone(), after: None, limit: PageLimit::items(9) };
        let mut tree_results = self.store.list_tree_results(query).await.unwrap().items;
        let completed = self.store.get_upload(&commit).await.unwrap();
        let (begun, done) = work.concluding;
        assert!(completed.is_some() || !done, "a completion that was acknowledged");
        assert!(completed.is_none() || begun, "a completion before its time");
        assert!(completed.is_none_or(|completed| completed == completion(base)));
        let refused = tree_results.pop_if(|row| !row.tree_result.is_applied());
        assert!(refused.is_some() || !done, "a refusal that was acknowledged");
        assert!(refused.is_none_or(|row| begun && row == tree_result(base + 41, true)));
        let is_there = found.ids().any(|job| job == id(base + 40));
        let due: Vec<_> = is_there.then(|| tree_result(base + 40, false)).into_iter().collect();
        assert_eq!(tree_results, due, "results of tree {}", base + 40);
    }

    /// The others tidy up, take every id that was not used, and go on where it died.
    async fn go_on(&mut self, work: &Work, found: Forest) {
        self.space.forget_servers(&self.session).await;
        self.store.tidy().await.unwrap();
        assert_eq!(self.store.tidy().await.unwrap(), 0, "something is left to be tidied up");
        let mut forest = found;
        let there: BTreeSet<_> = forest.ids().collect();
        for (root, _) in forest.versions().collect::<Vec<_>>() {
            forest.append(root, &["by another"]);
        }
        let new_root = work.base + 90;
        forest.root(new_root);
        let numbers = [1..5, 10..13, 20..23, 30..34, 40..41].into_iter().flatten();
        for number in numbers.map(|number| work.base + number) {
            if !there.contains(&id(number)) {
                forest.child(number, new_root);
            }
        }
        for due in forest.commits() {
            commit_soon(&self.store, due).await;
        }
        let refused = vec![tree_result(work.base + 41, true)];
        self.store.complete_upload(completion(work.base), refused).await.unwrap();
        compare(&[&self.store], &forest).await;
        self.all.join(forest);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_die_at_any_time() {
    let space = Space::new().await;
    let (session, store) = (space.session().await, space.open().await);
    let mut others = Others { space, session, store, all: Forest::default() };
    let every = if std::env::var_os("JOBTRACKER_LONG").is_some() { 1 } else { EVERY };
    let mut requests = 0;
    while others.one(requests).await {
        requests += every;
    }
    assert!(requests > 80, "{requests} requests are less than that work takes");
    println!("the whole work takes up to {requests} requests");
    // With empty caches.
    let fresh = others.space.open().await;
    compare_roots(Arc::clone(&fresh) as Arc<dyn Store>, &others.all).await;
    leftovers::check(&others.session).await;
    fresh.close().await;
    others.store.close().await;
}
