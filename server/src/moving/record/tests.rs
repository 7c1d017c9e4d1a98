use jobtracker_model::{
    Children, Mark, Report, State, Subtree,
    rollup::{FirstFault, Flags},
};

use super::*;

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

/// Users keep files and read them with other programs: version 1 of a line may not change.
#[track_caller]
fn pinned(record: &Record, line: &str) {
    let mut written = Vec::new();
    record.write(&mut written);
    assert_eq!(String::from_utf8(written).unwrap(), format!("{line}\n"));
    assert_eq!(&serde_json::from_str::<Record>(line).unwrap(), record);
}

fn definition() -> Definition {
    Definition {
        name: "n \"ä\"".into(),
        created_by: "c".into(),
        tags: vec!["t".into()],
        options: Some("o".into()),
        source_link: None,
        keep_days: None,
    }
}

fn status() -> Status {
    Status {
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
        tree_start: Some(Mark { time: time(7), source: id(300) }),
        tree_end: None,
        changes: 5,
        log_lines: 6,
        attachments: 7,
        first_fault: FirstFault::Unknown,
    }
}

fn change() -> Change {
    Change {
        state: State::Warning,
        time: time(3),
        message: Some("m".into()),
        reason_code: None,
        change_id: Some("i".into()),
        by: None,
    }
}

#[test]
fn lines_of_a_file_are_pinned() {
    let counts = ExportCounts {
        jobs: 1,
        changes: 2,
        log_lines: 3,
        attachments: 4,
        repeats: 5,
        follow_ups: 0,
    };
    let header = |selection| {
        Record::Header(Header {
            format: FORMAT.into(),
            version: 1,
            program: "0.1.0".into(),
            time: time(9),
            store: "fjall".into(),
            id_mark: id(77),
            selection,
        })
    };
    let head = r#"{"header":{"format":"jobtracker-export","version":1,"program":"0.1.0","#;
    let rest = r#""time":"1970-01-01T00:00:00.009Z","store":"fjall","idMark":77,"selection":"#;
    let created = r#"{"created":{"from":null,"until":"1970-01-01T00:00:00.005Z"}}}}"#;
    let until = Selection::Created { from: None, until: Some(time(5)) };
    pinned(&header(until), &format!("{head}{rest}{created}"));
    let roots = Selection::Roots(vec![id(1), id(7)]);
    pinned(&header(roots), &format!("{head}{rest}{}", r#"{"roots":[1,7]}}}"#));
    pinned(
        &Record::Tree(TreeRecord { root: id(7), create_time: time(1), jobs: 22 }),
        r#"{"tree":{"root":7,"createTime":"1970-01-01T00:00:00.001Z","jobs":22}}"#,
    );
    pinned(
        &Record::TreeEnd(TreeEnd { root: id(7), counts, checksum: u64::MAX }),
        concat!(
            r#"{"treeEnd":{"root":7,"jobs":1,"changes":2,"logLines":3,"attachments":4,"#,
            r#""repeats":5,"checksum":"ffffffffffffffff"}}"#
        ),
    );
    pinned(
        &Record::End(End { trees: 9, counts, id_mark: JobId::MAX, documents: None }),
        concat!(
            r#"{"end":{"trees":9,"jobs":1,"changes":2,"logLines":3,"attachments":4,"#,
            r#""repeats":5,"idMark":9223372036854775807}}"#
        ),
    );
    let documents = Some(DocumentsEnd { count: 2, checksum: 15 });
    pinned(
        &Record::End(End { trees: 9, counts, id_mark: JobId::MAX, documents }),
        concat!(
            r#"{"end":{"trees":9,"jobs":1,"changes":2,"logLines":3,"attachments":4,"#,
            r#""repeats":5,"idMark":9223372036854775807,"#,
            r#""documents":{"count":2,"checksum":"000000000000000f"}}}"#
        ),
    );
    let key = DocumentKey::new("k").unwrap();
    let (kind, bytes) = (DocumentKind::RetentionRule, vec![0, 255]);
    pinned(
        &Record::Document(DocumentRecord { kind, key, version: 1 << 124, bytes }),
        concat!(
            r#"{"document":{"kind":"retentionRule","key":"k","#,
            r#""version":"10000000000000000000000000000000","bytes":"AP8="}}"#
        ),
    );
}

#[test]
fn lines_of_a_tree_are_pinned_and_are_rows() {
    let definition = definition();
    let fingerprint = definition.fingerprint(None);
    let origin = Origin { parent: Some(id(3)), root: id(1), depth: 2, fingerprint };
    let line = LogLine { line: 0, time: time(3), attempt: None, text: "l".into() };
    let said = LogLine { attempt: Some(2), ..line.clone() };
    let (id, row) = (id(300), RepeatRow { first: 1, count: 2, fingerprint: 300 });
    let lines = [
        concat!(
            r#"{"job":{"id":300,"parent":3,"fingerprint":"bab53dc01144570a10b42bd65c2aa0e9","#,
            r#""name":"n \"ä\"","createdBy":"c","tags":["t"],"options":"o","sourceLink":null}}"#
        ),
        concat!(
            r#"{"status":{"id":300,"state":"Faulted","last":"RanToCompletion","everFaulted":true,"#,
            r#""createTime":"1970-01-01T00:00:00.001Z","startTime":"1970-01-01T00:00:00.002Z","#,
            r#""endTime":null,"children":{"pending":1,"successful":2,"failed":3},"#,
            r#""subtree":{"total":21,"waiting":1,"running":2,"waitingForChildren":3,"#,
            r#""successful":4,"failed":11},"#,
            r#""treeStart":{"time":"1970-01-01T00:00:00.007Z","source":300},"treeEnd":null,"#,
            r#""changes":5,"logLines":6,"attachments":7}}"#
        ),
        concat!(
            r#"{"change":{"id":300,"number":1,"state":"Warning","#,
            r#""time":"1970-01-01T00:00:00.003Z","#,
            r#""message":"m","reasonCode":null,"changeId":"i"}}"#
        ),
        r#"{"logLine":{"id":300,"line":0,"time":"1970-01-01T00:00:00.003Z","text":"l"}}"#,
        // Since version 8.
        concat!(
            r#"{"logLine":{"id":300,"line":0,"time":"1970-01-01T00:00:00.003Z","#,
            r#""attempt":2,"text":"l"}}"#
        ),
        r#"{"attachment":{"id":300,"key":"k","text":"t"}}"#,
        concat!(
            r#"{"repeat":{"id":300,"of":"change","name":"i","#,
            r#""first":1,"count":2,"fingerprint":"000000000000012c"}}"#
        ),
        concat!(
            r#"{"repeat":{"id":300,"of":"append","name":"i","#,
            r#""first":1,"count":2,"fingerprint":"000000000000012c"}}"#
        ),
    ];
    let rows = [
        Row::Job { id, origin, definition: Arc::new(definition) },
        Row::Status { id, parent: origin.parent, before: None, status: status() },
        Row::Change { id, number: 1, change: change() },
        Row::LogLine { id, line },
        Row::LogLine { id, line: said },
        Row::Attachment { id, key: "k".into(), text: Some("t".into()) },
        Row::Repeat { id, key: Repeat::Change("i".into()), row },
        Row::Repeat { id, key: Repeat::Append("i".into()), row },
    ];
    for (row, line) in rows.into_iter().zip(lines) {
        let record = Record::of(row.clone()).unwrap();
        assert_eq!(record.job(), Some(id));
        pinned(&record, line);
        assert_eq!(record.into_row(&origin), Some(row));
    }
    let gone = Row::Attachment { id, key: "k".into(), text: None };
    assert!(Record::of(gone).is_err());
}

/// Since version 3.
#[test]
fn a_first_fault_is_pinned() {
    let report = Report { time: time(8), job: id(300), change: 3 };
    let known = r#""firstFault":{"time":"1970-01-01T00:00:00.008Z","job":300,"change":3}}}"#;
    for (first_fault, behind) in [
        (FirstFault::At(report), Some(known)),
        (FirstFault::None, Some(r#""firstFault":null}}"#)),
        (FirstFault::Unknown, None),
    ] {
        let status = Status { first_fault, ..status() };
        let record = Record::Status(StatusRecord { id: id(300), status, followed: false });
        let mut line = Vec::new();
        record.write(&mut line);
        let line = String::from_utf8(line).unwrap();
        let there = line.find(r#""firstFault""#).map(|at| line[at..].trim_end());
        assert_eq!(there, behind);
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
    }
}
