use jobtracker_model::{Timestamp, commit::CommitId};

use super::rows::Rows;
use crate::{CommitRow, VerdictRow};

impl Rows {
    /// Puts a verdict in the place of any that there was.
    pub(super) fn put_verdict(&mut self, commit: CommitId, row: VerdictRow) {
        self.sendings.insert((row.time, commit.clone()));
        self.verdicts.insert((commit, row.verdict.root), row);
    }

    /// Puts the verdicts on trees that were not applied, then the conclusion.
    pub(super) fn conclude(&mut self, row: CommitRow, refused: Vec<VerdictRow>) {
        let commit = row.outcome.id.clone();
        for verdict in refused {
            let place = (commit.clone(), verdict.verdict.root);
            let before = self.verdicts.get(&place);
            if !before.is_some_and(|before| before.verdict.is_applied()) {
                self.put_verdict(commit.clone(), verdict);
            }
        }
        self.sendings.insert((row.time, commit.clone()));
        self.commits.insert(commit, row);
    }

    /// Forgets the oldest sendings of before a time. One that was followed by another of the same
    /// commit takes its own rows with it and no newer ones.
    pub(super) fn forget(&mut self, before: Timestamp, limit: usize) -> usize {
        let due = self.sendings.iter().take_while(|(time, _)| *time < before).take(limit);
        let due: Vec<_> = due.cloned().collect();
        for sending in &due {
            let (time, commit) = sending;
            self.verdicts.retain(|(of, _), row| of != commit || row.time > *time);
            if self.commits.get(commit).is_some_and(|row| row.time <= *time) {
                self.commits.remove(commit);
            }
            self.sendings.remove(sending);
        }
        due.len()
    }
}
