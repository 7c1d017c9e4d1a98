//! What the service keeps in a cluster: its rows, read one and all, counted by kind of partition.

use std::{collections::BTreeMap, ops::ControlFlow};

use anyhow::{Context, Result};
use scylla::{
    client::session::Session, deserialize::row::ColumnIterator, response::PagingState,
    statement::unprepared::Statement,
};

/// Rows read at once.
const PAGE: i32 = 5_000;

/// Partitions of one kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct Size {
    pub partitions: u64,
    pub rows: u64,
    pub most_rows: u64,
    /// Of keys and values, before the cluster packs them and adds its own.
    pub bytes: u64,
    pub most_bytes: u64,
}

/// A partition that is being read.
struct Partition {
    key: Vec<u8>,
    kind: String,
    rows: u64,
    bytes: u64,
}

/// The sizes of all partitions of a keyspace, by kind.
pub async fn sizes(session: &Session, keyspace: &str) -> Result<BTreeMap<String, Size>> {
    let mut sizes = BTreeMap::new();
    for (table, keys) in tables(session, keyspace).await? {
        read(session, keyspace, &table, &keys, &mut sizes).await?;
    }
    Ok(sizes)
}

/// The tables of a keyspace with the columns that make the keys of their partitions.
async fn tables(session: &Session, keyspace: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let cql = "SELECT table_name, column_name, kind FROM system_schema.columns \
               WHERE keyspace_name = ?";
    let answer = session.query_unpaged(cql, (keyspace,)).await?.into_rows_result()?;
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in answer.rows::<(String, String, String)>()? {
        let (table, column, kind) = row?;
        let keys = tables.entry(table).or_default();
        if kind == "partition_key" {
            keys.push(column);
        }
    }
    Ok(tables)
}

async fn read(
    session: &Session,
    keyspace: &str,
    table: &str,
    keys: &[String],
    sizes: &mut BTreeMap<String, Size>,
) -> Result<()> {
    let all = Statement::new(format!("SELECT * FROM {keyspace}.{table}")).with_page_size(PAGE);
    let all = session.prepare(all).await?;
    let mut from = PagingState::start();
    let mut open: Option<Partition> = None;
    loop {
        let (answer, more) = session.execute_single_page(&all, (), from).await?;
        let answer = answer.into_rows_result()?;
        // Rows of one partition follow each other.
        for row in answer.rows::<ColumnIterator<'_, '_>>()? {
            let (key, row) = measure(table, keys, row?)?;
            match &mut open {
                Some(open) if open.key == key => {
                    open.rows += 1;
                    open.bytes += row.bytes;
                }
                _ => {
                    let bytes = row.bytes + key.len() as u64;
                    let next = Partition { key, bytes, ..row };
                    close(open.replace(next), sizes);
                }
            }
        }
        match more.into_paging_control_flow() {
            ControlFlow::Continue(next) => from = next,
            ControlFlow::Break(()) => break,
        }
    }
    close(open, sizes);
    Ok(())
}

fn close(partition: Option<Partition>, sizes: &mut BTreeMap<String, Size>) {
    let Some(Partition { kind, rows, bytes, .. }) = partition else { return };
    let size = sizes.entry(kind).or_default();
    size.partitions += 1;
    size.rows += rows;
    size.bytes += bytes;
    size.most_rows = size.most_rows.max(rows);
    size.most_bytes = size.most_bytes.max(bytes);
}

/// The key of a row's partition, and the row without it.
fn measure(
    table: &str,
    keys: &[String],
    row: ColumnIterator<'_, '_>,
) -> Result<(Vec<u8>, Partition)> {
    let (mut key, mut bytes) = (Vec::new(), 0);
    let mut kind = table.to_owned();
    for column in row {
        let column = column?;
        let name = column.spec.name();
        let Some(value) = column.slice else { continue };
        let value = value.as_slice();
        if keys.iter().any(|key| key == name) {
            key.extend_from_slice(value);
            // Tables with partitions of more than one kind.
            match (table, name) {
                ("job", "page") => kind = job_kind(value)?,
                ("history", "kind") => kind = format!("history, kind {}", value[0]),
                ("listing", "list") => kind = format!("listing {}", value[0]),
                _ => {}
            }
        } else {
            bytes += value.len() as u64;
        }
    }
    Ok((key, Partition { key: Vec::new(), kind, rows: 1, bytes }))
}

fn job_kind(page: &[u8]) -> Result<String> {
    let page = page.try_into().ok().map(i64::from_be_bytes).context("a page has a number")?;
    Ok(if page < 0 { "job, directory of pages" } else { "job, page" }.to_owned())
}

/// Prints sizes as a table of their own.
pub fn print(sizes: &BTreeMap<String, Size>) {
    println!(
        "\n| partitions | number | rows | mean, most rows of one | bytes | mean, most bytes |"
    );
    println!("|---|---|---|---|---|---|");
    for (kind, size) in sizes {
        let Size { partitions, rows, most_rows, bytes, most_bytes } = size;
        let mean = |sum: &u64| *sum as f64 / *partitions as f64;
        let (mean_rows, mean_bytes) = (mean(rows), mean(bytes));
        println!(
            "| {kind} | {partitions} | {rows} | {mean_rows:.0}, {most_rows} \
             | {bytes} | {mean_bytes:.0}, {most_bytes} |"
        );
    }
}
