//! Keys of follow-ups and of their lists by time.

use jobtracker_model::{JobId, Timestamp};

use super::keys::{self, FOLLOW_UP};
use crate::{Error, FollowUpKey, IndexId, IndexKey, Result};

const INDEX: u8 = 8;

/// Job, tag, kind and number.
pub type RowKey = [u8; 14];
/// Tag, list, time, job, kind and number.
pub type PlaceKey = [u8; 23];

pub fn row(id: JobId, key: FollowUpKey) -> RowKey {
    let (kind, number) = key.parts();
    let mut bytes = [FOLLOW_UP; 14];
    bytes[..8].copy_from_slice(&keys::origin(id));
    bytes[9] = kind;
    bytes[10..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The last key that a follow-up of a job may have.
pub fn last_row(id: JobId) -> RowKey {
    let mut bytes = [u8::MAX; 14];
    bytes[..9].copy_from_slice(&row(id, FollowUpKey::Watch)[..9]);
    bytes
}

/// The follow-up of a row.
pub fn row_key(key: &[u8]) -> Result<FollowUpKey> {
    follow_up_at(key, 9).ok_or_else(|| unreadable("history", key))
}

pub fn place(index: IndexId, IndexKey { time, id, key }: IndexKey) -> PlaceKey {
    let (kind, number) = key.parts();
    let mut bytes = [INDEX; 23];
    bytes[1] = list(index);
    bytes[2..10].copy_from_slice(&time.millis().to_be_bytes());
    bytes[10..18].copy_from_slice(&keys::origin(id));
    bytes[18] = kind;
    bytes[19..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The last key that an entry of a list may have.
pub fn last_place(index: IndexId) -> PlaceKey {
    let mut bytes = [u8::MAX; 23];
    bytes[..2].copy_from_slice(&[INDEX, list(index)]);
    bytes
}

/// The entry of a row of a list.
pub fn place_key(key: &[u8]) -> Result<IndexKey> {
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

fn list(index: IndexId) -> u8 {
    match index {
        IndexId::Due => 0,
        IndexId::Failed => 1,
    }
}

fn unreadable(keyspace: &str, key: &[u8]) -> Error {
    Error::Corrupt(format!("`{keyspace}` has a row with the unreadable key {key:02x?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> JobId {
        JobId::new(number).unwrap()
    }

    #[test]
    fn the_order_of_keys_is_that_of_follow_ups() {
        let follow_ups = [
            FollowUpKey::Watch,
            FollowUpKey::Action(0),
            FollowUpKey::Action(256),
            FollowUpKey::Check(1),
            FollowUpKey::Delivery(0),
            FollowUpKey::Delivery(u32::MAX),
        ];
        let keys = follow_ups.map(|key| row(id(7), key));
        assert!(keys.is_sorted() && keys[5] <= last_row(id(7)));
        assert!(last_row(id(7)) < row(id(8), FollowUpKey::Watch));
        for (key, follow_up) in keys.iter().zip(follow_ups) {
            assert_eq!(row_key(key).unwrap(), follow_up);
            assert!(row_key(&key[..13]).is_err());
        }
    }

    #[test]
    fn the_order_of_places_is_that_of_time() {
        let at = |millis, number, key| {
            let time = Timestamp::from_millis(millis).unwrap();
            IndexKey { time, id: id(number), key }
        };
        let places = [
            at(0, 9, FollowUpKey::Delivery(1)),
            at(255, 1, FollowUpKey::Check(300)),
            at(256, 1, FollowUpKey::Check(0)),
            at(256, 2, FollowUpKey::Check(0)),
        ];
        let keys = places.map(|key| place(IndexId::Due, key));
        assert!(keys.is_sorted() && keys[3] <= last_place(IndexId::Due));
        assert!(last_place(IndexId::Due) < place(IndexId::Failed, places[0]));
        for (key, place) in keys.iter().zip(places) {
            assert_eq!(place_key(key).unwrap(), place);
            assert!(place_key(&key[..22]).is_err());
        }
    }
}
