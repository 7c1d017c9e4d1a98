//! Rows that no server needs any more, found by reading whole tables.

use std::collections::BTreeSet;

use jobtracker_model::JobId;
use scylla::{client::session::Session, deserialize::row::DeserializeRow};
use uuid::Uuid;

async fn rows<R>(session: &Session, cql: &str) -> Vec<R>
where
    R: for<'row> DeserializeRow<'row, 'row>,
{
    let answer = session.query_unpaged(cql, ()).await.unwrap().into_rows_result().unwrap();
    answer.rows::<R>().unwrap().map(Result::unwrap).collect()
}

/// What stands in the place of a stage where a reservation says that its job was deleted.
const DELETED: i64 = i64::MIN + 1;

/// How many rows these jobs have, without those that only say that an id was used.
pub async fn rows_of(session: &Session, jobs: &BTreeSet<JobId>) -> usize {
    let is_one = |id: i64| {
        let id = u64::try_from(id).ok().and_then(JobId::new);
        id.is_some_and(|id| jobs.contains(&id))
    };
    let mut count = 0;
    // Page -1 of a job is the list of its pages.
    for table in ["job WHERE page >= 0 ALLOW FILTERING", "origin", "history", "detail"] {
        let cql = format!("SELECT id, stage FROM {table}");
        let found: Vec<(i64, i64)> = rows(session, &cql).await;
        count += found.iter().filter(|(id, stage)| is_one(*id) && *stage != DELETED).count();
    }
    let logs: Vec<(i64,)> = rows(session, "SELECT DISTINCT root FROM tree").await;
    count + logs.iter().filter(|(root,)| is_one(*root)).count()
}

/// No row is left of work that has not come true.
pub async fn check(session: &Session) {
    let cql = "SELECT key FROM listing WHERE list = 16 ALLOW FILTERING";
    let open: Vec<(String,)> = rows(session, cql).await;
    assert!(open.is_empty(), "work that is still listed: {open:?}");
    let cql = "SELECT slot, body FROM listing WHERE list = 6 ALLOW FILTERING";
    let staged: Vec<(i64, Option<Vec<u8>>)> = rows(session, cql).await;
    assert!(staged.is_empty(), "stages that are still listed: {staged:?}");

    let cql = "SELECT cid, parts FROM tree WHERE kind = 1 ALLOW FILTERING";
    let logged: Vec<(Uuid, Option<i32>)> = rows(session, cql).await;
    let needed: BTreeSet<Uuid> = logged.into_iter().map(|(cid, _)| cid).collect();
    let parts: Vec<(Uuid,)> = rows(session, "SELECT DISTINCT cid FROM part").await;
    let parts: Vec<_> = parts.iter().filter(|(cid,)| !needed.contains(cid)).collect();
    assert!(parts.is_empty(), "parts of what is in no log: {parts:?}");

    let cql = "SELECT id, version FROM tree WHERE kind = 0 ALLOW FILTERING";
    let marks: Vec<(i64, i64)> = rows(session, cql).await;
    let published: BTreeSet<i64> =
        marks.into_iter().filter(|(_, version)| *version >= 0).map(|(stage, _)| stage).collect();
    assert!(!published.is_empty(), "no stage was published at all");
    for table in ["job", "origin", "history", "detail"] {
        let cql = format!("SELECT id, stage FROM {table}");
        let mut found: Vec<(i64, i64)> = rows(session, &cql).await;
        assert!(found.iter().any(|(_, stage)| published.contains(stage)), "no stage in {table}");
        found.retain(|(_, stage)| *stage != 0 && !published.contains(stage));
        assert!(found.is_empty(), "table {table} has rows of dead stages: {found:?}");
    }
}
