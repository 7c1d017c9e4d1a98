//! Children by their number, and the numbers of children.

use std::{collections::BTreeMap, sync::Arc};

use jobtracker_model::{JobId, State, StateSet};

use super::{
    Fixture,
    expected::ordered,
    forest::{Forest, definition, id},
    pages::{ORDERS, WIDE, filters},
    stage::Stage,
};
use jobtracker_store::{ChildPage, ChildrenQuery, JobPlaces, Order, PageLimit, Store};

/// More children than one entry of a sparse index is for, several times.
const CHILDREN: u64 = 5_000;
const PARENT: u64 = 2;

pub(super) async fn run(fixture: &impl Fixture) {
    filtered(fixture).await;
    grown(fixture).await;
    growing(fixture).await;
}

/// A root with a parent of many children, whose ids lie apart.
fn broad() -> Forest {
    let mut forest = Forest::default();
    forest.root(1);
    forest.child(PARENT, 1);
    forest.child(3, 1);
    for number in 0..CHILDREN {
        forest.child(child(number), PARENT);
    }
    forest
}

/// The id of a child; between two of them there is room for 9 others.
fn child(number: u64) -> u64 {
    100_000 + 10 * number
}

/// Children in some states, of which some are passed over.
async fn filtered(fixture: &impl Fixture) {
    let mut stage = Stage::open("children by number and state", fixture).await;
    stage.forest.root(1);
    for number in 2..=40 {
        stage.forest.child(number, 1);
    }
    stage.forest.reports(State::Running, &[4, 7, 8, 30]);
    stage.forest.reports(State::Warning, &[8]);
    stage.forest.reports(State::Faulted, &[5, 6, 9, 39, 40]);
    stage.forest.reports(State::RanToCompletion, &[10, 11, 12, 33]);
    stage.commit().await;
    for states in filters() {
        for skip in [0, 1, 2, 5, 38, 39, 40, u64::MAX] {
            for limit in [WIDE, PageLimit::items(1), PageLimit { scan: 7, ..WIDE }] {
                stage.compare_skipped(id(1), states, skip, limit).await;
            }
        }
    }
    stage.finish(fixture).await;
}

/// Each question is asked before and after ids landed behind the others, and between them.
async fn grown(fixture: &impl Fixture) {
    let mut stage = Stage::open("children by number", fixture).await;
    stage.forest = broad();
    stage.commit().await;
    let mut more: Vec<Vec<u64>> = vec![vec![]];
    // Behind all; between the last ones; in the middle; before all; each in turn, and at once.
    more.push((CHILDREN..CHILDREN + 1_500).map(child).collect());
    more.push((CHILDREN + 1_400..CHILDREN + 1_500).map(|number| child(number) + 1).collect());
    more.push((2_000..2_300).map(|number| child(number) + 5).collect());
    more.push(vec![50_000]);
    more.push(vec![50_001, child(1_024) + 1, child(CHILDREN + 9_000)]);
    for more in more {
        for number in more {
            stage.forest.child(number, PARENT);
        }
        stage.commit().await;
        stage.compare_numbers(id(PARENT)).await;
    }
    stage = stage.reopen(fixture).await;
    stage.compare_numbers(id(PARENT)).await;
    // What is there is compared by other phases; these are many jobs.
    stage.store.close().await;
}

impl Stage {
    /// Compares pages from some numbers on, and the numbers of some children.
    async fn compare_numbers(&self, parent: JobId) {
        let all: Vec<JobId> = self.forest.job(parent).children.iter().copied().collect();
        let total = all.len() as u64;
        for skip in [0, 1, 1_023, 1_024, 1_025, 1_281, 3_333, total - 1, total, total + 1] {
            self.compare_skipped(parent, StateSet::EMPTY, skip, PageLimit::items(3)).await;
        }
        for number in [0, 1, 127, 128, 129, 1_023, 1_024, 1_025, 2_111, total - 1] {
            self.compare_places(all[number as usize]).await;
        }
    }

    /// Compares a page of which some children are passed over, in both orders.
    pub(super) async fn compare_skipped(
        &self,
        parent: JobId,
        states: StateSet,
        skip: u64,
        limit: PageLimit,
    ) {
        for order in ORDERS {
            let what = format!("{states:?} {order:?} of {parent} but for {skip}, with {limit:?}");
            let query = ChildrenQuery { states, order, skip, limit, ..ChildrenQuery::of(parent) };
            let page = self.ok(&what, self.store.list_children(query).await);
            let all = ordered(self.forest.children(parent, states), order);
            let total = all.len() as u64;
            self.holds(format_args!("{what}: skipped"), page.skipped <= skip.min(total));
            let due = &all[page.skipped as usize..];
            self.holds(format_args!("{what}: items"), due.starts_with(&page.items));
            let is_whole = page.skipped == skip.min(total);
            self.holds(format_args!("{what}: {} are passed over", page.skipped), {
                is_whole || (page.items.is_empty() && page.next.is_some() && limit.scan < 40)
            });
            if is_whole && limit.scan > 40 && limit.bytes > 1 {
                let most = due.len().min(limit.items);
                self.same(format_args!("{what}: items"), &page.items.len(), &most);
            }
            if let Some(got) = page.total {
                self.same(format_args!("{what}: total"), &got, &total);
            }
            self.holds(&what, page.total.is_some() || !states.is_empty());
            self.same(format_args!("{what}: version"), &page.version, &self.forest.version(parent));
        }
    }

    /// Compares where a job and its ancestors stand.
    pub(super) async fn compare_places(&self, id: JobId) {
        let what = format!("places of {id}");
        let JobPlaces { ancestors, places, version } =
            self.ok(&what, self.store.get_places(id).await);
        self.same_jobs(&what, &ancestors, &self.forest.ancestors(id));
        self.same(&what, &places, &self.forest.places(id));
        self.same(&what, &version, &self.forest.version(id));
    }
}

/// The ids of the children at each version of the tree.
type Versions = BTreeMap<u64, Vec<JobId>>;

/// While ids land everywhere, each answer is right for the version that it names.
async fn growing(fixture: &impl Fixture) {
    let mut stage = Stage::open("children by number while they grow", fixture).await;
    stage.forest = broad();
    stage.commit().await;
    let children = |forest: &Forest| -> Vec<JobId> {
        forest.job(id(PARENT)).children.iter().copied().collect()
    };
    let mut versions = Versions::new();
    let mut commits = Vec::new();
    versions.insert(1, children(&stage.forest));
    for round in 0..60 {
        let places = [CHILDREN + 20 * round, (round * 7_919) % CHILDREN, CHILDREN - round];
        for (offset, number) in (1..).zip(places) {
            let new = child(number) + 3 * offset + round % 3;
            if !stage.forest.jobs.contains_key(&id(new)) {
                stage.forest.create(id(new), Some(id(PARENT)), definition("grown"));
            }
        }
        commits.extend(stage.forest.commits());
        versions.insert(2 + round, children(&stage.forest));
    }
    let read = |reader| tokio::spawn(look(Arc::clone(&stage.store), reader));
    let readers: Vec<_> = (0..3).map(read).collect();
    for commit in commits {
        for answer in stage.store.commit(vec![commit]).await {
            stage.ok("a commit", answer);
        }
    }
    let mut answers = Vec::new();
    for reader in readers {
        answers.extend(reader.await.expect("a reader ends"));
    }
    for (order, skip, page) in answers {
        let all = ordered(versions[&page.version].clone(), order);
        let what = format!("{order:?} but for {skip} in version {}", page.version);
        stage.same(format_args!("{what}: total"), &page.total, &Some(all.len() as u64));
        let got: Vec<JobId> = page.items.iter().map(|job| job.id).collect();
        let due = all.get(skip as usize..).unwrap_or_default();
        stage.same(&what, &got.as_slice(), &&due[..due.len().min(5)]);
    }
    // What is there is compared by other phases; these are many jobs.
    stage.store.close().await;
}

/// Pages from numbers on all over the list.
async fn look(store: Arc<dyn Store>, reader: u64) -> Vec<(Order, u64, ChildPage)> {
    let mut answers = Vec::new();
    for round in 0..20 {
        let skip = (reader * 1_777 + round * 1_031) % (CHILDREN + 100);
        let order = ORDERS[(round % 2) as usize];
        let limit = PageLimit::items(5);
        let query = ChildrenQuery { order, skip, limit, ..ChildrenQuery::of(id(PARENT)) };
        let page = store.list_children(query).await.expect("children can be listed");
        answers.push((order, skip, page));
    }
    answers
}
