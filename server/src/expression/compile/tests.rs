use std::sync::Arc;

use jobtracker_model::{Definition, JobId, State, Timestamp, rollup::Status};
use proptest::prelude::*;

use super::*;

fn job() -> JobRow {
    let id = JobId::new(7).unwrap();
    let definition = Definition {
        name: "nightly check".into(),
        created_by: "ci".into(),
        tags: vec!["linux".into(), "slow".into()],
        ..Definition::default()
    };
    let time = Timestamp::from_millis(1_795_253_400_000).unwrap();
    let (mut status, _) = Status::created(id, time);
    status.report(id, State::Running, time);
    JobRow { id, parent: None, root: id, depth: 0, definition: Arc::new(definition), status }
}

fn says(source: &str) -> bool {
    let expression =
        Expression::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    expression.matches(&job()).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn refusal(source: &str) -> String {
    match Expression::compile(source) {
        Err(error) => error.to_string(),
        Ok(expression) => expression.matches(&job()).expect_err(source).to_string(),
    }
}

#[test]
fn every_variable_can_be_asked_for() {
    for source in [
        "id == 7 && depth == 0",
        "name.startsWith('nightly') && createdBy == \"ci\"",
        "'slow' in tags && size(tags) == 2 && tags[0] == 'linux'",
        "state == 'Running' && state in ['Running', 'Warning']",
        "createTime >= timestamp('2026-11-21T09:30:00Z') && startTime == createTime",
        "createTime.getFullYear() == 2026 && createTime - duration('1h') < createTime",
        "endTime == null || endTime > createTime",
        "children.pending + children.successful + children.failed == 0",
        "subtree.total == 0 && subtree.waiting == 0 && subtree.waitingForChildren == 0",
        "has(subtree.failed) && !has(subtree.nothing)",
        "tags.exists(tag, tag.contains('low')) && tags.all(t, size(t) > 3)",
        "size(tags.filter(t, t == 'slow').map(t, t + '!')) == 1",
        "true ? name != '' : 1 / 0 == 1",
    ] {
        assert!(says(source), "{source}");
    }
    assert!(!says("subtree.failed > 0"));
    assert!(!says("name.endsWith('x') || 'windows' in tags"));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (source, words) in [
        ("", "line 1, column 1"),
        ("name ==", "line 1, column 8"),
        ("name == 'a' &&\n  & depth > 1", "line 2, column 3"),
        ("name == 'é' && owner == 'x'", "line 1, column 16: there is no variable \"owner\""),
        ("true &&\n options == 'x'", "line 2, column 2"),
        ("name.matches('(a+)+$')", "there is no function \"matches\""),
        ("type(name) == string", "there is no function \"type\""),
        ("Job{name: 'x'} == name", "no types"),
        ("name", "does not say true or false"),
        ("1 + 1", "does not say true or false"),
        ("name > 3", "fails at job 7"),
        ("endTime > name", "fails at job 7"),
        ("tags[9] == 'x'", "fails at job 7"),
        ("subtree.many > 1", "fails at job 7"),
        ("id / (depth * 1) == 1", "fails at job 7"),
        ("tags.all(a, tags.exists(b, a == b))", "inside another"),
        ("subtree.all(k, true)", "goes over tags"),
        ("a.?b", "line 1"),
    ] {
        let text = refusal(source);
        assert!(text.contains(words), "{source}: {text}");
    }
}

#[test]
fn the_cost_is_bounded() {
    assert!(refusal(&"x".repeat(limits::EXPRESSION + 1)).contains("1025 bytes"));
    assert!(refusal(&format!("{}1{} == 1", "(".repeat(40), ")".repeat(40))).contains("deeper"));
    assert!(refusal(&format!("1{} == 1", "+1".repeat(80))).contains("in a row"));
    let long = vec!["1"; 200].join(",");
    assert!(refusal(&format!("[{long}].all(x, x > 0 && x < 9)")).contains("steps"));
    assert!(Expression::compile("tags.exists(t, t.startsWith('a') || t == 'b')").is_ok());
    assert!(Expression::compile("state == 'Faulted'").unwrap().steps() < 10);
}

#[test]
fn a_time_that_is_not_there_is_not_later_than_any() {
    assert!(!says("endTime > createTime"));
    assert!(!says("endTime <= createTime"));
}

#[test]
fn nasty_texts_are_refused_and_nothing_breaks() {
    for unit in
        ["(", "[", "{", "!", "-", "a.", "a[", "f(", "?", ":", "1+(", "a?b:", "'", "\"", "\\", "`"]
    {
        let source = unit.repeat(limits::EXPRESSION / unit.len());
        assert!(Expression::compile(&source).is_err(), "{unit}");
    }
    for source in [
        "'\\ud800'",
        "b'\\xff' == b''",
        "1e999999 > 0.0",
        "99999999999999999999",
        "a\0b",
        "-9223372036854775808 == 9223372036854775807 + 1",
        "timestamp('never') > createTime",
        "duration('1000000000h') > duration('1s')",
        "createTime + duration('2540400h') < createTime",
    ] {
        let outcome = Expression::compile(source).and_then(|found| found.matches(&job()));
        assert!(!matches!(outcome, Ok(true)), "{source}: {outcome:?}");
    }
}

const WORDS: &[&str] = &[
    "name",
    "tags",
    "subtree",
    ".failed",
    "state",
    "==",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    "?",
    ":",
    "'a'",
    "1",
    "1u",
    "2.5",
    "null",
    "true",
    " in ",
    ".all(x, ",
    ".map(x, ",
    "size(",
    "timestamp(",
    "has(",
    "x",
    "\n",
    "createTime",
    "duration('1h')",
];

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![9 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => ".{1,3}"]
}

proptest! {
    #[test]
    fn any_text_is_answered(pieces in prop::collection::vec(piece(), 0..40)) {
        if let Ok(expression) = Expression::compile(&pieces.concat()) {
            prop_assert!(expression.steps() <= 2_000);
            let _ = expression.matches(&job());
        }
    }
}
