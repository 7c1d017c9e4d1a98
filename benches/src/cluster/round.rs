//! One round: floors and shapes in turn.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};

use super::{
    driver::{Driver, Reads},
    partitions,
};
use crate::{
    flush,
    load::{Measured, Until},
    nodes::Nodes,
    process::Server,
    shapes::{self, CONNECTIONS, MANY, READ_AMONG, TREE, Target},
    table::Series,
};

/// Clients at once.
pub const FEW: usize = CONNECTIONS;
/// Children of a tree that is read.
pub const READ_TREE: u64 = 10_000;
/// Requests to a new server before anything is measured.
const WARM_UP: u64 = 2_000;
/// Shares no factor with the number of jobs of a tree: visits them all, out of order.
const STEP: u64 = 7_919;
/// How long a checkpoint is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Seen {
    pub update_if: Series,
    pub insert_if_absent: Series,
    pub insert: Series,
    pub read: Series,
    pub few: Series,
    pub many: Series,
    pub scattered: Series,
    pub roots: Series,
    pub flush: Vec<f64>,
    pub get_of_tree: Gets,
    pub get_elsewhere: Gets,
    pub get_of_small: Gets,
    pub both: Series,
    pub one: Series,
    pub other: Series,
}

/// Jobs read one by one.
#[derive(Default)]
pub struct Gets {
    pub series: Series,
    /// Reads of the cluster for each of them, where the cluster counts them.
    pub reads: Option<Reads>,
}

pub struct Round<'a> {
    pub driver: &'a Driver,
    pub place: &'a Nodes,
    /// The service's.
    pub keyspace: &'a str,
    /// For each shape and each floor.
    pub time: Duration,
    /// Jobs that are flushed.
    pub jobs: u64,
    /// Rows that those leave, if that has been counted.
    pub rows: Option<u64>,
}

impl Round<'_> {
    /// Measures everything once; answers how many rows a flush leaves.
    pub fn measure(&self, seen: &mut Seen) -> Result<u64> {
        let service = Server::on_cluster(self.place, self.keyspace)?;
        let target = Target::new(service.addr, 1);
        target.create_roots(FEW, Until::Requests(WARM_UP))?;
        self.roots(seen, &target)?;
        self.updates(seen, &target)?;
        self.gets(seen, &target)?;
        self.flush(seen, service.addr)
    }

    fn until(&self) -> Until<'static> {
        Until::Elapsed(self.time)
    }

    /// Creations, and reads of what they left.
    fn roots(&self, seen: &mut Seen, target: &Target) -> Result<()> {
        seen.insert_if_absent.push(self.driver.insert_if_absent(self.until())?);
        seen.roots.push(target.create_roots(FEW, self.until())?);
        seen.read.push(self.driver.read(self.until())?);
        self.get(&mut seen.get_of_small, target, READ_AMONG)
    }

    /// Changes on one tree, by one server and by two.
    fn updates(&self, seen: &mut Seen, target: &Target) -> Result<()> {
        let update = |clients, step| {
            let (_, first) = target.create_tree(TREE)?;
            let order = |number| first + number * step % TREE;
            target.update(TREE, &order, &shapes::LIFE, clients, self.until())
        };
        seen.update_if.push(self.driver.update_if(self.until())?);
        seen.few.push(update(FEW, 1)?);
        seen.many.push(update(MANY, 1)?);
        seen.scattered.push(update(MANY, STEP)?);
        let (_, first) = target.create_tree(TREE)?;
        let other = Server::on_cluster(self.place, self.keyspace)?;
        Target::new(other.addr, 1 << 40).create_roots(FEW, Until::Requests(WARM_UP))?;
        let (one, other) = side_by_side([target.addr, other.addr], first, self.until())?;
        seen.both.push(one.beside(&other));
        seen.one.push(one);
        seen.other.push(other);
        Ok(())
    }

    /// Reads of single jobs of a tree that a checkpoint has brought to its tables.
    fn gets(&self, seen: &mut Seen, target: &Target) -> Result<()> {
        let (root, first) = target.create_tree(READ_TREE)?;
        self.driver.wait(self.checkpoint(root))?;
        self.get(&mut seen.get_of_tree, target, READ_TREE)?;
        let service = Server::on_cluster(self.place, self.keyspace)?;
        let target = Target::new(service.addr, first + READ_TREE);
        self.get(&mut seen.get_elsewhere, &target, READ_TREE)
    }

    fn get(&self, gets: &mut Gets, target: &Target, among: u64) -> Result<()> {
        let before = self.driver.reads_of(self.keyspace, self.place);
        let measured = target.get_jobs(among, self.until())?;
        let after = self.driver.reads_of(self.keyspace, self.place);
        gets.reads = before.zip(after).map(|(before, after)| {
            let each = |(table, count): (String, f64)| {
                let new = count - before.get(&table).copied().unwrap_or(0.0);
                (table, new / measured.requests as f64)
            };
            after.into_iter().map(each).collect()
        });
        gets.series.push(measured);
        Ok(())
    }

    /// Waits until a tree's log has been brought to the tables.
    async fn checkpoint(&self, root: u64) -> Result<()> {
        let cql = format!(
            "SELECT version FROM {}.tree WHERE root = ? AND kind = 3 AND id = 0",
            self.keyspace
        );
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let answer = self.driver.session.query_unpaged(&*cql, (root as i64,)).await?;
            let version = answer.into_rows_result()?.maybe_first_row::<(i64,)>()?;
            if version.is_some_and(|(version,)| version > 0) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(anyhow!("no checkpoint was made of a log of {READ_TREE} jobs"))
    }

    fn flush(&self, seen: &mut Seen, addr: SocketAddr) -> Result<u64> {
        let before = if self.rows.is_some() { 0 } else { self.settled_rows()? };
        let (took, _) = self.driver.wait(flush::flush(addr, self.jobs, &flush::LIFE))?;
        let rows = match self.rows {
            Some(rows) => rows,
            None => self.settled_rows()? - before,
        };
        ensure!(rows > self.jobs, "jobs leave rows");
        seen.flush.push(took.as_secs_f64());
        seen.insert.push(self.driver.insert(Until::Requests(rows))?);
        Ok(rows)
    }

    /// All rows of the service, when checkpoints and the like have ended.
    fn settled_rows(&self) -> Result<u64> {
        let count = || -> Result<u64> {
            let sizes = partitions::sizes(&self.driver.session, self.keyspace);
            Ok(self.driver.wait(sizes)?.values().map(|size| size.rows).sum())
        };
        let begun = Instant::now();
        let mut rows = count()?;
        while begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(500));
            let again = count()?;
            if again == rows {
                return Ok(rows);
            }
            rows = again;
        }
        Err(anyhow!("the service goes on writing when no client asks it to"))
    }
}

/// Changes on one tree from two servers at once, of one half of its jobs each.
fn side_by_side(
    addrs: [SocketAddr; 2],
    first: u64,
    until: Until<'static>,
) -> Result<(Measured, Measured)> {
    let half = |addr, first: u64| {
        let order = move |number| first + number * 2;
        Target::new(addr, 1).update(TREE / 2, &order, &shapes::LIFE, FEW, until)
    };
    let [one, other] = addrs;
    thread::scope(|scope| {
        let one = scope.spawn(move || half(one, first));
        let other = scope.spawn(move || half(other, first + 1));
        let joined = |thread: thread::ScopedJoinHandle<'_, Result<Measured>>| {
            thread.join().map_err(|_| anyhow!("a client has panicked"))?
        };
        Ok((joined(one)?, joined(other)?))
    })
}
