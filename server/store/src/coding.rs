//! Values of the rows of the durable backends: a byte that tells the format, then postcard.
//!
//! The format of a row can change without a new format of the whole store: another byte, another
//! branch in [`decode`]. What the byte 1 stands for never changes; a test pins it.

use std::borrow::Cow;

use jobtracker_model::{LogLine, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, Result};

/// The only format so far.
const POSTCARD: u8 = 1;

/// A line of a log without its number, which its key tells.
///
/// No line has a line break in it, so the attempt stands behind one: the row of a line without an
/// attempt is as it always was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineRow<'a> {
    time: Timestamp,
    text: Cow<'a, str>,
}

impl LineRow<'_> {
    pub fn numbered(self, line: u32) -> LogLine {
        let Self { time, text } = self;
        let behind = text.rsplit_once('\n');
        let behind = behind.and_then(|(text, attempt)| Some((text, attempt.parse().ok()?)));
        match behind {
            Some((text, attempt)) => {
                LogLine { line, time, attempt: Some(attempt), text: text.to_owned() }
            }
            None => LogLine { line, time, attempt: None, text: text.into_owned() },
        }
    }
}

impl<'a> From<&'a LogLine> for LineRow<'a> {
    fn from(LogLine { time, attempt, text, .. }: &'a LogLine) -> Self {
        let text = match attempt {
            Some(attempt) => Cow::Owned(format!("{text}\n{attempt}")),
            None => Cow::Borrowed(text.as_str()),
        };
        Self { time: *time, text }
    }
}

/// A line of a log as a part of a row.
pub mod numbered_line {
    use jobtracker_model::LogLine;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::LineRow;

    pub fn serialize<S: Serializer>(line: &LogLine, serializer: S) -> Result<S::Ok, S::Error> {
        (line.line, LineRow::from(line)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LogLine, D::Error> {
        let (number, row) = <(u32, LineRow<'static>)>::deserialize(from)?;
        Ok(row.numbered(number))
    }
}

/// The value of a row. `buffer` is passed in so that it can be used again.
pub fn encode<'a, T: Serialize>(row: &T, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    let mut bytes = std::mem::take(buffer);
    bytes.clear();
    bytes.push(POSTCARD);
    // Every type that is kept can be written, so this fails for none of them.
    *buffer = postcard::to_extend(row, bytes)
        .map_err(|error| Error::Unavailable(format!("a row cannot be written: {error}")))?;
    Ok(buffer)
}

/// The row that a value stands for; `what` goes into the error text.
pub fn decode<T: DeserializeOwned>(what: &str, value: &[u8]) -> Result<T> {
    let row = payload(what, value)?;
    match postcard::take_from_bytes(row) {
        Ok((row, [])) => Ok(row),
        Ok(_) => Err(Error::Corrupt(format!("a row ({what}) is longer than it should be"))),
        Err(error) => Err(Error::Corrupt(format!("a row ({what}) cannot be read: {error}"))),
    }
}

/// The value of a text that is a row of its own.
pub fn encode_text<'a>(text: &str, buffer: &'a mut Vec<u8>) -> &'a [u8] {
    buffer.clear();
    buffer.push(POSTCARD);
    buffer.extend_from_slice(text.as_bytes());
    buffer
}

/// The text of such a value.
pub fn decode_text(what: &str, value: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(payload(what, value)?);
    text.map(str::to_owned)
        .map_err(|error| Error::Corrupt(format!("a text ({what}) cannot be read: {error}")))
}

/// The size of the text of such a value.
pub fn text_len(what: &str, value: &[u8]) -> Result<usize> {
    Ok(payload(what, value)?.len())
}

fn payload<'a>(what: &str, value: &'a [u8]) -> Result<&'a [u8]> {
    match value {
        [POSTCARD, row @ ..] => Ok(row),
        [] => Err(Error::Corrupt(format!("a row ({what}) is empty"))),
        [format, ..] => {
            Err(Error::Corrupt(format!("a row ({what}) has the unknown format {format}")))
        }
    }
}

#[cfg(test)]
pub mod tests {
    use std::{fmt::Debug, sync::Arc};

    use jobtracker_model::{
        Action, Attempt, Change, Channel, CheckKind, Children, Definition, EmailAction, Event,
        Fingerprint, Host, HttpAction, JobId, KeptFailure, Mark, NewCheck, NewTask, PathStep,
        Payload, Progress, Report, State, StateSet, Subtree, Target, TaskReportState, Trigger, Way,
        rollup::{FirstFault, Flags, Status},
        upload::{BlockedChange, Refusal, TreeResult, UploadOutcome},
    };

    use super::*;
    use crate::{
        Assignment, CancelReason, Cause, CheckProgress, CheckRow, DeliveryRow, FollowUp,
        FollowUpKey, Origin, RepeatRow, Reported, Row, Summary, TaskLease, TaskPhase, TaskRow,
        Tombstone, TreeResultRow, UploadRow, Watch, Watched,
    };

    fn time(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    /// Rows on disks must stay readable for ever: these bytes may not change.
    pub fn pinned<T: Serialize + DeserializeOwned + PartialEq + Debug>(row: &T, hex: &str) {
        let value = encode(row, &mut Vec::new()).unwrap().to_vec();
        let found: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, hex);
        assert_eq!(&decode::<T>("test", &value).unwrap(), row);
        assert!(decode::<T>("test", &value[..value.len() - 1]).is_err());
        assert!(decode::<T>("test", &[&*value, &[0]].concat()).is_err());
        assert!(decode::<T>("test", &[&[2], &value[1..]].concat()).is_err());
    }

    #[test]
    fn rows_are_pinned() {
        let id = JobId::new(300).unwrap();
        let mark = Some(Mark { time: time(7), source: id });
        let status = Status {
            state: State::Faulted,
            last: State::RanToCompletion,
            flags: Flags { ever_faulted: true, followed: false },
            create_time: time(1),
            start_time: Some(time(2)),
            end_time: None,
            children: Children { pending: 1, successful: 2, failed: 3 },
            subtree: Subtree {
                total: 21,
                waiting: 1,
                running: 2,
                waiting_for_children: 3,
                successful: 4,
                failed: 11,
            },
            tree_start: mark,
            tree_end: None,
            changes: 5,
            log_lines: 6,
            attachments: 7,
            first_fault: FirstFault::Unknown,
        };
        pinned(&status, "010605010201040001020315010203040b010eac0200050607");
        let flags = Flags { followed: true, ..status.flags };
        let followed = Status { flags, ..status };
        pinned(&followed, "010605030201040001020315010203040b010eac0200050607");
        let none = Status { first_fault: FirstFault::None, ..followed };
        pinned(&none, "0106050b0201040001020315010203040b010eac0200050607");
        // Fields that were added later stand behind.
        let first_fault = FirstFault::At(Report { time: time(8), job: id, change: 3 });
        let caused = Status { first_fault, ..followed };
        pinned(&caused, "010605070201040001020315010203040b010eac020005060710ac0203");
        let definition = Definition {
            name: "n".into(),
            created_by: "c".into(),
            tags: vec!["t".into()],
            options: Some("o".into()),
            source_link: None,
            keep_days: None,
        };
        pinned(&definition, "01016e016301017401016f00");
        let fingerprint: Fingerprint = definition.fingerprint(None);
        pinned(
            &Origin { parent: Some(id), root: id, depth: 9, fingerprint },
            "0101ac02ac020986ceae90c4f38c87d2e6efd1f2a78a94cbf803",
        );
        let change = Change {
            state: State::Warning,
            time: time(3),
            message: Some("m".into()),
            reason_code: None,
            change_id: Some("i".into()),
            by: None,
        };
        pinned(&change, "01030601016d00010169");
        let by_hand = Change { by: Some("a".into()), ..change };
        pinned(&by_hand, "01430601016d000101690161");
        pinned(&RepeatRow { first: 1, count: 2, fingerprint: 300 }, "010102ac02");
        pinned(&State::ALL.to_vec(), "010700010203040506");
    }

    /// The attempt was added later: without it a line is written as it was before.
    #[test]
    fn lines_are_pinned() {
        let line = LogLine { line: 7, time: time(3), attempt: None, text: "l".into() };
        pinned(&LineRow::from(&line), "0106016c");
        let said = LogLine { attempt: Some(12), ..line.clone() };
        pinned(&LineRow::from(&said), "0106046c0a3132");
        for line in [line, said] {
            assert_eq!(LineRow::from(&line).numbered(7), line);
            let row = Row::LogLine { id: JobId::MIN, line };
            let value = encode(&row, &mut Vec::new()).unwrap().to_vec();
            assert_eq!(decode::<Row>("test", &value).unwrap(), row);
        }
    }

    /// The days were added later: without them a definition is written as it was before.
    #[test]
    fn the_end_of_a_definition_is_pinned() {
        let ending = |link: Option<&str>, keep_days| Definition {
            name: "n".into(),
            source_link: link.map(str::to_owned),
            keep_days,
            ..Definition::default()
        };
        pinned(&ending(None, None), "01016e00000000");
        pinned(&ending(Some("l"), None), "01016e00000001016c");
        pinned(&ending(None, Some(300)), "01016e00000002ac02");
        pinned(&ending(Some("l"), Some(300)), "01016e00000003016cac02");
    }

    /// A summary, and then its failures, were added later: without them a tombstone is written as
    /// it was before.
    #[test]
    fn tombstones_are_pinned() {
        let (id, time) = (JobId::new(300).unwrap(), Timestamp::from_millis(5).unwrap());
        let mut tombstone = Tombstone { time, by: "n".into(), jobs: 7, until: time, summary: None };
        pinned(&tombstone, "010a016e070a");
        let (status, _) = Status::created(id, time);
        let definition = Definition { name: "n".into(), ..Definition::default() };
        let mut summary = Summary { definition, status: status.clone(), failures: Vec::new() };
        tombstone.summary = Some(Arc::new(summary.clone()));
        let mut bytes = Vec::new();
        let status: String =
            encode(&status, &mut bytes).unwrap()[1..].iter().map(|b| format!("{b:02x}")).collect();
        pinned(&tombstone, &format!("010a016e000a07016e00000000{status}"));
        summary.failures.push(KeptFailure {
            id: JobId::new(7).unwrap(),
            name: "f".into(),
            path: vec![PathStep { id, name: "p".into() }],
            time,
            message: Some("m".into()),
            reason_code: None,
        });
        tombstone.summary = Some(Arc::new(summary));
        let failures = "0107016601ac0201700a01016d00";
        pinned(&tombstone, &format!("010a016e000a0007016e00000000{status}{failures}"));
    }

    #[test]
    fn rows_about_commits_are_pinned() {
        let id = |number| JobId::new(number).unwrap();
        let blocked = BlockedChange { position: 300, job: id(8), state: State::Faulted };
        let refusal = Refusal { position: 4, code: "c".into(), detail: "d".into() };
        let tree_result = TreeResult {
            root: id(300),
            jobs: 1,
            changes: 2,
            repeated: 3,
            blocked: 1,
            blocked_changes: vec![blocked],
            refusal: Some(refusal),
        };
        let row = TreeResultRow { tree_result: tree_result.clone(), checksum: 300, time: time(3) };
        pinned(&row, "01ac020102030101ac020806010401630164ac0206");
        let mut outcome = UploadOutcome::new("a".parse().unwrap());
        outcome.add(&tree_result);
        outcome.complete = true;
        let row = UploadRow { outcome, time: time(3) };
        pinned(&row, "0101610101000100000101ac020102030101ac02080601040163016406");
    }

    #[test]
    fn what_is_watched_is_pinned() {
        let watch = Watch {
            actions: vec![Watched::from(&Action::new([State::Faulted], EmailAction::to("a@b")))],
            checks: 2,
            silences: 1,
            deliveries: 300,
            active: Some(time(3)),
            lost: 0,
            task: false,
        };
        pinned(&FollowUp::Watch(watch.clone()), "0100010400010201ac020106");
        let lossy = Watch { lost: 300, ..watch };
        let tasked = Watch { task: true, ..lossy.clone() };
        pinned(&FollowUp::Watch(lossy), "0106010400010201ac020106ac02");
        pinned(&FollowUp::Watch(tasked), "0109010400010201ac020106ac02");
        pinned(&FollowUpKey::Delivery(300), "0103ac02");
        pinned(&FollowUpKey::Task, "0104");
    }

    #[test]
    fn tasks_are_pinned() {
        let phases = [
            TaskPhase::Waiting(time(300)),
            TaskPhase::Leased(TaskLease {
                worker: "w".into(),
                since: time(3),
                until: time(300),
                cancel: Some((time(4), CancelReason::Replaced)),
            }),
            TaskPhase::Paused(time(5)),
            TaskPhase::Ended(time(6)),
        ];
        let expected = ["0100d804", "0101017706d804010801", "01020a", "01030c"];
        for (phase, expected) in phases.into_iter().zip(expected) {
            pinned(&phase, expected);
        }
        let row = TaskRow {
            epoch: 2,
            attempt: 1,
            progress: 50,
            data: Some(Payload::parse("1").unwrap()),
            next_at: Some(time(3)),
            reported: Some(Reported { epoch: 1, state: TaskReportState::Failed }),
            ..TaskRow::new(Arc::new(NewTask::new("a/b")), time(300))
        };
        pinned(
            &FollowUp::Task(Box::new(row.clone())),
            "0108117b2268616e646c6572223a22612f62227d00d80402013201013100010601\
             0102",
        );
        let assigned = Assignment { worker: "v".into(), until: time(4) };
        let more = TaskRow {
            reported_by: Some("w".into()),
            assigned: Some(assigned),
            ..TaskRow::new(Arc::clone(&row.task), time(300))
        };
        pinned(
            &FollowUp::Task(Box::new(more)),
            "010a117b2268616e646c6572223a22612f62227d00d8040000000000000001017701017608",
        );
    }

    #[test]
    fn actions_are_pinned() {
        let http = HttpAction::new("https://a.example")
            .header("n", "v")
            .payload(Payload::parse(r#"{"a":[1]}"#).unwrap())
            .secret("whsec_s");
        let target = Target::from(http).and_email(EmailAction::to("a@b").subject("s"));
        let action = Action::new([State::Faulted, State::Running], target);
        pinned(
            &FollowUp::Action(Arc::new(action)),
            "010114011168747470733a2f2f612e6578616d706c6501016e017601097b2261223a5b\
             315d7d00010777687365635f7301010361406200010173",
        );
    }

    fn check(kind: CheckKind, progress: CheckProgress) -> FollowUp {
        let told = EmailAction::to("a@b");
        let check = Arc::new(NewCheck::new(kind).on_failure(told));
        FollowUp::Check(CheckRow { check, created: time(3), progress, told: 300, last_told: None })
    }

    #[test]
    fn checks_of_states_are_pinned() {
        let states = StateSet::from_iter([State::RanToCompletion]);
        let kind = CheckKind::State { at: time(300), states };
        pinned(
            &check(kind, CheckProgress::Waiting(time(300))),
            "01020001d8040108000000010001010361406200000600d804ac02",
        );
    }

    #[test]
    fn checks_of_subtrees_are_pinned() {
        let kind = CheckKind::Subtree { at: time(300), expression: "x".into() };
        let (time, passed, state) = (time(4), true, State::Running);
        pinned(
            &check(kind, CheckProgress::Done { time, passed, state }),
            "01020101d804000101780000010001010361406200000601080102ac02",
        );
    }

    #[test]
    fn checks_of_silence_are_pinned() {
        let kind = CheckKind::Silence { quiet_ms: 300 };
        pinned(
            &check(kind, CheckProgress::Cancelled(time(4))),
            "01020200000001ac020001000101036140620000060208ac02",
        );
        let kind = CheckKind::Silence { quiet_ms: 300 };
        let waiting = check(kind, CheckProgress::Waiting(time(300)));
        let FollowUp::Check(row) = waiting else { panic!("it is a check") };
        pinned(
            &FollowUp::Check(CheckRow { last_told: Some(time(5)), ..row }),
            "01070200000001ac0200010001010361406200000600d804ac020a",
        );
    }

    fn delivery(trigger: Trigger, channel: Channel, progress: Progress) -> FollowUp {
        let event = Event {
            time: time(3),
            state: State::Faulted,
            message: Some("m".into()),
            root: JobId::new(1).unwrap(),
            source: JobId::new(300).unwrap(),
            children: Children { pending: 1, successful: 2, failed: 3 },
            subtree: Subtree { total: 7, ..Subtree::default() },
            quiet_since: Some(time(2)),
        };
        let last = Attempt { time: time(4), status: Some(500), response: "r".into() };
        let row =
            DeliveryRow::new(trigger, Way { channel, host: Host::EMAIL, recipient: 7 }, event);
        FollowUp::Delivery(DeliveryRow {
            progress,
            attempts: 5,
            earlier: 6,
            last: Some(last),
            ..row
        })
    }

    #[test]
    fn deliveries_are_pinned() {
        let rows = [
            delivery(Trigger::Action(1), Channel::Http, Progress::Waiting(time(300))),
            delivery(Trigger::CheckPassed(2), Channel::Email, Progress::Delivered(time(7))),
            delivery(Trigger::CheckFailed(3), Channel::Http, Progress::Failed(time(7))),
            delivery(Trigger::Action(300), Channel::Http, Progress::Cancelled(time(7))),
        ];
        let caused = |cause| match rows[0].clone() {
            FollowUp::Delivery(row) => FollowUp::Delivery(DeliveryRow { cause, ..row }),
            other => other,
        };
        let row = "0001000007060601016d01ac02010203070000000000010400d8040506010801f4030172";
        let job = JobId::new(300).unwrap();
        let report = Report { time: time(8), job, change: 3 };
        pinned(&caused(Cause::At(report)), &format!("0104{row}10ac0203"));
        pinned(&caused(Cause::Below), &format!("0105{row}"));
        pinned(
            &rows.to_vec(),
            "0104030001000007060601016d01ac02010203070000000000010400d8040506010801f40301\
             72030102010007060601016d01ac020102030700000000000104010e0506010801f403017203\
             0203000007060601016d01ac020102030700000000000104020e0506010801f40301720300ac\
             02000007060601016d01ac020102030700000000000104030e0506010801f4030172",
        );
    }
}
