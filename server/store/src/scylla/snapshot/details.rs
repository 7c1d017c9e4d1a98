//! Attachments, and what repeatable appends did.

use std::collections::BTreeMap;

use jobtracker_model::{JobId, Repeat, limits, rollup::Status};

use super::moment::Moment;
use crate::{
    RepeatRow, Result, coding,
    scylla::{
        keys::{self, detail},
        trees::Place,
    },
};

type DetailRow = (Option<i64>, Option<Vec<u8>>);
/// Key, version and size, and when the text was written if there is one.
type SizeRow = (String, Option<i64>, Option<i32>, Option<i64>);
type NamedRow = (String, Option<i64>, Option<Vec<u8>>);

/// Whether a job may have repeatable appends at all.
fn has_appends(status: &Status) -> bool {
    status.changes > 1 || status.log_lines > 0
}

impl Moment {
    /// What a repeatable append to a job did.
    pub async fn repeat(
        &self,
        id: JobId,
        place: Place,
        status: &Status,
        key: &Repeat,
    ) -> Result<Option<RepeatRow>> {
        let known = self.tail.repeat(id, key);
        if known.is_some() || !has_appends(status) || self.is_in_tail() {
            return Ok(known);
        }
        let (kind, name) = match key {
            Repeat::Change(name) => (detail::REPEATED_CHANGE, name),
            Repeat::Append(name) => (detail::REPEATED_APPEND, name),
        };
        let Some((version, Some(body))) = self.detail(id, place, kind, name).await? else {
            return Ok(None);
        };
        // What was written later is not there yet.
        if !self.is_past(version) {
            return Ok(None);
        }
        coding::decode("repeat", &body).map(Some)
    }

    async fn detail(
        &self,
        id: JobId,
        place: Place,
        kind: i8,
        key: &str,
    ) -> Result<Option<DetailRow>> {
        let (cluster, key) = (self.cluster(), (keys::number(id), place.stage, kind, key));
        cluster.row(&cluster.statements.detail, key).await
    }

    /// What all repeatable appends to a job did, by name: those of changes, then those of lines.
    pub async fn repeats(
        &self,
        id: JobId,
        place: Place,
        status: &Status,
    ) -> Result<Vec<(Repeat, RepeatRow)>> {
        let mut all = BTreeMap::new();
        if has_appends(status) && !self.is_in_tail() {
            let changes = self.named(id, place, detail::REPEATED_CHANGE).await?;
            all.extend(changes.into_iter().map(|(key, row)| (Repeat::Change(key), row)));
            let appends = self.named(id, place, detail::REPEATED_APPEND).await?;
            all.extend(appends.into_iter().map(|(key, row)| (Repeat::Append(key), row)));
        }
        for redo in &self.tail.redos {
            all.extend(redo.repeats(id).map(|(key, row)| (key.clone(), row)));
        }
        Ok(all.into_iter().collect())
    }

    async fn named(&self, id: JobId, place: Place, kind: i8) -> Result<Vec<(String, RepeatRow)>> {
        let cluster = self.cluster();
        let (mut all, mut behind) = (Vec::new(), String::new());
        loop {
            let key = (keys::number(id), place.stage, kind, behind.as_str());
            let rows: Vec<NamedRow> = cluster.rows(&cluster.statements.detail_bodies, key).await?;
            let Some((last, ..)) = rows.last() else { return Ok(all) };
            behind = last.clone();
            for (key, version, body) in rows {
                if let Some(body) = body
                    && self.is_past(version)
                {
                    all.push((key, coding::decode("repeat", &body)?));
                }
            }
        }
    }

    /// The text of an attachment of a job.
    pub async fn attachment(&self, id: JobId, place: Place, key: &str) -> Result<Option<String>> {
        if let Some(text) = self.tail.attachment(id, key) {
            return Ok(text.map(str::to_owned));
        }
        // Nothing is kept under keys that are too long.
        if key.len() > limits::ATTACHMENT_KEY || self.is_in_tail() {
            return Ok(None);
        }
        let row = self.detail(id, place, detail::ATTACHMENT, key).await?;
        let Some((version, body)) = row else { return Ok(None) };
        if !self.is_past(version) {
            return Err(self.stale());
        }
        body.map(|body| coding::decode_text("attachment", &body)).transpose()
    }

    /// Keys and sizes of the attachments of a job, by key.
    pub async fn attachments(&self, id: JobId, place: Place) -> Result<Vec<(String, usize)>> {
        let mut all: BTreeMap<String, Option<usize>> = BTreeMap::new();
        if !self.is_in_tail() {
            let (cluster, kind) = (self.cluster(), detail::ATTACHMENT);
            let key = (keys::number(id), place.stage, kind);
            let rows: Vec<SizeRow> = cluster.rows(&cluster.statements.details, key).await?;
            for (key, version, size, written) in rows {
                if !self.is_past(version) && self.tail.attachment(id, &key).is_none() {
                    return Err(self.stale());
                }
                let size = usize::try_from(size.unwrap_or(0)).unwrap_or(0);
                all.insert(key, written.map(|_| size));
            }
        }
        for redo in &self.tail.redos {
            let changed = redo.attachments(id);
            all.extend(changed.map(|(key, text)| (key.to_owned(), text.map(str::len))));
        }
        Ok(all.into_iter().filter_map(|(key, size)| Some((key, size?))).collect())
    }
}
