//! Follow-ups in the forest, and the lists by time that they make.

use std::{collections::BTreeMap, sync::Arc};

use jobtracker_model::{
    Action, Channel, CheckKind, Event, Host, HttpAction, JobId, NewCheck, NewTask, Progress, State,
    StateSet, Timestamp, Trigger, Way,
};

use super::forest::Forest;
use jobtracker_store::{
    CheckProgress, CheckRow, DeliveryRow, FollowUp, FollowUpKey, IndexId, IndexKey, TaskLease,
    TaskPhase, TaskRow, Watch, Watched,
};

/// A time of some day in 2023.
pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis).expect("the suite's own times are times")
}

impl Forest {
    /// Gives a job an action.
    pub fn action(&mut self, id: JobId, number: u32) {
        let told = HttpAction::new(format!("https://jobs.example/{id}/{number}"));
        let action = Action::new([State::Faulted, State::RanToCompletion], told);
        self.follow(id, FollowUpKey::Action(number), FollowUp::Action(Arc::new(action)));
    }

    /// Lets a check of a job wait for a time.
    pub fn check(&mut self, id: JobId, number: u32, at: Timestamp) {
        self.put_check(id, number, CheckProgress::Waiting(at));
    }

    /// Has a check of a job made.
    pub fn check_made(&mut self, id: JobId, number: u32, time: Timestamp) {
        let state = self.job(id).status.state;
        self.put_check(id, number, CheckProgress::Done { time, passed: number == 0, state });
    }

    fn put_check(&mut self, id: JobId, number: u32, progress: CheckProgress) {
        let (created, states) = (self.tick(), StateSet::FINISHED);
        let told = HttpAction::new(format!("https://jobs.example/late/{number}"));
        let check = NewCheck::new(CheckKind::State { at: created, states }).on_failure(told);
        let last_told = (number % 2 == 1).then_some(created);
        let row = CheckRow { check: Arc::new(check), created, progress, told: number, last_told };
        self.follow(id, FollowUpKey::Check(number), FollowUp::Check(row));
    }

    /// Gives a job a delivery, or changes its progress. It is another row each time.
    pub fn deliver(&mut self, id: JobId, number: u32, progress: Progress) {
        let key = FollowUpKey::Delivery(number);
        let attempts = match self.job(id).follow_ups.get(&key) {
            Some(FollowUp::Delivery(row)) => row.attempts + 1,
            _ => 0,
        };
        let event = Event {
            time: self.tick(),
            state: self.job(id).status.state,
            message: Some(format!("said by {id}")),
            root: id,
            source: id,
            children: self.job(id).status.children,
            subtree: self.job(id).status.subtree,
            quiet_since: None,
        };
        let way = Way { channel: Channel::Email, host: Host::EMAIL, recipient: number };
        let row = DeliveryRow::new(Trigger::Action(number), way, event);
        let row = DeliveryRow { progress, attempts, ..row };
        self.follow(id, key, FollowUp::Delivery(row));
    }

    /// Gives a job a task, or moves it. It is another row each time.
    pub fn task(&mut self, id: JobId, phase: TaskPhase) {
        let epoch = match self.job(id).follow_ups.get(&FollowUpKey::Task) {
            Some(FollowUp::Task(row)) => row.epoch + 1,
            _ => 0,
        };
        let task = Arc::new(NewTask::new(format!("suite/{id}")));
        let row = TaskRow { phase, epoch, ..TaskRow::new(task, self.tick()) };
        self.follow(id, FollowUpKey::Task, FollowUp::Task(Box::new(row)));
    }

    /// Puts a follow-up, and what is watched because of it.
    fn follow(&mut self, id: JobId, key: FollowUpKey, row: FollowUp) {
        let job = self.job_mut(id);
        job.follow_ups.insert(key, row);
        let watch = FollowUp::Watch(watch(&job.follow_ups));
        let before = job.follow_ups.insert(FollowUpKey::Watch, watch.clone());
        let is_new = !std::mem::replace(&mut job.status.flags.followed, true);
        let draft = self.draft(id);
        draft.followed(id, key);
        // A follow-up that changes may be the only row of a commit.
        if before != Some(watch) {
            draft.followed(id, FollowUpKey::Watch);
        }
        if is_new {
            draft.touched(id);
        }
    }

    /// Follow-ups of a job, from one on to the last of its kind.
    pub(super) fn follow_ups(&self, id: JobId, from: FollowUpKey) -> Vec<(FollowUpKey, FollowUp)> {
        let rows = self.job(id).follow_ups.range(from..);
        let same = rows.take_while(|(key, _)| key.parts().0 == from.parts().0);
        same.map(|(key, row)| (*key, row.clone())).collect()
    }

    /// The entries of a list by time between these times, both included.
    pub(super) fn index(
        &self,
        index: IndexId,
        (from, until): (Timestamp, Timestamp),
    ) -> Vec<(IndexKey, FollowUp)> {
        let mut all = BTreeMap::new();
        for (id, job) in &self.jobs {
            for (key, row) in &job.follow_ups {
                let place = row
                    .entry()
                    .filter(|(list, time)| *list == index && (from..=until).contains(time));
                if let Some((_, time)) = place {
                    all.insert(IndexKey { time, id: *id, key: *key }, row.clone());
                }
            }
        }
        all.into_iter().collect()
    }
}

/// A lease that ends at that time.
pub(super) fn leased(until: Timestamp) -> TaskPhase {
    let worker = "a worker of the suite".to_owned();
    TaskPhase::Leased(TaskLease { worker, since: until, until, cancel: None })
}

/// What has to be known of the other follow-ups.
fn watch(rows: &BTreeMap<FollowUpKey, FollowUp>) -> Watch {
    let mut watch = Watch::default();
    for (key, row) in rows {
        match row {
            FollowUp::Action(action) => {
                // Each number has its slot, though some have no action.
                let watched = Watched::from(&**action);
                watch.actions.resize(key.parts().1 as usize + 1, watched);
            }
            FollowUp::Check(_) => watch.checks = key.parts().1 + 1,
            FollowUp::Delivery(_) => watch.deliveries = key.parts().1 + 1,
            FollowUp::Task(_) => watch.task = true,
            FollowUp::Watch(_) => {}
        }
    }
    watch
}
