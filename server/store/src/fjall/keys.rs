//! Keys of the rows. Numbers are big-endian, so that the order of the bytes is their order.
//!
//! | keyspace | key | row |
//! |---|---|---|
//! | `jobs` | parent or 0, id, 0 | definition |
//! | `jobs` | parent or 0, id, 1 | status |
//! | `origins` | id | origin |
//! | `history` | id, 0, number | change |
//! | `history` | id, 1, line | line of the log |
//! | `history` | id, 2, kind, text | repeat |
//! | `history` | id, 3, key | attachment |
//! | `history` | id, 4, kind, number | follow-up |
//! | `index` | 0, root | version |
//! | `index` | 1, parent, id | child that is not finished |
//! | `index` | 2, parent, id | child that failed |
//! | `index` | 3, !time, !id | root, newest first |
//! | `index` | 4, stage, number | ids of staged jobs |
//! | `index` | 5, upload, 0, root | result of a tree of an upload |
//! | `index` | 6, upload | an upload that is complete |
//! | `index` | 7, time, upload | when an upload was sent |
//! | `index` | 8, number of the index, time, id, kind, number | entry of a follow-up |
//! | `index` | 9, kind, key | document: its version and content |
//! | `index` | 10, root | tombstone of a deleted tree |
//! | `index` | 11, time, root | until when that is kept |
//! | `index` | 12, root | a deleted tree that has rows left |
//! | `index` | 255, 0 | the next id to give out |
//!
//! Staged rows stand where they will belong, and are hidden as long as a row with tag 4 has the id
//! of their job. An origin without a value is that of a job that was deleted: its id is not given
//! out again.

use jobtracker_model::{JobId, Repeat, Timestamp, upload::UploadId};

use crate::{
    DocumentKey, DocumentKind, Error, FollowUpKey, IndexId, IndexKey, Order, Result, RootKey,
    StageId, view::ChildIndex,
};

/// The part of a job that a row of `jobs` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Definition = 0,
    Status = 1,
}

const CHANGE: u8 = 0;
const LOG_LINE: u8 = 1;
const REPEAT: u8 = 2;
const ATTACHMENT: u8 = 3;
const FOLLOW_UP: u8 = 4;
const VERSION: u8 = 0;
const PENDING: u8 = 1;
const FAILED: u8 = 2;
const ROOT: u8 = 3;
const STAGED: u8 = 4;
const TREE_RESULT: u8 = 5;
const COMPLETED: u8 = 6;
const SENT: u8 = 7;
const INDEX: u8 = 8;
const DOCUMENT: u8 = 9;
const TOMBSTONE: u8 = 10;
const KEPT_UNTIL: u8 = 11;
const REMOVAL: u8 = 12;

/// The row with the next id to give out.
pub const NEXT_ID: [u8; 2] = [255, 0];

/// Two numbers around or before a byte: what most keys are made of.
pub type Key = [u8; 17];
/// Job, tag, kind and number.
pub type FollowUpRowKey = [u8; 14];
/// Tag, index, time, job, kind and number.
pub type EntryKey = [u8; 23];

pub fn job(parent: Option<JobId>, id: JobId, part: Part) -> Key {
    let mut key = [0; 17];
    key[..8].copy_from_slice(&number(parent));
    key[8..16].copy_from_slice(&id.get().to_be_bytes());
    key[16] = part as u8;
    key
}

/// The first and the last key that the rows of children behind `after` may have.
pub fn children(parent: JobId, after: Option<JobId>, order: Order) -> (Key, Key) {
    let (first, last) = behind(after, order);
    let key = |id: u64, part| {
        let mut key = [part; 17];
        key[..8].copy_from_slice(&number(Some(parent)));
        key[8..16].copy_from_slice(&id.to_be_bytes());
        key
    };
    (key(first, 0), key(last, u8::MAX))
}

/// The child and the part of it that a row of `jobs` is about.
pub fn child(key: &[u8]) -> Result<(JobId, Part)> {
    let part = match key.get(16) {
        Some(0) => Part::Definition,
        Some(1) => Part::Status,
        _ => return Err(unreadable("jobs", key)),
    };
    Ok((id_at(key, 8).ok_or_else(|| unreadable("jobs", key))?, part))
}

/// The key behind all those that begin with an id.
pub fn after(id: JobId) -> Vec<u8> {
    (id.get() + 1).to_be_bytes().to_vec()
}

pub fn origin(id: JobId) -> [u8; 8] {
    id.get().to_be_bytes()
}

/// The id of a row of `origins`.
pub fn origin_id(key: &[u8]) -> Result<JobId> {
    id_at(key, 0).ok_or_else(|| unreadable("origins", key))
}

pub fn change(id: JobId, change: u32) -> [u8; 13] {
    numbered(id, CHANGE, change)
}

pub fn log_line(id: JobId, line: u32) -> [u8; 13] {
    numbered(id, LOG_LINE, line)
}

/// The number of a change or of a line of the log.
pub fn number_of(key: &[u8]) -> Result<u32> {
    let bytes = key.get(9..13).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_be_bytes).ok_or_else(|| unreadable("history", key))
}

pub fn repeat(id: JobId, repeat: &Repeat) -> Vec<u8> {
    let (kind, text) = match repeat {
        Repeat::Change(text) => (0, text),
        Repeat::Append(text) => (1, text),
    };
    let mut key = Vec::with_capacity(10 + text.len());
    key.extend_from_slice(&repeats(id));
    key.push(kind);
    key.extend_from_slice(text.as_bytes());
    key
}

/// The begin of the keys of all repeats of a job.
pub fn repeats(id: JobId) -> [u8; 9] {
    of_job(id, REPEAT)
}

/// The sender's name for an append.
pub fn repeat_name(key: &[u8]) -> Result<Repeat> {
    let text = key.get(10..).and_then(|bytes| std::str::from_utf8(bytes).ok());
    match (key.get(9), text) {
        (Some(0), Some(text)) => Ok(Repeat::Change(text.to_owned())),
        (Some(1), Some(text)) => Ok(Repeat::Append(text.to_owned())),
        _ => Err(unreadable("history", key)),
    }
}

pub fn attachment(id: JobId, name: &str) -> Vec<u8> {
    let mut key = attachments(id).to_vec();
    key.extend_from_slice(name.as_bytes());
    key
}

/// The begin of the keys of all attachments of a job.
pub fn attachments(id: JobId) -> [u8; 9] {
    of_job(id, ATTACHMENT)
}

/// The name of an attachment.
pub fn attachment_name(key: &[u8]) -> Result<String> {
    let text = key.get(9..).and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.map(str::to_owned).ok_or_else(|| unreadable("history", key))
}

pub fn version(root: JobId) -> [u8; 9] {
    of_root(VERSION, root)
}

/// The begin of the keys of all versions.
pub fn all_versions() -> [u8; 1] {
    [VERSION]
}

/// The root of the tree of such a key.
pub fn version_root(key: &[u8]) -> Result<JobId> {
    id_at(key, 1).ok_or_else(|| unreadable("index", key))
}

pub fn tombstone(root: JobId) -> [u8; 9] {
    of_root(TOMBSTONE, root)
}

pub fn removal(root: JobId) -> [u8; 9] {
    of_root(REMOVAL, root)
}

/// The begin of the keys of all trees that have rows left.
pub fn all_removals() -> [u8; 1] {
    [REMOVAL]
}

/// The root of such a tree.
pub fn removal_root(key: &[u8]) -> Result<JobId> {
    id_at(key, 1).ok_or_else(|| unreadable("index", key))
}

pub fn kept_until(until: Timestamp, root: JobId) -> Key {
    pair(KEPT_UNTIL, millis(until), root.get())
}

/// A key before all of them.
pub fn first_kept_until() -> [u8; 1] {
    [KEPT_UNTIL]
}

/// The key behind those of all tombstones that are kept until a time before this one.
pub fn kept_until_before(now: Timestamp) -> Key {
    pair(KEPT_UNTIL, millis(now), 0)
}

/// The root of the tree of such a key.
pub fn kept_root(key: &[u8]) -> Result<JobId> {
    id_at(key, 9).ok_or_else(|| unreadable("index", key))
}

pub fn indexed(index: ChildIndex, parent: JobId, id: JobId) -> Key {
    pair(index_tag(index), parent.get(), id.get())
}

/// The first and the last key that an index has for children behind `after`.
pub fn indexed_behind(
    index: ChildIndex,
    parent: JobId,
    after: Option<JobId>,
    order: Order,
) -> (Key, Key) {
    let (first, last) = behind(after, order);
    let tag = index_tag(index);
    (pair(tag, parent.get(), first), pair(tag, parent.get(), last))
}

/// The child of a row of an index.
pub fn indexed_id(key: &[u8]) -> Result<JobId> {
    id_at(key, 9).ok_or_else(|| unreadable("index", key))
}

pub fn root(root: RootKey) -> Key {
    pair(ROOT, !millis(root.time), !root.id.get())
}

/// The first and the last key that roots created in `from..to` behind `after` may have; `None` if
/// there can be no such root.
pub fn roots(
    from: Timestamp,
    to: Timestamp,
    order: Order,
    after: Option<RootKey>,
) -> Option<(Key, Key)> {
    let newest = millis(to).checked_sub(1)?;
    let mut first = pair(ROOT, !newest, 0);
    let mut last = pair(ROOT, !millis(from), u64::MAX);
    // The ids are inverted: the next older one has the next larger key.
    let next_to = |after: RootKey, id| pair(ROOT, !millis(after.time), id);
    match (order, after) {
        (_, None) => {}
        (Order::Newest, Some(after)) => {
            first = first.max(next_to(after, (!after.id.get()).checked_add(1)?));
        }
        (Order::Oldest, Some(after)) => {
            last = last.min(next_to(after, (!after.id.get()).checked_sub(1)?));
        }
    }
    (first <= last).then_some((first, last))
}

/// The root of a row of the list of roots.
pub fn root_key(key: &[u8]) -> Result<RootKey> {
    let time = u64_at(key, 1).and_then(|time| i64::try_from(!time).ok());
    let id = u64_at(key, 9).and_then(|id| JobId::new(!id));
    match (time.and_then(Timestamp::from_millis), id) {
        (Some(time), Some(id)) => Ok(RootKey { time, id }),
        _ => Err(unreadable("index", key)),
    }
}

/// A record of ids that are staged.
pub fn staged(stage: StageId, record: u64) -> Key {
    pair(STAGED, stage.0, record)
}

/// The first and the last key that such records may have.
pub fn all_staged() -> (Key, Key) {
    (pair(STAGED, 0, 0), pair(STAGED, u64::MAX, u64::MAX))
}

/// The stage of such a record, and its number.
pub fn staged_record(key: &[u8]) -> Result<(StageId, u64)> {
    let numbers = u64_at(key, 1).zip(u64_at(key, 9));
    let (stage, record) = numbers.ok_or_else(|| unreadable("index", key))?;
    Ok((StageId(stage), record))
}

pub fn tree_result(commit: &UploadId, root: JobId) -> Vec<u8> {
    tree_result_at(commit, origin(root))
}

/// The first and the last key that results of trees behind `after` may have.
pub fn tree_results(commit: &UploadId, after: Option<JobId>) -> (Vec<u8>, Vec<u8>) {
    let (first, _) = behind(after, Order::Oldest);
    (tree_result_at(commit, first.to_be_bytes()), tree_result_at(commit, [u8::MAX; 8]))
}

fn tree_result_at(commit: &UploadId, root: [u8; 8]) -> Vec<u8> {
    // No id has a 0 in it, so no id begins like another one with its 0.
    [&[TREE_RESULT], commit.as_str().as_bytes(), &[0], &root].concat()
}

pub fn completed(commit: &UploadId) -> Vec<u8> {
    [&[COMPLETED], commit.as_str().as_bytes()].concat()
}

pub fn sent(time: Timestamp, commit: &UploadId) -> Vec<u8> {
    [&sent_before(time)[..], commit.as_str().as_bytes()].concat()
}

/// A key before all of them.
pub fn first_sent() -> [u8; 1] {
    [SENT]
}

/// The key behind those of all uploads that were sent before a time.
pub fn sent_before(before: Timestamp) -> [u8; 9] {
    let mut key = [SENT; 9];
    key[1..].copy_from_slice(&millis(before).to_be_bytes());
    key
}

/// The upload that was sent, and when.
pub fn sent_of(key: &[u8]) -> Result<(Timestamp, UploadId)> {
    let time = u64_at(key, 1).and_then(|time| Timestamp::from_millis(i64::try_from(time).ok()?));
    let text = key.get(9..).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let commit = text.and_then(|text| text.parse().ok());
    time.zip(commit).ok_or_else(|| unreadable("index", key))
}

pub fn document(kind: DocumentKind, key: &DocumentKey) -> Vec<u8> {
    [&[DOCUMENT, kind.number()], key.as_str().as_bytes()].concat()
}

/// A key behind those of all documents of a kind.
pub fn documents_end(kind: DocumentKind) -> [u8; 2] {
    [DOCUMENT, kind.number() + 1]
}

/// The key of the document of a row.
pub fn document_key(key: &[u8]) -> Result<DocumentKey> {
    let text = key.get(2..).and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(|text| DocumentKey::new(text).ok()).ok_or_else(|| unreadable("index", key))
}

fn index_tag(index: ChildIndex) -> u8 {
    match index {
        ChildIndex::Pending => PENDING,
        ChildIndex::Failed => FAILED,
    }
}

fn pair(tag: u8, first: u64, second: u64) -> Key {
    let mut key = [tag; 17];
    key[1..9].copy_from_slice(&first.to_be_bytes());
    key[9..].copy_from_slice(&second.to_be_bytes());
    key
}

fn numbered(id: JobId, tag: u8, number: u32) -> [u8; 13] {
    let mut key = [tag; 13];
    key[..8].copy_from_slice(&origin(id));
    key[9..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The key of a row of a tree.
fn of_root(tag: u8, root: JobId) -> [u8; 9] {
    let mut key = [tag; 9];
    key[1..].copy_from_slice(&origin(root));
    key
}

/// The begin of the keys of one kind of rows of a job.
fn of_job(id: JobId, tag: u8) -> [u8; 9] {
    let mut key = [tag; 9];
    key[..8].copy_from_slice(&origin(id));
    key
}

fn number(id: Option<JobId>) -> [u8; 8] {
    id.map_or(0, JobId::get).to_be_bytes()
}

/// The smallest and the largest number of ids behind one. Ids have 63 bits, and none is 0, so there
/// is always room for them.
fn behind(after: Option<JobId>, order: Order) -> (u64, u64) {
    let after = after.map(JobId::get);
    match order {
        Order::Oldest => (after.map_or(0, |id| id + 1), u64::MAX),
        Order::Newest => (0, after.map_or(u64::MAX, |id| id - 1)),
    }
}

/// Times begin at 0, so the order of the unsigned number is theirs.
fn millis(time: Timestamp) -> u64 {
    time.millis().cast_unsigned()
}

fn u64_at(key: &[u8], at: usize) -> Option<u64> {
    let bytes = key.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

fn id_at(key: &[u8], at: usize) -> Option<JobId> {
    u64_at(key, at).and_then(JobId::new)
}

fn unreadable(keyspace: &str, key: &[u8]) -> Error {
    Error::Corrupt(format!("`{keyspace}` has a row with the unreadable key {key:02x?}"))
}

pub fn follow_up(id: JobId, key: FollowUpKey) -> FollowUpRowKey {
    let (kind, number) = key.parts();
    let mut bytes = [FOLLOW_UP; 14];
    bytes[..8].copy_from_slice(&origin(id));
    bytes[9] = kind;
    bytes[10..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The last key that a follow-up of a job may have.
pub fn last_follow_up(id: JobId) -> FollowUpRowKey {
    let mut bytes = [u8::MAX; 14];
    bytes[..9].copy_from_slice(&follow_up(id, FollowUpKey::Watch)[..9]);
    bytes
}

/// Whether a row of a job's history is a follow-up.
pub fn is_follow_up(key: &[u8]) -> bool {
    key.get(8) == Some(&FOLLOW_UP)
}

/// The follow-up of a row.
pub fn follow_up_key(key: &[u8]) -> Result<FollowUpKey> {
    follow_up_at(key, 9).ok_or_else(|| unreadable("history", key))
}

pub fn entry(index: IndexId, IndexKey { time, id, key }: IndexKey) -> EntryKey {
    let (kind, number) = key.parts();
    let mut bytes = [INDEX; 23];
    bytes[1] = index.number();
    bytes[2..10].copy_from_slice(&time.millis().to_be_bytes());
    bytes[10..18].copy_from_slice(&origin(id));
    bytes[18] = kind;
    bytes[19..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The last key that an entry of an index may have.
pub fn last_entry(index: IndexId) -> EntryKey {
    let mut bytes = [u8::MAX; 23];
    bytes[..2].copy_from_slice(&[INDEX, index.number()]);
    bytes
}

/// The entry of a row of an index.
pub fn entry_key(key: &[u8]) -> Result<IndexKey> {
    let number = |at: usize| {
        let bytes = key.get(at..at + 8)?.try_into().ok()?;
        Some(u64::from_be_bytes(bytes))
    };
    let read = || {
        let time = Timestamp::from_millis(i64::try_from(number(2)?).ok()?)?;
        let id = JobId::new(number(10)?)?;
        Some(IndexKey { time, id, key: follow_up_at(key, 18)? })
    };
    read().ok_or_else(|| unreadable("index", key))
}

fn follow_up_at(key: &[u8], at: usize) -> Option<FollowUpKey> {
    let number = key.get(at + 1..at + 5)?.try_into().ok()?;
    FollowUpKey::of(*key.get(at)?, u32::from_be_bytes(number))
}

#[cfg(test)]
mod tests;
