//! Which results stand.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use jobtracker_model::{JobId, upload::UploadId};

use super::{KindRow, Uploads};
use crate::{
    Listed, Result, TreeResultRow, TreeResultsQuery, coding,
    scylla::{
        cluster::{READS_AT_ONCE, Several},
        keys::{self, tree_result},
        pinned::PinnedTree,
    },
    view::page::{Page, tree_result_bytes},
};

/// Rows in one answer.
const LISTED: usize = 500;

/// The rows of the table on one tree of an upload.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Row {
    /// Whether its log may have a result.
    pub is_reserved: bool,
    /// The result that it was applied, as a checkpoint wrote it.
    pub applied: Option<TreeResultRow>,
    pub refused: Option<TreeResultRow>,
}

type RootRow = (i64, i8, Option<i64>, Option<Vec<u8>>);

impl Row {
    fn add(&mut self, kind: i8, body: Option<Vec<u8>>) -> Result<()> {
        let row = body.map(|body| coding::decode("tree result", &body)).transpose()?;
        match kind {
            tree_result::APPLIED => (self.is_reserved, self.applied) = (true, row),
            tree_result::REFUSED => self.refused = row,
            _ => {}
        }
        Ok(())
    }

    fn of(rows: Vec<KindRow>) -> Result<Self> {
        let mut all = Self::default();
        for (kind, _, body) in rows {
            all.add(kind, body)?;
        }
        Ok(all)
    }
}

impl Uploads {
    /// Results on the trees of an upload, by root.
    pub async fn list_tree_results(
        &self,
        query: TreeResultsQuery,
    ) -> Result<Listed<TreeResultRow, JobId>> {
        let TreeResultsQuery { upload, mut after, limit } = query;
        let mut page = Page::new(limit);
        loop {
            let (rows, goes_on) = self.page(&upload, after).await?;
            after = rows.last_key_value().map(|(root, _)| *root);
            let mut reads: Several<'_, Option<TreeResultRow>> = Vec::new();
            for (root, row) in rows {
                reads.push(Box::pin(self.standing(&upload, root, row)));
            }
            let mut standing = stream::iter(reads).buffered(READS_AT_ONCE);
            while let Some(row) = standing.try_next().await? {
                let Some(row) = row else { continue };
                if page.look(row.tree_result.root).is_break() {
                    return Ok(page.finish());
                }
                let bytes = tree_result_bytes(&row);
                page.take(row, bytes);
            }
            if !goes_on {
                return Ok(page.finish());
            }
        }
    }

    /// The rows of the table on trees of an upload behind one of them, and whether it may have
    /// more.
    pub(super) async fn page(
        &self,
        upload: &UploadId,
        after: Option<JobId>,
    ) -> Result<(BTreeMap<JobId, Row>, bool)> {
        let key = (upload.as_str(), after.map_or(0, keys::number));
        let rows: Vec<RootRow> =
            self.cluster.rows(&self.cluster.statements.tree_results, key).await?;
        let goes_on = rows.len() >= LISTED;
        let mut all: BTreeMap<JobId, Row> = BTreeMap::new();
        for (root, kind, _, body) in rows {
            let Some(root) = keys::id(root) else { continue };
            all.entry(root).or_default().add(kind, body)?;
        }
        if goes_on && all.len() > 1 {
            // The next page may have more on the last one.
            all.pop_last();
        }
        Ok((all, goes_on))
    }

    async fn standing(
        &self,
        upload: &UploadId,
        root: JobId,
        row: Row,
    ) -> Result<Option<TreeResultRow>> {
        if !row.is_reserved || row.applied.is_some() {
            return Ok(row.applied.or(row.refused));
        }
        let Some(pinned) = PinnedTree::now(&self.trees, root).await? else {
            return Ok(row.refused);
        };
        if let Some(applied) = pinned.tail.tree_result(upload) {
            return Ok(Some(applied.clone()));
        }
        // A checkpoint may have written it since.
        let row = Row::of(self.rows(upload, keys::number(root)).await?)?;
        Ok(row.applied.or(row.refused))
    }

    /// The result that a tree was applied, brought out of its log if it is still there.
    pub(super) async fn settled(&self, upload: &UploadId, root: JobId, row: Row) -> Result<Row> {
        if !row.is_reserved {
            return Ok(row);
        }
        let tree = self.trees.tree(root);
        let tail = self.trees.refresh(&tree).await?;
        if tail.is_some_and(|tail| tail.tree_result(upload).is_some()) {
            self.checkpoints.whole(&tree).await?;
        }
        Row::of(self.rows(upload, keys::number(root)).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_no_verdict() {
        let row = Row::of(vec![(tree_result::APPLIED, Some(0), None)]).unwrap();
        assert_eq!(row, Row { is_reserved: true, ..Row::default() });
    }
}
