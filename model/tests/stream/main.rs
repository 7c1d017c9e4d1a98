//! The stream of an upload: it is read as it was written, in pieces of any size, and bytes that are
//! not a stream are refused with the position.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod followed;

use std::borrow::Cow;

use followed::{checks, followed, target};
use jobtracker_model::{
    Action, Change, Definition, JobId, NewChange, State, Timestamp, limits,
    upload::{Item, Reader, Record, StreamError, Writer},
};
use proptest::prelude::*;

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn job(number: u64, parent: Option<u64>, name: &str) -> Record<'static> {
    let definition = Definition {
        name: name.to_owned(),
        created_by: "crawler".into(),
        tags: vec!["a".into(), "b".into()],
        options: Some("{}".into()),
        source_link: None,
        keep_days: None,
    };
    let (id, parent) = (id(number), parent.map(id));
    Record::Job { id, parent, order: number, time: time(5), definition: Cow::Owned(definition) }
}

/// A root that is kept for this many days.
fn kept(number: u64, days: u32) -> Record<'static> {
    let definition = Definition {
        name: "k".to_owned(),
        source_link: Some("l".to_owned()),
        keep_days: Some(days),
        ..Definition::default()
    };
    let id = id(number);
    Record::Job { id, parent: None, order: 1, time: time(5), definition: Cow::Owned(definition) }
}

fn change(order: u64, state: State) -> Record<'static> {
    let change = NewChange::new(state).message("so far so good").change_id("c");
    Record::Change { order, change: Cow::Owned(Change::recorded(change, time(7))) }
}

/// Four trees with one record of every kind.
fn records() -> Vec<Record<'static>> {
    vec![
        Record::Tree { root: id(1) },
        Record::Existing { id: id(1) },
        change(9, State::Running),
        Record::Options { options: None },
        Record::LogLine { time: time(8), text: "a line".into() },
        job(2, Some(1), "page"),
        Record::Options { options: Some("other".into()) },
        change(12, State::Faulted),
        Record::LogLine { time: time(8), text: "ä".into() },
        Record::Tree { root: id(300) },
        job(300, None, "root"),
        Record::Tree { root: id(400) },
        followed(400, vec![Action::on_finish(target())], checks()),
        change(401, State::Running),
        Record::Tree { root: id(500) },
        kept(500, 7),
    ]
}

/// The stream, and where each record begins in it.
fn written(records: &[Record<'static>]) -> (Vec<u8>, Vec<usize>) {
    let mut writer = Writer::new(true);
    let mut begins = vec![9];
    for (index, record) in records.iter().enumerate() {
        if index > 0 && matches!(record, Record::Tree { .. }) {
            begins.push(writer.len());
            writer.tree_end();
        }
        begins.push(writer.len());
        writer.write(record).unwrap();
    }
    begins.push(writer.len());
    writer.tree_end();
    begins.push(writer.len());
    writer.end();
    (writer.take(), begins)
}

/// All records that are read of a stream that comes in parts.
fn read(bytes: &[u8], part: usize) -> (Vec<Item>, Result<(), StreamError>) {
    let mut reader = Reader::default();
    let mut items = Vec::new();
    for part in bytes.chunks(part.max(1)) {
        reader.push(part);
        loop {
            match reader.next_item() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Err(error)),
            }
        }
    }
    (items, reader.finish())
}

#[test]
fn what_is_written_is_read_in_parts_of_any_size() {
    let (bytes, _) = written(&records());
    for part in [1, 2, 3, 7, 64, bytes.len()] {
        let (items, end) = read(&bytes, part);
        end.unwrap();
        let positions: Vec<_> = items.iter().map(|item| item.position).collect();
        assert_eq!(positions, (0..items.len() as u64).collect::<Vec<_>>());
        let inner = |record: &Record<'_>| {
            use Record::{End, Header, TreeEnd};
            !matches!(record, Header { .. } | TreeEnd { .. } | End { .. })
        };
        let read: Vec<_> = items.into_iter().map(|item| item.record).filter(inner).collect();
        assert_eq!(read, records());
    }
}

/// Other programs write these bytes, so they may not change.
#[test]
fn the_format_is_pinned() {
    let records =
        [Record::Tree { root: id(300) }, job(300, None, "n"), change(301, State::Faulted)];
    let (bytes, begins) = written(&records);
    let part = |index: usize| {
        let end = begins.get(index + 1).copied().unwrap_or(bytes.len());
        bytes[begins[index]..end].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(&bytes[..9], b"JOBTREES\x01");
    assert_eq!(part(0), "020001");
    assert_eq!(part(1), "0301ac02");
    assert_eq!(part(2), "1b02ac0200ac020a016e07637261776c6572020161016201027b7d00");
    assert_eq!(part(3), "1904ad02020e010e736f2066617220736f20676f6f6400010163");
    assert_eq!(part(4), "0d070101e8ced5b490d89399b001");
    assert_eq!(part(5), "020801");
}

/// The days came later: a reader of before refuses them, and takes jobs without them as always.
#[test]
fn the_days_of_a_root_are_pinned() {
    let (bytes, begins) = written(&[Record::Tree { root: id(300) }, kept(300, 300)]);
    let job = bytes[begins[2]..begins[3]].iter().map(|byte| format!("{byte:02x}"));
    assert_eq!(job.collect::<String>(), "1002ac0200010a016b00000003016cac02");
}

/// The example in the description of the format.
#[test]
fn the_example_is_a_stream() {
    let definition = Cow::Owned(Definition { name: "n".into(), ..Definition::default() });
    let job = Record::Job { id: id(300), parent: None, order: 1, time: time(5), definition };
    let change = Change::recorded(NewChange::new(State::Faulted), time(7));
    let change = Record::Change { order: 2, change: Cow::Owned(change) };
    let (bytes, begins) = written(&[Record::Tree { root: id(300) }, job, change]);
    let text = include_str!("../../src/upload/mod.rs");
    let lines = text.lines().skip_while(|line| !line.contains("4a4f")).take(5);
    let hex: String = lines
        .flat_map(|line| line.trim_start_matches("//! ").split("  ").next())
        .flat_map(str::chars)
        .filter(|letter| !letter.is_whitespace())
        .collect();
    let begin: String = bytes[..begins[4]].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, begin);
}

#[test]
fn a_stream_that_breaks_off_is_refused_wherever_it_does() {
    let (bytes, _) = written(&records());
    for length in 0..bytes.len() {
        let (items, end) = read(&bytes[..length], 16);
        let error = end.unwrap_err();
        assert_eq!(error.position, items.len() as u64, "{error}");
    }
    let (_, end) = read(&[&bytes[..], &[0]].concat(), 16);
    assert!(end.is_err());
    let (_, end) = read(&[&bytes[..], &[2, 8, 1]].concat(), 16);
    assert_eq!(end.unwrap_err().reason, "comes behind the end");
}

#[test]
fn records_that_change_places_are_refused() {
    let (bytes, begins) = written(&records());
    let mut begins = begins;
    begins.push(bytes.len());
    let part = |index: usize| &bytes[begins[index]..begins[index + 1]];
    let count = begins.len() - 1;
    for first in 0..count {
        for second in first + 1..count {
            if part(first) == part(second) {
                continue;
            }
            let mut moved = bytes[..9].to_vec();
            for index in 0..count {
                moved.extend(part(match index {
                    index if index == first => second,
                    index if index == second => first,
                    index => index,
                }));
            }
            let (_, end) = read(&moved, 64);
            assert!(end.is_err(), "{first} and {second}");
        }
    }
}

#[test]
fn what_is_not_a_stream_is_refused() {
    let (bytes, _) = written(&records());
    let wrong = |bytes: &[u8]| read(bytes, 64).1.unwrap_err();
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert!(wrong(&newer).reason.contains("version 2"));
    assert!(wrong(b"{\"jobs\": []}").reason.contains("JOBTREES"));
    assert!(wrong(&[]).reason.contains("broke off"));
    let length = |length: &[u8]| wrong(&[&bytes[..9], length].concat()).reason;
    assert!(length(&[0]).contains("length 0"));
    assert!(length(&[0xff, 0xff, 0xff, 0x7f]).contains("must have 1 to"));
    assert!(length(&[0xff, 0xff, 0xff, 0xff]).contains("without an end"));
    // A length that is one too long or too short.
    for by in [-1_i8, 1] {
        let mut other = bytes.clone();
        other[9] = other[9].wrapping_add_signed(by);
        assert_eq!(wrong(&other).position, 0);
    }
    // An unknown kind, an id of zero, a text that is not UTF-8.
    assert!(wrong(&[&bytes[..9], &[1, 99]].concat()).reason.contains("cannot be read"));
    assert!(wrong(&[&bytes[..12], &[2, 1, 0]].concat()).reason.contains("cannot be read"));
    assert!(wrong(&[&bytes[..12], &[3, 1, 1, 1]].concat()).reason.contains("shorter"));
}

#[test]
fn a_record_has_a_bound() {
    let mut writer = Writer::new(true);
    let text = |length: usize| Record::LogLine { time: time(0), text: "x".repeat(length).into() };
    assert!(writer.write(&text(limits::COMMIT_RECORD)).is_err());
    assert!(writer.write(&text(limits::COMMIT_RECORD - 5)).is_ok());
    // The longest records that keep the limits of their fields are shorter than that.
    let full = Definition {
        name: "n".repeat(limits::NAME),
        created_by: "c".repeat(limits::CREATED_BY),
        tags: (0..limits::TAGS).map(|i| format!("{i:0>64}")).collect(),
        options: Some("o".repeat(limits::OPTIONS)),
        source_link: Some("s".repeat(limits::SOURCE_LINK)),
        keep_days: Some(u32::MAX),
    };
    let (id, time) = (JobId::MAX, Timestamp::MAX);
    let definition = Cow::Owned(full);
    let job = Record::Job { id, parent: Some(id), order: u64::MAX, time, definition };
    assert!(writer.write(&job).is_ok());
}

/// A fuzz target: a damaged stream is read without a panic and in bounded memory, with the same
/// result for any cut into parts; and an altered tree is noticed.
#[test]
fn fuzz_reader() {
    let (whole, _) = written(&records());
    bolero::check!().with_type::<(Vec<(u16, u8)>, u16, Vec<u8>)>().for_each(
        |(flips, cut, tail)| {
            let mut bytes = whole.clone();
            for (at, flip) in flips {
                let at = usize::from(*at) % bytes.len();
                bytes[at] ^= flip;
            }
            bytes.truncate(bytes.len() - usize::from(*cut) % bytes.len());
            bytes.extend_from_slice(tail);
            let (items, end) = read(&bytes, bytes.len());
            assert_eq!(read(&bytes, 13), (items, end.clone()));
            assert!(end.is_err() || bytes == whole, "a spoilt stream was taken");
        },
    );
}

proptest! {
    /// No bytes make the reader panic.
    #[test]
    fn any_bytes_behind_a_good_begin(bytes: Vec<u8>) {
        let (begin, _) = written(&records());
        let (items, end) = read(&[&begin[..12], &bytes].concat(), 7);
        prop_assert!(end.is_err() || items.len() > 1);
    }
}
