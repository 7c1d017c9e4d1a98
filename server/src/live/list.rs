use std::collections::HashMap;

use jobtracker_model::{WorkerView, live::ListState, schedule::Schedule};

/// A row of a list that is watched.
pub(super) trait Row: Clone + PartialEq {
    /// What names it in the list.
    fn key(&self) -> &str;
}

impl Row for WorkerView {
    fn key(&self) -> &str {
        &self.id
    }
}

impl Row for Schedule {
    fn key(&self) -> &str {
        &self.name
    }
}

/// All of a list.
pub(super) fn whole<R: Row>(version: u64, rows: &[R], more: bool) -> ListState<R> {
    ListState { version, from: None, keys: Some(keys(rows)), rows: rows.to_vec(), more }
}

/// What differs in a list from what it was at the version `from`.
pub(super) fn change<R: Row>(
    version: u64,
    from: u64,
    before: &[R],
    (rows, more): (&[R], bool),
) -> ListState<R> {
    let known: HashMap<&str, &R> = before.iter().map(|row| (row.key(), row)).collect();
    let differs = rows.iter().filter(|row| known.get(row.key()) != Some(row));
    let is_same = before.iter().map(Row::key).eq(rows.iter().map(Row::key));
    let keys = (!is_same).then(|| keys(rows));
    ListState { version, from: Some(from), keys, rows: differs.cloned().collect(), more }
}

fn keys<R: Row>(rows: &[R]) -> Vec<String> {
    rows.iter().map(|row| row.key().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Named(&'static str, u32);

    impl Row for Named {
        fn key(&self) -> &str {
            self.0
        }
    }

    #[test]
    fn a_change_has_what_differs() {
        let before = [Named("a", 1), Named("b", 1)];
        let told = change(8, 7, &before, (&[Named("a", 1), Named("b", 2)], false));
        assert_eq!((told.from, told.keys, told.rows), (Some(7), None, vec![Named("b", 2)]));
        let told = change(8, 7, &before, (&[Named("b", 1), Named("c", 1)], true));
        assert_eq!(told.keys.unwrap(), ["b", "c"]);
        assert_eq!((told.rows, told.more), (vec![Named("c", 1)], true));
    }
}
